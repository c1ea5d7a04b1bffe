package fastcgi

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"gatehouse/internal/frontend"
	"gatehouse/internal/wrongport"
)

// readFailed handles an error of reading. mu is held.
func (c *conn) readFailed(err error) {
	var p *protocolError
	switch {
	case frontend.IsKick(err):
		c.sock.Unkick()
	case c.dead != nil || err == errPaused:
	case errors.As(err, &p):
		c.srv.acceptor.Warn("connection closed: malformed FastCGI", "peer", c.peer(), "error", p.reason)
		c.close(fmt.Errorf("%w: %s", ErrConnClosed, p.reason))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		c.peerClosed(err)
	default:
		c.close(fmt.Errorf("%w: %w", ErrConnClosed, err))
	}
}

// turnAway responds to a peer that does not speak FastCGI, and has the connection end when the
// peer has read that. What it has sent stays in the buffer, for linger.
func (c *conn) turnAway(peer *wrongport.Peer) {
	c.srv.acceptor.Warn(peer.Message(), "listener", c.sock.LocalAddr().String(), "peer", c.peer(), "remedy", peer.Remedy())
	c.send(peer.Response()) // an error ends the connection
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
}

// peerClosed handles the end of what the peer sends. mu is held.
func (c *conn) peerClosed(err error) {
	if errors.Is(err, io.ErrUnexpectedEOF) || c.paramsPending() {
		c.srv.acceptor.Warn("connection ended in the middle of a request", "peer", c.peer())
	}
	if !c.idle() && (!(c.sock.Unix || c.sock.HalfClose) || !c.sock.CanWatch() || c.sock.Gone()) {
		c.close(ErrConnClosed)
		return
	}
	// The peer has shut down its writing side, and may still wait for responses.
	c.eof = true
	for _, r := range slices.Clone(c.reqs) {
		if !r.ready {
			c.remove(r)
			c.holding.Shrink(r.held)
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

// paramsPending reports whether a request has begun whose PARAMS have not ended. mu is
// held.
func (c *conn) paramsPending() bool {
	return slices.ContainsFunc(c.reqs, func(r *request) bool { return !r.ready })
}

// expire takes a request off the connection whose application is over a time limit.
// Such applications count as requests of the connection, so that their number has a
// bound. mu is held.
func (c *conn) expire(r *request) {
	r.overdue = true
	c.overdue++
	for s := range r.streams {
		c.unended = c.unended || !s.ended
	}
}

// shouldClose reports whether the connection is to be closed soon because of applications
// that do not return: a web server that does not multiplex had better open another one.
// Requests that it has sent already are answered first. mu is held.
func (c *conn) shouldClose(now time.Duration) bool {
	return c.overdue > 0 && (!c.mux || c.overdue >= c.srv.current.Get().limits.Requests) && now-c.idleSince > closeOverdueAfter
}

// closeOverdueAfter is some ticks.
const closeOverdueAfter = 100 * time.Millisecond

// resume has the connection go on, or end, without a handler that is overdue.
func (c *conn) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answering--
	switch {
	case c.dead != nil:
	case c.phase == inline:
		c.startReader()
	default:
		c.sock.Kick()
	}
}

// close closes the connection now. mu is held.
func (c *conn) close(cause error) {
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

// goroutineDone is called at the end of each goroutine of the connection. The last one
// removes the connection from the Acceptor.
func (c *conn) goroutineDone() {
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
	c.holding.Close()
	c.srv.acceptor.Remove(c)
}

// linger closes a connection whose peer may still be sending: a close with bytes
// unread would be a reset, and the peer might lose the end of a good response.
func (c *conn) linger() {
	if len(c.in.buffered()) == 0 && !c.in.open && !c.unended || c.eof {
		return
	}
	c.sock.CloseWrite()
	c.mu.Lock()
	c.phase, c.lingerSince = lingering, c.srv.acceptor.Now()
	c.mu.Unlock()
	for {
		c.in.r = c.in.w
		err := c.in.fill()
		switch {
		case err == nil:
		case !frontend.IsKick(err) || c.lingered():
			return
		default:
			c.sock.Unkick()
		}
	}
}

// lingered reports whether the time to linger is over.
func (c *conn) lingered() bool {
	return c.srv.acceptor.Now()-c.lingerSince > c.srv.current.Get().limits.Linger
}

func (c *conn) peer() string {
	if a := c.sock.RemoteAddr(); a != nil && a.String() != "" && a.String() != "@" {
		return a.String()
	}
	return c.sock.LocalAddr().String()
}

// IdleSince implements frontend.IdleConn.
func (c *conn) IdleSince() (since time.Duration, idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idleSince, c.dead == nil && !c.closing && !c.evicted && c.idle()
}

// Evict implements frontend.IdleConn: it wakes the loop, which decides.
func (c *conn) Evict() {
	c.mu.Lock()
	c.evicted = true
	c.mu.Unlock()
	c.Drain()
}

// Drain implements frontend.Conn: it wakes the loop, which decides.
func (c *conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle() {
		c.sock.Kick()
	}
}

// drained reports whether a drain or Evict ends the connection, which is idle: nothing has
// come that is not served, and the first request is not waited for. It belongs to the loop.
// mu is held.
func (c *conn) drained() bool {
	a := &c.srv.acceptor
	return (c.evicted || a.Draining() && (c.progress.served > 0 || a.Impatient())) &&
		len(c.in.buffered()) == 0 && !c.in.open && c.sock.Queued() == 0
}

// ending reports whether the connection may be at its end once it is idle. mu is held.
func (c *conn) ending() bool { return c.closing || c.evicted || c.srv.acceptor.Draining() }

// Abort implements frontend.Conn.
func (c *conn) Abort(cause error) {
	c.mu.Lock()
	busy := !c.idle() && c.dead == nil
	c.mu.Unlock()
	if busy && c.out.mu.TryLock() {
		// Responses that have begun must not look complete. A write that is under way
		// breaks off in the middle of a record instead.
		c.sock.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		c.sock.Write(poison)
		c.out.mu.Unlock()
	}
	c.mu.Lock()
	c.close(cause)
	c.mu.Unlock()
}
