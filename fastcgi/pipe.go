package fastcgi

import (
	"net/http"

	"gatehouse/fastcgi/record"
)

// SendPipe implements frontend.PipeSink: each record's header is written, and its content
// moved from the pipe behind it.
func (s *sink) SendPipe(pipe, n int) (sent int, err error) {
	c := s.r.c
	if !c.sock.CanSplice() {
		return 0, http.ErrNotSupported
	}
	if err := s.aborted(); err != nil {
		return 0, err
	}
	if err := s.beginWrite(); err != nil {
		return 0, err
	}
	c.sock.GrowSendBuffer()
	s.buf = s.encode()
	out := 0 // of the last record
	for sent < n && err == nil {
		part := min(n-sent, record.MaxAligned)
		s.buf = record.AppendHeader(s.buf, record.Stdout, s.r.id, part, 0)
		s.out = true
		if out, err = c.sock.Write(s.buf); err == nil {
			var m int
			m, err = c.sock.SpliceFrom(pipe, part, sent+part < n)
			sent += m
		}
		s.buf = s.buf[:0]
		c.beginWrite()
	}
	s.endWrite()
	if s.endedLate(err) {
		return sent, s.sentLate(int64(out))
	}
	return sent, c.sent(err)
}

// spliceMin is the length in bytes of a record of which no more than the header is
// read, so that the rest can be moved.
const spliceMin = 8 << 10

// ReadPipe implements frontend.PipeBody.
func (b *body) ReadPipe(pipe int, max int64) (int64, error) {
	return b.read(target{pipe: pipe, max: max})
}
