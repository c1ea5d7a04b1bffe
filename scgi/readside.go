package scgi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// What the owner of the reading side waits for.
const (
	nothing   = iota // it is the application that is waited for
	arriving         // the first byte of a request
	inHead           // the rest of the head
	inBody           // a byte of the body
	lingering        // what the peer still sends after its response
	waits     = 8    // states are counted in steps of waits
)

// abortLinger bounds the time for lingering at a forced shutdown, whatever the
// limit.
const abortLinger = 2 * time.Second

// A readSide is the right to read from the socket. It has one owner at a time: the
// connection until the head is there and after the response, a Read of the body in
// between, or nobody. While nobody reads from the socket, a watcher may wait on it
// for the peer to leave.
type readSide struct {
	mu       sync.Mutex
	turn     sync.Cond // signalled when the owner or the watcher has released it
	owned    bool
	watching bool
	kicked   bool
	closing  bool  // the connection owns it until its end
	stopped  error // why no more is read of the request, or nil
	came     int64 // bytes of the body, as of the last wait for it

	context frontend.Context

	// waiting is what is waited for, in the lowest bits, and above a count of the
	// waits, so that a tick can tell whether anything moved since the last one.
	waiting atomic.Uint64
	stamp   stamp         // of waiting; belongs to the tick
	ticked  time.Duration // when the last tick was; belongs to the tick
	pace    cgi.Pace      // of the body; belongs to the tick
	evicted atomic.Bool
}

// init gives the reading side to the connection.
func (r *readSide) init() {
	r.turn.L = &r.mu
	r.owned = true
	r.waiting.Store(waits + arriving)
}

// acquire makes the body the owner of the reading side. It waits while another is.
func (c *conn) acquire() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.owned && !c.closing {
		c.turn.Wait()
	}
	if c.closing {
		return cgi.ErrBodyClosed
	}
	if c.stopped != nil {
		return c.stopped
	}
	c.owned = true
	return nil
}

// waitFor notes what the owner waits for on the socket, after the watcher, if there
// is one, has left it.
func (c *conn) waitFor(what uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watching {
		c.kick()
		for c.watching {
			c.turn.Wait()
		}
	}
	if c.stopped == nil && !c.readExpired() {
		c.unkick()
	}
	c.came = c.length - c.left
	c.waiting.Store(c.waiting.Load()/waits*waits + waits + what)
}

// errKicked is for a kick that has no cause any more.
var errKicked = errors.New("kicked")

// kickCause returns the cause of a kick. If it is gone (a deadline that passed, and was set
// anew), the socket can be read again, and the result is errKicked.
func (c *conn) kickCause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopped != nil:
		return c.stopped
	case c.closing:
		return cgi.ErrBodyClosed
	case c.readExpired():
		return frontend.ErrReadLate
	}
	c.unkick()
	return errKicked
}

// release gives up the reading side.
func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting.Store(c.waiting.Load() / waits * waits)
	c.unkick()
	c.owned = false
	c.turn.Broadcast()
}

// acquireForClose takes the reading side from whoever has it, for the end of the
// connection, and ends the request's context.
func (c *conn) acquireForClose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.dropDeadlines()
	for c.owned || c.watching {
		c.kick()
		c.turn.Wait()
	}
	c.unkick()
	c.owned = true
	c.turn.Broadcast()
	c.context.End()
}

// kick wakes who waits on the socket. The mutex is held.
func (c *conn) kick() {
	if !c.kicked {
		c.kicked = true
		c.sock.Kick()
	}
}

func (c *conn) unkick() {
	if c.kicked {
		c.kicked = false
		c.sock.Unkick()
	}
}

// stopReading ends the reading of the request. Only the first cause counts.
func (c *conn) stopReading(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopReadingLocked(cause)
}

func (c *conn) stopReadingLocked(cause error) {
	if c.closing {
		return
	}
	if c.stopped == nil {
		c.stopped = cause
	}
	if c.owned {
		c.kick()
	}
}

// cancelRequest cancels the request: nobody waits for its response.
func (c *conn) cancelRequest(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.context.Cancel(cause)
}

// cancelled returns why the request was cancelled, or nil.
func (c *conn) cancelled() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.context.Cause()
}

// RequestContext implements cgi.ContextSource.
func (c *conn) RequestContext() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.context.Get(c.base)
}

// IdleSince implements frontend.IdleConn.
func (c *conn) IdleSince() (since time.Duration, idle bool) {
	return c.stamp.since, c.stamp.wait == c.waiting.Load() && c.stamp.wait%waits == arriving && !c.evicted.Load()
}

// Evict implements frontend.IdleConn. Tick does what there is to do.
func (c *conn) Evict() { c.evicted.Store(true) }

// Drain implements frontend.Conn. Tick does what there is to do.
func (c *conn) Drain() {}

// Abort implements frontend.Conn.
func (c *conn) Abort(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.context.Cancel(cause)
	c.stopReadingLocked(cause)
	c.sink.aborted.Store(true)
}

// unwanted reports whether the request is no longer waited for if nothing of it has come.
func (c *conn) unwanted() bool { return c.evicted.Load() || c.srv.acceptor.Impatient() }

// A stamp is when a tick first saw a wait. It belongs to the tick.
type stamp struct {
	wait  uint64
	since time.Duration
}

// unchangedFor returns how long wait has not changed, and whether it was the same at the
// last tick.
func (s *stamp) unchangedFor(wait uint64, now time.Duration) (time.Duration, bool) {
	if s.wait != wait {
		s.wait, s.since = wait, now
		return 0, false
	}
	return now - s.since, true
}

// Tick implements frontend.Conn.
func (c *conn) Tick(now time.Duration) (busy bool) {
	c.sink.tick(now)
	tick := now - c.ticked
	c.ticked = now
	wait := c.waiting.Load()
	elapsed, same := c.stamp.unchangedFor(wait, now)
	limits := &c.srv.current.Get().limits
	switch wait % waits {
	case arriving:
		if elapsed > limits.Idle {
			c.stopWait(wait, fmt.Errorf("no request within %v (idle)", limits.Idle))
		} else if c.unwanted() {
			c.mu.Lock()
			if c.waiting.Load() == wait {
				c.kick() // readHead decides
			}
			c.mu.Unlock()
		}
		return false
	case inHead:
		arrive, key := limits.Idle, "idle"
		if arrive > frontend.ScarceHead && c.scarce() {
			arrive, key = frontend.ScarceHead, "params_total"
		}
		if elapsed > arrive {
			c.stopWait(wait, fmt.Errorf("the head did not arrive within %v (%s)", arrive, key))
		}
		return false
	case inBody:
		if err := c.checkBody(elapsed, tick, &c.set.T.limits); err != nil {
			c.stopWait(wait, err)
		}
	case lingering:
		limit := limits.Linger
		if c.sink.aborted.Load() {
			limit = min(limit, abortLinger)
		}
		if elapsed > limit {
			c.stopWait(wait, nil)
		}
	default:
		if same {
			c.beginWatch()
		}
	}
	return true
}

// checkBody returns why the web server is too slow for a Read that has waited for elapsed, or
// nil. One that waits at a tick counts as one that has waited since the last, tick ago.
func (c *conn) checkBody(elapsed, tick time.Duration, limits *cgi.Limits) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.readLimited():
		return nil
	case elapsed > limits.BodyRead:
		return &cgi.StatusError{Code: http.StatusRequestTimeout,
			Err: fmt.Errorf("the web server sent no byte of the body for %v (body_read)", limits.BodyRead), Check: "body_read"}
	}
	return c.pace.Measure(tick, c.came, limits.BodyRate)
}

// scarce reports whether the connection has a part in memory being scarce.
func (c *conn) scarce() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holding.Scarce()
}

// stopWait ends a wait, if it is still the one that was seen.
func (c *conn) stopWait(wait uint64, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.waiting.Load() != wait:
	case c.closing:
		c.kick()
	default:
		c.stopReadingLocked(cause)
	}
}

// beginWatch starts the watcher, for a request that has taken a tick and whose
// context somebody holds.
func (c *conn) beginWatch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.context.Asked() || c.context.Cause() != nil || c.owned || c.watching || c.closing || !c.sock.CanPeek() {
		return
	}
	c.watching = true
	go c.watch()
}

// watch waits for the peer to leave, and cancels the request.
func (c *conn) watch() {
	err := c.sock.WaitGone()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.context.Cancel(cgi.ErrAborted)
	}
	c.watching = false
	c.turn.Broadcast()
}
