package fastcgi

import (
	"errors"
	"net/http"
	"syscall"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
)

// SendPipe implements frontend.PipeSink: each record's header is written, and its content
// moved from the pipe behind it.
func (s *sink) SendPipe(pipe, n int) (sent int, err error) {
	c := s.r.c
	if !c.sock.CanSplice() {
		return 0, http.ErrNotSupported
	}
	if err := s.gone(); err != nil {
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
	c := b.c
	c.mu.Lock()
	defer c.mu.Unlock()
	defer b.rest()
	for {
		s, err := b.stream()
		if err != nil {
			return 0, err
		}
		if c.baton || s.kept() || !c.sock.CanSplice() {
			return 0, http.ErrNotSupported
		}
		if err := s.why(); err != nil || max <= 0 {
			return 0, err
		}
		s.await()
		n, err := c.spliceBody(s, pipe, max)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// kept reports whether bytes of the stream are in memory or in its spool. The
// connection's mu is held.
func (s *stream) kept() bool {
	return s.taken < len(s.queue) || s.spool != nil && s.spool.Len() > 0
}

// spliceBody takes the baton to pass content of s on to a pipe, or to read what comes
// before it. The connection's mu is held, and let go meanwhile. An error is the pipe's.
func (c *conn) spliceBody(s *stream, pipe int, max int64) (n int64, err error) {
	c.baton, s.reading = true, true
	if s.left >= 0 {
		max = min(max, s.left)
	}
	c.mu.Unlock()
	var rerr error
	in := &c.in
	if in.open && in.typ == s.typ && in.id == s.r.id && in.left > 0 {
		max = min(max, int64(in.left))
		if b := in.buffered(); len(b) > 0 {
			var m int
			m, err = frontend.WriteNow(pipe, b[:min(max, int64(len(b)))])
			in.take(m)
			n = int64(m)
		} else {
			in.release()
			var m int
			m, rerr = c.sock.SpliceTo(pipe, int(max))
			n, in.left = int64(m), in.left-m
			if rerr == frontend.ErrPipeFull || errors.Is(rerr, syscall.EPIPE) {
				rerr, err = nil, rerr
			}
			rerr = inRecord(rerr)
		}
	} else {
		in.short = in.size >= spliceMin && in.left == 0
		rerr = c.step()
		in.short = false
	}
	c.mu.Lock()
	switch {
	case n == 0:
	case n > s.room:
		n, err = 0, cgi.ErrBodyClosed // meanwhile
	case s.left < 0 && !s.admit(int(n)):
		n, err = 0, s.err
	default:
		s.room -= n
		s.consumed(int(n))
	}
	s.reading, c.baton = false, false
	c.uses++
	c.startReady()
	if rerr != nil {
		c.readFailed(rerr)
	}
	c.cond.Broadcast()
	return n, err
}
