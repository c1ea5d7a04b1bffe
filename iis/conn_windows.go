package iis

import (
	"net"
	"sync"
	"time"

	"gatehouse/internal/namedpipe"
)

// A conn is the time for which a web server is connected to the pipe of a Listener. Its end
// is not that of the handle.
type conn struct {
	*namedpipe.Conn
	l *Listener

	mu     sync.Mutex // guards what follows, and the deadlines of the pipe
	closed bool
	calls  sync.WaitGroup // of Read and Write
}

// begin reports whether a Read or Write may begin, which is to call calls.Done.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.calls.Add(1)
	}
	return !c.closed
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) { return c.do(c.Conn.Read, p) }

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) { return c.do(c.Conn.Write, p) }

func (c *conn) do(f func([]byte) (int, error), p []byte) (int, error) {
	if !c.begin() {
		return 0, net.ErrClosed
	}
	n, err := f(p)
	c.calls.Done()
	if err != nil && c.isClosed() {
		err = net.ErrClosed
	}
	return n, err
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Close implements net.Conn. It waits, for up to flushLimit, until the web server has read
// what has been written.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	err := c.Conn.SetDeadline(time.Unix(1, 0)) // ends Read and Write
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.calls.Wait()
	return c.l.release()
}

// setDeadlines makes the deadlines those of a new connection.
func (c *conn) setDeadlines() { c.SetDeadline(time.Time{}) }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error { return c.set(c.Conn.SetDeadline, t) }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.set(c.Conn.SetReadDeadline, t) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.set(c.Conn.SetWriteDeadline, t) }

func (c *conn) set(f func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return f(t)
}
