package fastcgi

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// A lateError is an error of a deadline that an application has set. It is
// os.ErrDeadlineExceeded.
type lateError string

func (e lateError) Error() string   { return string(e) }
func (e lateError) Unwrap() error   { return os.ErrDeadlineExceeded }
func (e lateError) Timeout() bool   { return true }
func (e lateError) Temporary() bool { return true }

const (
	errReadLate  lateError = "the read deadline of the request has passed"
	errWriteLate lateError = "the write deadline of the request has passed"
)

// deadlines are those of a request, made when the application sets the first. Each is
// a timer of its own: the tick is too coarse for them.
type deadlines struct {
	c *conn
	s *sink // nil once the response has ended; guarded by c.mu

	read, write deadline
}

// A deadline is a time after which reading or writing fails.
type deadline struct {
	timer  *time.Timer // guarded by c.mu
	set    int         // how often it was set, which tells a timer that is out of date
	passed atomic.Bool // changed under c.mu
}

// SetReadDeadline sets the time after which Read of the request's streams fails, with
// an error that is os.ErrDeadlineExceeded, one that is under way included. It takes
// the place of Limits.BodyRead. The zero time means none, and lets reading go on.
func (s *sink) SetReadDeadline(t time.Time) error {
	c := s.r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	d := s.ensureDeadlines()
	d.setAt(&d.read, t, d.stopRead)
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
	d.setAt(&d.write, t, d.stopWrite)
	return nil
}

// ensureDeadlines returns the deadlines of the request. The connection's mu is held.
func (s *sink) ensureDeadlines() *deadlines {
	d := s.deadlines.Load()
	if d == nil {
		d = &deadlines{c: s.r.c, s: s}
		s.deadlines.Store(d)
	}
	return d
}

// setAt sets l. At its time stop is called, with the connection's mu held.
func (d *deadlines) setAt(l *deadline, t time.Time, stop func()) {
	l.set++
	l.passed.Store(false)
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		l.passed.Store(true)
		stop()
		return
	}
	set := l.set
	l.timer = time.AfterFunc(wait, func() {
		d.c.mu.Lock()
		defer d.c.mu.Unlock()
		if d.s != nil && l.set == set {
			l.passed.Store(true)
			stop()
		}
	})
}

// stopRead makes those return that read a stream of the request.
func (d *deadlines) stopRead() {
	for s := range d.s.r.streams {
		if s.reading {
			d.c.sock.Kick()
		}
	}
	d.c.cond.Broadcast()
}

// stopWrite makes a write of the response return, also one that waits for its turn.
func (d *deadlines) stopWrite() {
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
	for _, l := range []*deadline{&d.read, &d.write} {
		if l.timer != nil {
			l.timer.Stop()
		}
	}
}

// expired reports whether the stream may not be read any more for its request's deadline.
// One that has been read to its end may be read again. The connection's mu is held.
func (s *stream) expired() bool {
	d := s.r.sink.deadlines.Load()
	if d == nil || !d.read.passed.Load() || s.left == 0 {
		return false
	}
	return s.buffered() || !s.ended || s.left > 0
}

// limited reports whether Limits.BodyRead holds for the streams of the request. The
// connection's mu is held.
func (r *request) limited() bool {
	d := r.sink.deadlines.Load()
	return d == nil || d.read.set == 0
}

// expired reports whether the request's write deadline has passed.
func (s *sink) expired() bool {
	d := s.deadlines.Load()
	return d != nil && d.write.passed.Load()
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
	for !locked && !d.write.passed.Load() {
		c.cond.Wait()
	}
	if !locked {
		given = true
		return errWriteLate
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
		return fmt.Errorf("%w, in the middle of a record", errWriteLate)
	}
	return errWriteLate
}

// endedLate reports whether err, of a write, is that the deadline had passed.
func (s *sink) endedLate(err error) bool {
	return err != nil && s.expired() && errors.Is(err, os.ErrDeadlineExceeded)
}
