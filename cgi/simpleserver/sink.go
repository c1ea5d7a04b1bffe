package simpleserver

import (
	"errors"
	"fmt"
	"os"
	"time"

	"gatehouse/cgi"
)

const (
	// outHeld is how much of a response is held back until Flush or Finish, in bytes.
	outHeld = 24 << 10
	// writePiece bounds one write, for which the client has Limits.Write.
	writePiece = 16 << 10
)

// A sink writes the response of an origin server.
type sink struct {
	c        *conn
	preamble preamble
	protocol string // the client's version
	out      []byte // held back
	end      cgi.End
}

// WriteHead implements cgi.Sink.
func (s *sink) WriteHead(h *cgi.Head) error {
	s.out = s.preamble.append(s.out, s.protocol, h, s.c.srv.now())
	return nil
}

// Write implements cgi.Sink.
func (s *sink) Write(p []byte) (int, error) {
	if len(s.out)+len(p) <= outHeld {
		s.out = append(s.out, p...)
		return len(p), nil
	}
	if err := s.Flush(); err != nil {
		return 0, err
	}
	return s.send(p)
}

// Flush implements cgi.Sink.
func (s *sink) Flush() error {
	_, err := s.send(s.out)
	s.out = s.out[:0]
	return err
}

// Finish implements cgi.Sink. The connection is closed after it, in the way of the
// end.
func (s *sink) Finish(o cgi.Outcome) error {
	s.end = o.End
	if o.Overdue {
		// The client waits for the end of the connection.
		defer s.c.overtime.Go(s.c.closeOnce)
	}
	if o.End == cgi.Aborted {
		return nil
	}
	err := s.Flush()
	if err != nil {
		s.end = cgi.Aborted
	}
	return err
}

// SetReadDeadline sets the deadline of the body in the place of Limits.BodyRead.
func (s *sink) SetReadDeadline(t time.Time) error { return s.c.setOwnRead(t) }

// SetWriteDeadline sets the deadline of the response in the place of Limits.Write.
func (s *sink) SetWriteDeadline(t time.Time) error { return s.c.setOwnWrite(t) }

// send writes p in pieces, and returns how much of it was written.
func (s *sink) send(p []byte) (n int, err error) {
	c := s.c
	c.writing.Lock()
	defer c.writing.Unlock()
	for n < len(p) {
		if err := c.beginWrite(); err != nil {
			return n, err
		}
		m, err := c.sock.Write(p[n:min(n+writePiece, len(p))])
		n += m
		if err != nil {
			return n, s.failed(err)
		}
	}
	return n, nil
}

// failed cancels a request whose response cannot be written.
func (s *sink) failed(err error) error {
	switch {
	case s.c.isAborted():
		return fmt.Errorf("%w: %w", cgi.ErrAborted, cgi.ErrShutdown)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: %w", cgi.ErrAborted, err)
	default:
		err = fmt.Errorf("%w: it took no byte of the response for %v (write)", cgi.ErrAborted, s.c.srv.limits.Write)
	}
	s.c.cancelRequest(err)
	return err
}

// writeContinue tells a client that waits that its body is wanted (RFC 9110 § 10.1.1),
// unless the response has begun. A failure shows when the response is written.
func (s *sink) writeContinue() {
	c := s.c
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.hasSent() || c.setWriteLimit() != nil {
		return
	}
	c.sock.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}
