package frontend

import "sync"

// crewSize is how many goroutines wait for work at most.
const crewSize = 16

// A goroutinePool runs functions on goroutines that it keeps for a while: a goroutine that has
// served a connection has a stack of the right size for the next one, which a fresh
// one would have to grow. The zero value is ready to use.
type goroutinePool struct {
	mu    sync.Mutex
	idle  []chan func()
	ended bool
	all   sync.WaitGroup
}

// run runs f on a goroutine of its own.
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

// work runs f, and what else comes until it is let go.
func (c *goroutinePool) work(f func()) {
	defer c.all.Done()
	var next chan func()
	for f != nil {
		f()
		if next == nil {
			next = make(chan func(), 1)
		}
		if !c.wait(next) {
			return
		}
		f = <-next
	}
}

// wait takes a goroutine that waits into the account. It reports false if none is
// wanted.
func (c *goroutinePool) wait(next chan func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || len(c.idle) == crewSize {
		return false
	}
	c.idle = append(c.idle, next)
	return true
}

// rest lets those go that wait.
func (c *goroutinePool) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, next := range c.idle {
		next <- nil
	}
	c.idle = c.idle[:0]
}

// close lets all go, and waits for them. Nothing is kept from then on.
func (c *goroutinePool) close() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.rest()
	c.all.Wait()
}
