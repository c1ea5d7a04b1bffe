package frontend

import (
	"os"
	"sync"
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

// What reads and writes return after the deadline that an application has set for them.
const (
	ErrReadLate  lateError = "the read deadline of the request has passed"
	ErrWriteLate lateError = "the write deadline of the request has passed"
)

// A Deadline is a time after which reading or writing of one request fails. It has a
// timer of its own: the tick is too coarse for it. A lock of its owner's guards it, but
// for Passed. The zero value is none.
type Deadline struct {
	timer  *time.Timer
	count  int         // how often it was set or stopped, which tells a timer that is out of date
	set    bool        // it has been set, if only to none
	passed atomic.Bool // changed under the lock
}

// Set sets the deadline. At its time, which may be now, stop is called with mu held, the
// owner's lock, which is held already. The zero time means none, and undoes one that has
// passed.
func (d *Deadline) Set(mu *sync.Mutex, t time.Time, stop func()) {
	d.Stop()
	d.set = true
	d.passed.Store(false)
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed.Store(true)
		stop()
		return
	}
	count := d.count
	d.timer = time.AfterFunc(wait, func() {
		mu.Lock()
		defer mu.Unlock()
		if d.count == count {
			d.passed.Store(true)
			stop()
		}
	})
}

// Stop sees to it that the deadline does not pass any more. It reports whether it could
// have.
func (d *Deadline) Stop() bool {
	d.count++
	if d.timer == nil {
		return false
	}
	running := d.timer.Stop()
	d.timer = nil
	return running
}

// IsSet reports whether the deadline has been set, if only to none.
func (d *Deadline) IsSet() bool { return d.set }

// Passed reports whether the deadline has passed. It may be called without the lock.
func (d *Deadline) Passed() bool { return d.passed.Load() }
