package scgi

import (
	"time"

	"gatehouse/internal/frontend"
)

// deadlines are those of a request, made when the application sets the first.
type deadlines struct {
	read, write frontend.Deadline // guarded by the connection's mu
}

// SetReadDeadline sets the time after which Read of the request's body fails, with an error
// that is os.ErrDeadlineExceeded, one that is under way included. It takes the place of
// Limits.BodyRead and BodyRate. The zero time means none, and lets reading go on.
func (s *sink) SetReadDeadline(t time.Time) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.ensureDeadlines().read.Set(&c.mu, t, c.stopLateRead)
	}
	return nil
}

// SetWriteDeadline sets the time after which sending the response fails, with an error
// that is os.ErrDeadlineExceeded, as it does from then on: the response is broken off.
// Limits.Write holds beside it.
func (s *sink) SetWriteDeadline(t time.Time) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		if s.expired() {
			// What it did to the socket is not for later writes. Where Limits.Write had
			// passed, too, the next tick finds out.
			c.sock.SetWriteDeadline(time.Time{})
		}
		c.ensureDeadlines().write.Set(&c.mu, t, s.stopLateWrite)
	}
	return nil
}

// InterruptWrite ends a write of the response that is under way. Any goroutine may call it.
func (s *sink) InterruptWrite() { s.SetWriteDeadline(time.Unix(1, 0)) }

// ensureDeadlines returns the deadlines of the request. mu is held.
func (c *conn) ensureDeadlines() *deadlines {
	d := c.deadlines.Load()
	if d == nil {
		d = new(deadlines)
		c.deadlines.Store(d)
	}
	return d
}

// dropDeadlines ends the deadlines, at the end of the request. mu is held.
func (c *conn) dropDeadlines() {
	if d := c.deadlines.Swap(nil); d != nil {
		d.read.Stop()
		d.write.Stop()
	}
}

// stopLateRead makes a Read of the body return. mu is held.
func (c *conn) stopLateRead() {
	if c.owned && !c.closing {
		c.kick()
	}
}

// readExpired reports whether the read deadline has passed.
func (c *conn) readExpired() bool {
	d := c.deadlines.Load()
	return d != nil && d.read.Passed()
}

// readLimited reports whether Limits.BodyRead and BodyRate hold. mu is held.
func (c *conn) readLimited() bool {
	d := c.deadlines.Load()
	return d == nil || !d.read.IsSet()
}

// stopLateWrite makes a write that is under way return. A later one sees for itself that
// it is too late. mu is held.
func (s *sink) stopLateWrite() {
	if s.writing.Load()%2 == 1 && !s.c.closing {
		s.c.sock.SetWriteDeadline(time.Now())
	}
}

// expired reports whether the write deadline has passed.
func (s *sink) expired() bool {
	d := s.c.deadlines.Load()
	return d != nil && d.write.Passed()
}

// beginWrite starts a write, unless it is too late for one. From then on the deadline ends
// it.
func (s *sink) beginWrite() error {
	s.writing.Add(1)
	if s.late || s.expired() {
		s.writing.Add(1)
		s.late = true
		return frontend.ErrWriteLate
	}
	return nil
}

// endWrite ends a write.
func (s *sink) endWrite() { s.writing.Add(1) }
