package fastcgi

import (
	"errors"
	"fmt"
	"os"
	"time"

	"gatehouse/internal/frontend"
)

// deadlines are those of a request, made when the application sets the first.
type deadlines struct {
	c *conn
	s *sink // nil once the response has ended; guarded by c.mu

	read, write frontend.Deadline // guarded by c.mu
}

// SetReadDeadline sets the time after which Read of the request's streams fails, with
// an error that is os.ErrDeadlineExceeded, one that is under way included. It takes
// the place of Limits.BodyRead and BodyRate. The zero time means none, and lets reading go on.
func (s *sink) SetReadDeadline(t time.Time) error {
	c := s.r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	d := s.ensureDeadlines()
	d.read.Set(&c.mu, t, d.stopRead)
	return nil
}

// SetWriteDeadline sets the time after which sending the response fails, with an error
// that is os.ErrDeadlineExceeded, as it does from then on: the response is broken
// off. Limits.Write, which is the connection's, holds beside it. A write that the
// deadline cuts in the middle of a record ends the connection; where nothing of it had
// gone out, other requests on the connection go on.
func (s *sink) SetWriteDeadline(t time.Time) error {
	c := s.r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	d := s.ensureDeadlines()
	d.write.Set(&c.mu, t, d.stopWrite)
	return nil
}

// InterruptWrite ends a write of the response that is under way. Any goroutine may call it.
func (s *sink) InterruptWrite() { s.SetWriteDeadline(time.Unix(1, 0)) }

// ensureDeadlines returns the deadlines of the request. The connection's mu is held.
func (s *sink) ensureDeadlines() *deadlines {
	d := s.deadlines.Load()
	if d == nil {
		d = &deadlines{c: s.r.c, s: s}
		s.deadlines.Store(d)
	}
	return d
}

// stopRead makes those return that read a stream of the request.
func (d *deadlines) stopRead() {
	if d.s == nil {
		return
	}
	for s := range d.s.r.streams {
		if s.reading {
			d.c.sock.Kick()
		}
	}
	d.c.cond.Broadcast()
}

// stopWrite makes a write of the response return, also one that waits for its turn.
func (d *deadlines) stopWrite() {
	if d.s == nil {
		return
	}
	if d.c.out.owner.Load() == d.s {
		d.c.sock.SetWriteDeadline(time.Now())
	}
	d.c.cond.Broadcast()
}

// detach stops the timers: the response has ended.
func (d *deadlines) detach() {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	d.s = nil
	d.read.Stop()
	d.write.Stop()
}

// expired reports whether the stream may not be read any more for its request's deadline.
// One that has been read to its end may be read again. The connection's mu is held.
func (s *stream) expired() bool {
	d := s.r.sink.deadlines.Load()
	if d == nil || !d.read.Passed() || s.left == 0 {
		return false
	}
	return s.buffered() || !s.ended || s.left > 0
}

// limited reports whether Limits.BodyRead and BodyRate hold for the streams of the request. The
// connection's mu is held.
func (r *request) limited() bool {
	d := r.sink.deadlines.Load()
	return d == nil || !d.read.IsSet()
}

// expired reports whether the request's write deadline has passed.
func (s *sink) expired() bool {
	d := s.deadlines.Load()
	return d != nil && d.write.Passed()
}

// lock locks the connection's outlet, unless the write deadline passes before.
func (d *deadlines) lock() error {
	c := d.c
	if c.out.mu.TryLock() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var locked, given bool // guarded by mu
	c.goroutines++
	go func() {
		defer c.goroutineDone()
		c.out.mu.Lock()
		c.mu.Lock()
		defer c.mu.Unlock()
		if given {
			c.out.mu.Unlock()
			return
		}
		locked = true
		c.cond.Broadcast()
	}()
	for !locked && !d.write.Passed() {
		c.cond.Wait()
	}
	if !locked {
		given = true
		return frontend.ErrWriteLate
	}
	return nil
}

// sentLate handles a write of which n bytes went out before the deadline. A record
// may have been cut, so that the connection is of no use for anybody.
func (s *sink) sentLate(n int64) error {
	s.broken = true
	c := s.r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead != nil:
		return c.dead
	case n > 0:
		c.close(fmt.Errorf("%w: a write deadline passed in the middle of a record", ErrConnClosed))
		return fmt.Errorf("%w, in the middle of a record", frontend.ErrWriteLate)
	}
	return frontend.ErrWriteLate
}

// endedLate reports whether err, of a write, is that the deadline had passed.
func (s *sink) endedLate(err error) bool {
	return err != nil && s.expired() && errors.Is(err, os.ErrDeadlineExceeded)
}
