package pool

import (
	"sync"
	"time"
)

// A clock looks again and again, until it is stopped or has seen enough.
type clock struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

// newClock returns a clock that calls look after a pause, and then after each pause that look
// returns, unless that is zero.
func newClock(pause time.Duration, look func() time.Duration) *clock {
	c := new(clock)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(pause, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.stopped {
			return
		}
		if next := look(); next > 0 {
			c.timer.Reset(next)
		}
	})
	return c
}

// stop returns when it looks no more.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.timer.Stop()
}
