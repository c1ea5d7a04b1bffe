package frontend

import "sync"

// maxIdleGoroutines is the maximum number of idle goroutines.
const maxIdleGoroutines = 16

// A goroutinePool runs functions on goroutines that it keeps for a while. A goroutine
// that has served a connection has a stack of the right size for the next one; a fresh
// one would have to grow it. The zero value is ready to use.
type goroutinePool struct {
	mu     sync.Mutex
	idle   []chan func()
	closed bool
	all    sync.WaitGroup
}

// run runs f on an idle goroutine or a new one.
func (c *goroutinePool) run(f func()) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		next := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		next <- f
		return
	}
	c.mu.Unlock()
	c.all.Add(1)
	go c.work(f)
}

// work runs f, and then other functions until the goroutine is released.
func (c *goroutinePool) work(f func()) {
	defer c.all.Done()
	var next chan func()
	for f != nil {
		f()
		if next == nil {
			next = make(chan func(), 1)
		}
		if !c.park(next) {
			return
		}
		f = <-next
	}
}

// park adds a goroutine to the idle ones. It returns false if there are enough.
func (c *goroutinePool) park(next chan func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) == maxIdleGoroutines {
		return false
	}
	c.idle = append(c.idle, next)
	return true
}

// releaseIdle ends the idle goroutines.
func (c *goroutinePool) releaseIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, next := range c.idle {
		next <- nil
	}
	c.idle = c.idle[:0]
}

// close ends all goroutines when they become idle, and waits for them.
func (c *goroutinePool) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.releaseIdle()
	c.all.Wait()
}
