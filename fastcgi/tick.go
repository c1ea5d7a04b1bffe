package fastcgi

import (
	"fmt"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// idleBeforeShrink is how long a connection has been idle when its loop moves to a fresh
// goroutine. One that only waits for its turn among thousands is not worth it.
const idleBeforeShrink = time.Second

// Tick implements frontend.Conn: it sweeps the time limits, and starts a reader
// for a handler that has kept the loop for a tick without reading.
func (c *conn) Tick(now time.Duration) (busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	limits := &c.srv.current.Get().limits
	more := false // to do at the next tick, which is to come soon
	c.tickWrite(now, limits.Write)
	if c.phase == paused && c.dead == nil {
		c.lookAhead()
	}
	if c.phase == paused && !c.eof && c.out.since.Load() != 0 {
		// The peer may send the whole of a body before it takes a response.
		c.spilling = true
		c.sock.Kick()
	}
	switch {
	case c.dead != nil:
	case c.phase == lingering:
		if now-c.lingerSince > limits.Linger {
			c.sock.Kick()
		}
	case !c.idle():
		c.tickRequests(now, limits)
	case c.overdue > 0 && c.phase == inline:
		c.startReader()
	case c.shouldClose(now) || now-c.idleSince > limits.Idle:
		c.closing = true
		c.sock.Kick()
	case c.srv.acceptor.Impatient():
		c.sock.Kick()
	case c.stack == grown && c.phase == reading && now-c.idleSince > idleBeforeShrink:
		if !c.srv.acceptor.Turn() {
			more = true
			break
		}
		c.stack = outgrown
		c.sock.Kick()
	}
	c.tickProgress = c.progress
	return !c.idle() || c.phase == lingering || more || c.overdue > 0 && c.dead == nil
}

// tickWrite ends a connection whose peer takes nothing.
func (c *conn) tickWrite(now, limit time.Duration) {
	since := time.Duration(c.out.since.Load())
	if since == 0 || c.dead != nil {
		return
	}
	if n := c.sock.Unsent(); n != c.out.unsent {
		c.out.unsent = n
		c.out.since.CompareAndSwap(int64(since), int64(now))
	} else if now-since > limit {
		c.srv.acceptor.Warn("connection closed: the peer took nothing", "peer", c.peer(), "for", (now - since).String(), "limit", "write")
		c.close(fmt.Errorf("%w: it took nothing for %v (write)", ErrConnClosed, limit))
	}
}

// tickRequests sweeps the requests.
func (c *conn) tickRequests(now time.Duration, limits *cgi.Limits) {
	arrive, key := limits.Idle, "idle"
	if arrive > frontend.ScarceHead && c.holding.Scarce() {
		arrive, key = frontend.ScarceHead, "params_total"
	}
	for _, r := range c.reqs {
		if !r.ready && now-r.begun > arrive {
			c.srv.acceptor.Warn("connection closed: the variables of a request did not arrive", "peer", c.peer(), "for", (now - r.begun).String(), "limit", key)
			c.close(ErrConnClosed)
			return
		}
		for s := range r.streams {
			if !s.waiting || s.err != nil || !r.limited() {
				continue
			}
			if s.err = s.checkPeer(now, &r.set.T.limits); s.err != nil {
				if s.reading {
					c.sock.Kick()
				}
				c.cond.Broadcast()
			}
		}
	}
	if c.phase == inline && c.progress == c.tickProgress {
		c.startReader()
	}
}

// checkPeer returns why the peer is too slow for a Read that waits for it, or nil. A Read
// that waits at a tick counts as one that has waited since the last.
func (s *stream) checkPeer(now time.Duration, limits *cgi.Limits) error {
	waited := now - max(s.since, s.measured)
	s.measured = now
	if now-s.since > limits.BodyRead {
		return bodyTimeout(limits.BodyRead)
	}
	return s.pace.Measure(waited, s.wanted-s.room, limits.BodyRate)
}
