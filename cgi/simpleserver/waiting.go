package simpleserver

import (
	"context"
	"fmt"
	"time"

	"gatehouse/cgi"
)

// startReadLimit starts the wait for bytes of the client.
func (c *conn) startReadLimit(limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.aborted, c.stopped != nil && !c.finished:
		c.sock.SetReadDeadline(longAgo)
	case c.draining && !c.headRead:
		c.setDrainDeadline()
	case !c.ownDeadline[0] || c.finished:
		c.sock.SetReadDeadline(time.Now().Add(limit))
	}
}

// setDrainDeadline bounds the wait for a head once the server shuts down. The mu is
// held.
func (c *conn) setDrainDeadline() {
	limit := drainGrace
	if c.begun {
		limit = c.srv.limits.Linger
	}
	c.sock.SetReadDeadline(time.Now().Add(limit))
}

// stopReading ends the reading of the request, also one that is under way. Only the first
// cause counts.
func (c *conn) stopReading(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopReadingLocked(cause)
}

func (c *conn) stopReadingLocked(cause error) {
	if c.stopped == nil {
		c.stopped = cause
	}
	c.sock.SetReadDeadline(longAgo)
}

// stopCause returns why reading was stopped, or nil.
func (c *conn) stopCause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// setOwnRead sets a deadline of the application's.
func (c *conn) setOwnRead(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped != nil {
		return c.stopped
	}
	c.ownDeadline[0] = true
	return c.sock.SetReadDeadline(t)
}

func (c *conn) ownRead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ownDeadline[0]
}

// setOwnWrite sets a deadline of the application's.
func (c *conn) setOwnWrite(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aborted {
		return cgi.ErrShutdown
	}
	c.ownDeadline[1] = true
	return c.sock.SetWriteDeadline(t)
}

// beginWrite starts the wait for the client to take a piece of the response.
func (c *conn) beginWrite() error {
	if err := c.setWriteLimit(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = true
	return nil
}

func (c *conn) setWriteLimit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.aborted && c.sent:
		return fmt.Errorf("%w: %w", cgi.ErrAborted, cgi.ErrShutdown)
	case c.aborted:
		return c.sock.SetWriteDeadline(time.Now().Add(abortGrace))
	case c.ownDeadline[1]:
		return nil
	}
	return c.sock.SetWriteDeadline(time.Now().Add(c.srv.limits.Write))
}

// hasSent reports whether the response has begun to leave.
func (c *conn) hasSent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// isAborted reports whether the server is being closed.
func (c *conn) isAborted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.aborted
}

// cancelRequest cancels the request: nobody waits for its response.
func (c *conn) cancelRequest(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.context.Cancel(cause)
}

// RequestContext implements cgi.ContextSource.
func (c *conn) RequestContext() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.context.Asked() {
		c.srv.acceptor.Wake()
	}
	return c.context.Get(context.Background())
}

// Tick implements frontend.Conn. It looks whether the client of a request whose
// context somebody holds has gone.
func (c *conn) Tick(time.Duration) (busy bool) {
	c.mu.Lock()
	busy = c.context.Asked() && c.context.Cause() == nil && !c.finished
	c.mu.Unlock()
	if busy && c.sock.Gone() {
		c.cancelRequest(cgi.ErrAborted)
	}
	return busy
}

// Drain implements frontend.Conn. A client that has connected and is about to send
// its request has a moment for it.
func (c *conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if !c.headRead && c.stopped == nil {
		c.setDrainDeadline()
	}
}

// Abort implements frontend.Conn.
func (c *conn) Abort(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = true
	c.context.Cancel(cause)
	c.stopReadingLocked(cause)
	c.sock.SetWriteDeadline(longAgo)
}
