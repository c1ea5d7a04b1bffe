package scgi

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// writePiece bounds one write to the socket, so that a tick sees a slow peer make
// progress also where the system does not tell.
const writePiece = 64 << 10

// A sink writes the response as CGI text.
type sink struct {
	c    *conn
	buf  *frontend.Buffer // what out begins in; nil while nothing is held
	out  []byte           // held back
	vec  [2][]byte
	bufs net.Buffers
	sent bool // something was written to the socket
	late bool // a write failed for the deadline: the response has a gap
	end  cgi.End

	aborted atomic.Bool
	writing atomic.Uint64 // odd during a write; counts the writes
	stamp   stamp         // belongs to the tick, as do unsent and moved
	unsent  int
	moved   time.Duration
}

// WriteHead implements cgi.Sink.
func (s *sink) WriteHead(h *cgi.Head) error {
	s.hold()
	s.out = h.AppendCGI(s.out)
	return nil
}

func (s *sink) hold() {
	if s.buf == nil {
		s.buf = frontend.GetBuffer()
		s.out = s.buf[:0]
	}
}

// Write implements cgi.Sink.
func (s *sink) Write(p []byte) (int, error) {
	if len(s.out)+len(p) <= frontend.BufferSize {
		s.hold()
		s.out = append(s.out, p...)
		return len(p), nil
	}
	n := 0
	for len(p) > 0 {
		m, err := s.send(p[:min(len(p), writePiece)])
		n += m
		if err != nil {
			return n, err
		}
		p = p[m:]
	}
	return n, nil
}

// Flush implements cgi.Sink.
func (s *sink) Flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.send(nil)
	s.freeBuffer()
	return err
}

// Finish implements cgi.Sink. The connection is closed after it, in the way of the
// end.
func (s *sink) Finish(o cgi.Outcome) error {
	var err error
	if o.End != cgi.Aborted {
		err = s.Flush()
	}
	s.freeBuffer()
	if err == nil {
		s.end = o.End
	}
	if o.Overdue {
		// The web server waits for the end of the connection.
		s.c.overtime.Go(s.c.closeOnce)
	}
	return err
}

// freeBuffer drops what is held back, and its buffer.
func (s *sink) freeBuffer() {
	if s.buf != nil {
		frontend.PutBuffer(s.buf)
		s.buf, s.out = nil, nil
	}
}

// send writes what is held, and p, in one write. It returns how much of p was
// written.
func (s *sink) send(p []byte) (n int, err error) {
	if s.sent && s.aborted.Load() {
		// An application that does not look at its context is stopped here. Before
		// anything was sent there may still be an error page.
		return 0, s.c.cancelled()
	}
	held := len(s.out)
	if err := s.beginWrite(); err != nil {
		return 0, err
	}
	switch {
	case held == 0:
		n, err = s.c.sock.Write(p)
	case len(p) == 0:
		n, err = s.c.sock.Write(s.out)
	default:
		s.vec = [2][]byte{s.out, p}
		s.bufs = s.vec[:]
		var m int64
		m, err = s.c.sock.WriteBuffers(&s.bufs)
		n = int(m)
		s.vec = [2][]byte{}
	}
	s.endWrite()
	s.out = s.out[:0]
	s.sent = s.sent || n > 0
	if err != nil {
		err = s.failed(err)
	}
	return max(n-held, 0), err
}

// SendPipe implements frontend.PipeSink: the bytes are moved from the pipe, in pieces, so that
// a tick sees that they go.
func (s *sink) SendPipe(pipe, n int) (sent int, err error) {
	if !s.c.sock.CanSplice() {
		return 0, http.ErrNotSupported
	}
	if err := s.Flush(); err != nil {
		return 0, err
	}
	if s.sent {
		s.c.sock.GrowSendBuffer()
	}
	for sent < n {
		if s.sent && s.aborted.Load() {
			return sent, s.c.cancelled()
		}
		part := min(n-sent, writePiece)
		if err := s.beginWrite(); err != nil {
			return sent, err
		}
		m, err := s.c.sock.SpliceFrom(pipe, part, sent+part < n)
		s.endWrite()
		sent += m
		s.sent = s.sent || m > 0
		if err != nil {
			return sent, s.failed(err)
		}
	}
	return sent, nil
}

// failed cancels a request whose response cannot be written.
func (s *sink) failed(err error) error {
	switch cause := s.c.cancelled(); {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: %w", cgi.ErrAborted, err)
	case cause != nil:
		err = cause
	case s.expired():
		s.late = true
		return frontend.ErrWriteLate
	default:
		err = fmt.Errorf("%w: it took no byte of the response for %v (write)", cgi.ErrAborted, s.c.srv.current.Get().limits.Write)
	}
	s.c.cancelRequest(err)
	return err
}

// tick ends a write that the peer lets wait for too long.
func (s *sink) tick(now time.Duration) {
	wait := s.writing.Load()
	if wait%2 == 0 {
		return
	}
	_, same := s.stamp.unchangedFor(wait, now)
	unsent := s.c.sock.Unsent()
	if !same || unsent != s.unsent {
		s.unsent, s.moved = unsent, now
	}
	if now-s.moved > s.c.srv.current.Get().limits.Write || same && s.aborted.Load() {
		s.c.sock.SetWriteDeadline(time.Unix(1, 0))
	}
}
