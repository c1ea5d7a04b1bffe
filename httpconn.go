package gatehouse

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/frontend"
)

// An httpConn is a connection of the Acceptor, served by net/http. During a drain its Read
// says that the peer has closed it, once it has no request. So it is the reader who
// decides, and no request is lost between the look and the end.
type httpConn struct {
	*frontend.Socket
	server  *httpServer
	idle    atomic.Bool  // nothing of a request has been read …
	since   atomic.Int64 // … since this time of the Acceptor
	kept    atomic.Bool  // it has had one
	evicted atomic.Bool
	first   firstBytes // belongs to the reader

	mu       sync.Mutex // guards what follows
	deadline time.Time  // for reading, as net/http has set it
	kicked   bool       // another one is in its place
	head     httpHead
}

func newHTTPConn(s *httpServer, c net.Conn) *httpConn {
	h := &httpConn{Socket: frontend.NewSocket(c), server: s}
	h.since.Store(int64(s.acceptor.Now()))
	h.idle.Store(true)
	h.head.reading = true
	h.head.holding.Budget = s.current.Get().limits.ParamsTotal
	h.head.holding.Grow(frontend.FreeMemory)
	return h
}

// Start passes the connection to net/http, or closes it if net/http has stopped.
func (c *httpConn) Start() {
	if !c.server.pass(c) {
		c.Close()
		c.setState(http.StateClosed)
	}
}

// Tick ends the connection if a drain waits no longer for its first request, or if its head
// takes too long while memory is scarce. net/http enforces the other time limits.
func (c *httpConn) Tick(now time.Duration) bool {
	if c.server.acceptor.Impatient() {
		c.Drain()
	}
	c.tickHead(now)
	return false
}

// Drain wakes who waits for a request.
func (c *httpConn) Drain() {
	if !c.idle.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kicked = true
	c.Kick()
}

// IdleSince implements frontend.IdleConn.
func (c *httpConn) IdleSince() (since time.Duration, idle bool) {
	return time.Duration(c.since.Load()), c.idle.Load() && !c.evicted.Load()
}

// Evict implements frontend.IdleConn: it wakes who waits for a request.
func (c *httpConn) Evict() {
	c.evicted.Store(true)
	c.Drain()
}

// Abort cancels every request, since all are aborted together, and closes the
// connection.
func (c *httpConn) Abort(cause error) {
	c.server.cancel(cause)
	c.Close()
}

// setState notes what net/http does with the connection.
func (c *httpConn) setState(state http.ConnState) {
	if state == http.StateClosed {
		c.logLongHead()
	}
	c.mu.Lock()
	c.head.setState(state)
	c.mu.Unlock()
	switch state {
	case http.StateActive: // what was read of it may have come with the request before
		c.idle.Store(false)
	case http.StateIdle:
		c.kept.Store(true)
		c.since.Store(int64(c.server.acceptor.Now()))
		c.idle.Store(true)
	case http.StateClosed: // none is ever hijacked
		c.server.acceptor.Remove(c)
	}
}

// Read reads for net/http. A head that there is no memory for gets its response here, since
// net/http has none for it.
func (c *httpConn) Read(p []byte) (int, error) {
	for {
		if c.idle.Load() && c.drained() {
			return 0, io.EOF
		}
		n, err := c.Socket.Read(p)
		switch {
		case n > 0:
			c.idle.Store(false)
			if peer := c.first.recognize(p[:n]); peer != nil {
				c.turnAway(peer, p)
				return 0, io.EOF
			}
			if !c.keepHead(p[:n]) {
				c.refuse(p)
				return 0, io.EOF
			}
			return n, err
		case !errors.Is(err, os.ErrDeadlineExceeded) || !c.unkick():
			return n, err
		}
	}
}

// ReadFrom is what net/http looks for. The bytes of a pipe are moved (see cgi.SendPipe).
func (c *httpConn) ReadFrom(r io.Reader) (int64, error) {
	source, ok := r.(interface{ Pipe() (fd, n int) })
	if !ok || !c.CanSplice() {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	c.GrowSendBuffer()
	pipe, n := source.Pipe()
	moved, err := c.SpliceFrom(pipe, n, false)
	return int64(moved), err
}

// drained reports whether a drain or Evict ends the connection, which is idle.
func (c *httpConn) drained() bool {
	a := &c.server.acceptor
	return (c.evicted.Load() || a.Draining() && (c.kept.Load() || a.Impatient())) && c.Queued() == 0
}

// unkick puts the deadline back. It reports whether it was not that one that has passed.
func (c *httpConn) unkick() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.kicked {
		return false
	}
	c.kicked = false
	c.Socket.SetReadDeadline(c.deadline)
	return true
}

// CloseWrite is what net/http looks for.
func (c *httpConn) CloseWrite() error {
	c.Socket.CloseWrite()
	return nil
}

// SetReadDeadline sets the deadline for net/http.
func (c *httpConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if c.kicked {
		return nil
	}
	return c.Socket.SetReadDeadline(t)
}
