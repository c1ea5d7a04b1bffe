package cgi

import (
	"errors"
	"io"
)

// programBuffer is how much a programSink holds back, so that a small response is one write.
const programBuffer = 64 << 10

// A programSink writes a response as CGI text (RFC 3875 § 6).
type programSink struct {
	w   io.Writer
	buf []byte
}

// WriteHead implements Sink.
func (s *programSink) WriteHead(h *Head) error {
	s.buf = h.AppendCGI(s.buf)
	return nil
}

// Write implements Sink.
func (s *programSink) Write(p []byte) (int, error) {
	if len(s.buf)+len(p) <= programBuffer && len(s.buf) > 0 {
		s.buf = append(s.buf, p...)
		return len(p), nil
	}
	if err := s.Flush(); err != nil {
		return 0, err
	}
	return writeAll(s.w, p)
}

// Flush implements Sink.
func (s *programSink) Flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := writeAll(s.w, s.buf)
	s.buf = s.buf[:0]
	return err
}

// Finish implements Sink.
func (s *programSink) Finish(Outcome) error { return s.Flush() }

// writeAll continues after a short write, as wsgiref does for an output that behaves like a
// raw file.
func writeAll(w io.Writer, p []byte) (n int, err error) {
	for n < len(p) {
		m, err := w.Write(p[n:])
		n += m
		if err != nil && !(m > 0 && errors.Is(err, io.ErrShortWrite)) {
			return n, err
		}
		if m <= 0 {
			return n, io.ErrShortWrite
		}
	}
	return n, nil
}
