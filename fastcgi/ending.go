package fastcgi

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"gatehouse/internal/frontend"
)

// readFailed settles an error of reading. mu is held.
func (c *conn) readFailed(err error) {
	var p *protocolError
	switch {
	case frontend.IsKick(err):
		c.sock.Unkick()
	case c.dead != nil || err == errPaused:
	case errors.As(err, &p):
		c.srv.log().Warn("connection closed: malformed FastCGI", "peer", c.peer(), "error", p.reason)
		c.fail(fmt.Errorf("%w: %s", ErrConnClosed, p.reason))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		c.ended(err)
	default:
		c.fail(fmt.Errorf("%w: %w", ErrConnClosed, err))
	}
}

// ended settles the end of what the peer sends. mu is held.
func (c *conn) ended(err error) {
	if errors.Is(err, io.ErrUnexpectedEOF) || c.begunOnly() {
		c.srv.log().Warn("connection ended in the middle of a request", "peer", c.peer())
	}
	if !c.idle() && (!(c.sock.Unix || c.sock.HalfClose) || !c.sock.CanWatch() || c.sock.Gone()) {
		c.fail(ErrConnClosed)
		return
	}
	// The peer has shut down its writing side, and may still wait for answers.
	c.eof = true
	for _, r := range slices.Clone(c.reqs) {
		if !r.ready {
			c.remove(r)
			r.free()
			continue
		}
		for s := range r.streams {
			if !s.ended && s.err == nil {
				s.err = errHalfClosed{}
			}
		}
	}
	c.cond.Broadcast()
}

// begunOnly reports whether a request has begun whose PARAMS have not ended. mu is
// held.
func (c *conn) begunOnly() bool {
	return slices.ContainsFunc(c.reqs, func(r *request) bool { return !r.ready })
}

// letGo takes a request off the connection whose application is over a time limit.
// Such applications count as requests of the connection, so that their number has a
// bound. mu is held.
func (c *conn) letGo(r *request) {
	r.overdue = true
	c.overdue++
	for s := range r.streams {
		c.unended = c.unended || !s.ended
	}
}

// spent reports whether the connection is to be closed soon for the applications that
// do not come back: a web server that does not multiplex had better take another one.
// What it has sent behind the request is answered first. mu is held.
func (c *conn) spent(now time.Duration) bool {
	return c.overdue > 0 && (!c.mux || c.overdue >= c.srv.limits.Requests) && now-c.idleSince > spentAfter
}

// spentAfter is some ticks.
const spentAfter = 100 * time.Millisecond

// goOn has the connection go on, or end, without a handler that was let go.
func (c *conn) goOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answering--
	switch {
	case c.dead != nil:
	case c.baton:
		c.sock.Kick()
	case c.inline:
		c.startReader()
	}
}

// fail ends the connection now. mu is held.
func (c *conn) fail(cause error) {
	if c.dead != nil {
		return
	}
	c.dead = cause
	for _, r := range c.reqs {
		r.abort(cause)
	}
	c.cond.Broadcast()
	c.sock.Close()
}

// leave is the end of each goroutine of the connection; the last one takes the
// connection out of the account.
func (c *conn) leave() {
	c.mu.Lock()
	c.goroutines--
	last := c.goroutines == 0
	c.mu.Unlock()
	if !last {
		return
	}
	c.sock.Close()
	for _, r := range c.reqs {
		r.free()
	}
	c.in.r = c.in.w
	c.in.release()
	c.srv.acceptor.Remove(c)
}

// linger closes a connection whose peer may still be sending: a close with bytes
// unread would be a reset, and the peer might lose the end of a good answer.
func (c *conn) linger() {
	if len(c.in.buffered()) == 0 && !c.in.open && !c.unended || c.eof {
		return
	}
	c.sock.CloseWrite()
	c.mu.Lock()
	c.lingering = max(c.srv.acceptor.Now(), 1)
	c.mu.Unlock()
	for {
		c.in.r = c.in.w
		err := c.in.fill()
		if !frontend.IsKick(err) || c.lingered() {
			if err != nil {
				return
			}
			continue
		}
		c.sock.Unkick()
	}
}

// lingered reports whether the time to linger is over.
func (c *conn) lingered() bool {
	return c.srv.acceptor.Now()-c.lingering > c.srv.limits.Linger
}

func (c *conn) peer() string {
	if a := c.sock.RemoteAddr(); a != nil && a.String() != "" && a.String() != "@" {
		return a.String()
	}
	return c.sock.LocalAddr().String()
}

// Drain implements frontend.Conn.
func (c *conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	if c.idle() {
		c.sock.Kick()
	}
}

// Abort implements frontend.Conn.
func (c *conn) Abort(cause error) {
	c.mu.Lock()
	busy := !c.idle() && c.dead == nil
	c.mu.Unlock()
	if busy && c.wmu.TryLock() {
		// Responses that have begun must not look complete. A write that is under way
		// breaks off in the middle of a record instead.
		c.sock.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		c.sock.Write(poison)
		c.wmu.Unlock()
	}
	c.mu.Lock()
	c.fail(cause)
	c.mu.Unlock()
}
