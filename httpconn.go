package gatehouse

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/frontend"
)

// lineMemory is what net/http needs for a line of a head, beside its bytes.
const lineMemory = 128

// An httpConn is a connection of the Acceptor, served by net/http. It counts what the head of
// a request holds in memory, until its response has ended, against Limits.ParamsTotal.
type httpConn struct {
	net.Conn
	server *httpServer

	mu      sync.Mutex // guards what follows
	holding frontend.Holding
	inHead  bool          // what is read belongs to a head
	head    int           // bytes of memory that it takes
	begun   time.Duration // when it began
	refused bool
}

func newHTTPConn(s *httpServer, c net.Conn) *httpConn {
	h := &httpConn{Conn: c, server: s, inHead: true}
	h.holding.Budget = s.limits.ParamsTotal
	h.holding.Grow(frontend.FreeMemory)
	return h
}

// Start passes the connection to net/http, or closes it if net/http has stopped.
func (c *httpConn) Start() {
	select {
	case c.server.accepted <- c:
	case <-c.server.stopped:
		c.Close()
		c.server.acceptor.Remove(c)
	}
}

// Tick closes a connection whose head takes too long while memory is scarce. net/http
// enforces the other time limits.
func (c *httpConn) Tick(now time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inHead && c.holding.Scarce() && now-c.begun > frontend.ScarceHead {
		c.server.acceptor.Log.Warn("connection closed: the head of a request did not arrive",
			"peer", c.RemoteAddr().String(), "for", (now - c.begun).String(), "limit", "params_total")
		c.Close()
	}
	return false
}

// Drain does nothing: net/http closes a connection after its request.
func (*httpConn) Drain() {}

// Abort cancels every request, since all are aborted together, and closes the
// connection.
func (c *httpConn) Abort(cause error) {
	c.server.cancel(cause)
	c.Close()
}

// setState notes what net/http does with the connection.
func (c *httpConn) setState(state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateActive: // the head has been read
		c.inHead = false
	case http.StateIdle:
		c.holding.Shrink(excess(c.head))
		c.inHead, c.head = true, 0
	case http.StateClosed: // none is ever hijacked
		c.holding.Close()
		c.server.acceptor.Remove(c)
	}
}

// excess is how much of the memory of a head is more than that of a usual one.
func excess(head int) int64 { return int64(max(0, head-frontend.FreeParams)) }

// Read implements net.Conn. A head that there is no memory for gets its response here, since
// net/http has none for it.
func (c *httpConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 || c.keep(p[:n]) {
		return n, err
	}
	c.refuse(p)
	return 0, io.EOF
}

// keep reports whether there is memory for a part of a head.
func (c *httpConn) keep(p []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.inHead || c.refused {
		return !c.refused
	}
	if c.head == 0 {
		c.begun = c.server.acceptor.Now()
	}
	size := c.head + len(p) + lineMemory*bytes.Count(p, newline)
	if c.refused = !c.holding.Grow(excess(size) - excess(c.head)); c.refused {
		return false
	}
	c.head = size
	return true
}

var newline = []byte("\n")

// refuse sends the response to a head that there is no memory for, and reads into p what the
// peer still sends, so that it is not reset before it has read that.
func (c *httpConn) refuse(p []byte) {
	refusal := c.holding.Refusal()
	c.server.acceptor.Log.Warn("request refused", "peer", c.RemoteAddr().String(), "error", refusal.Err.Error())
	c.SetDeadline(time.Now().Add(c.server.limits.Linger))
	text := http.StatusText(refusal.Code)
	fmt.Fprintf(c.Conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nRetry-After: %d\r\nConnection: close\r\n\r\n%[2]s\n",
		refusal.Code, text, int(refusal.RetryAfter.Seconds()))
	c.CloseWrite()
	for {
		if _, err := c.Conn.Read(p); err != nil {
			return
		}
	}
}

// CloseWrite shuts down the writing side, if the connection supports that.
func (c *httpConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
