package fastcgi

import (
	"fmt"
	"time"

	"gatehouse/cgi"
)

// restful is how long a connection has been idle when its loop moves to a fresh
// goroutine. One that is merely waiting for its turn among thousands is not worth it.
const restful = time.Second

// Tick implements frontend.Conn: it sweeps the time limits, and starts a reader
// for a handler that has kept the loop for a tick without reading.
func (c *conn) Tick(now time.Duration) (busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	limits := &c.srv.limits
	more := false // to do at the next tick, which is to come soon
	c.tickWrite(now, limits.Write)
	if c.paused && c.watching && c.dead == nil {
		c.lookAhead()
	}
	if c.paused && c.writeSince.Load() != 0 {
		// The peer may send the whole of a body before it takes an answer.
		c.spilling = true
		c.sock.Kick()
	}
	switch {
	case c.dead != nil:
	case c.lingering != 0:
		if now-c.lingering > limits.Linger {
			c.sock.Kick()
		}
	case !c.idle():
		c.tickRequests(now, limits)
	case c.overdue > 0 && c.inline && !c.baton:
		c.startReader()
	case c.spent(now) || now-c.idleSince > limits.Idle:
		c.closing = true
		c.sock.Kick()
	case !c.fresh && c.served > 0 && now-c.idleSince > restful && c.baton:
		if !c.srv.acceptor.Turn() {
			more = true
			break
		}
		c.refresh = true
		c.sock.Kick()
	}
	c.tickServed, c.tickUses = c.served, c.uses
	return !c.idle() || c.lingering != 0 || more || c.overdue > 0 && c.dead == nil
}

// tickWrite ends a connection whose peer takes nothing.
func (c *conn) tickWrite(now, limit time.Duration) {
	since := time.Duration(c.writeSince.Load())
	if since == 0 || c.dead != nil {
		return
	}
	if n := c.sock.Unsent(); n != c.unsent {
		c.unsent = n
		c.writeSince.CompareAndSwap(int64(since), int64(now))
	} else if now-since > limit {
		c.srv.log().Warn("connection closed: the peer took nothing", "peer", c.peer(), "for", (now - since).String(), "limit", "write")
		c.fail(fmt.Errorf("%w: it took nothing for %v (write)", ErrConnClosed, limit))
	}
}

// tickRequests sweeps the requests.
func (c *conn) tickRequests(now time.Duration, limits *cgi.Limits) {
	for _, r := range c.reqs {
		if !r.ready && now-r.begun > limits.Idle {
			c.srv.log().Warn("connection closed: the variables of a request did not arrive", "peer", c.peer(), "for", (now - r.begun).String(), "limit", "idle")
			c.fail(ErrConnClosed)
			return
		}
		for s := range r.streams {
			if s.waiting && s.err == nil && now-s.since > limits.BodyRead && r.limited() {
				s.err = bodyTimeout(limits.BodyRead)
				if s.reading {
					c.sock.Kick()
				}
				c.cond.Broadcast()
			}
		}
	}
	if c.inline && !c.baton && c.served == c.tickServed && c.uses == c.tickUses {
		c.startReader()
	}
}
