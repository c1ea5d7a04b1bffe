package gatehouse

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"gatehouse/internal/frontend"
)

// lineMemory is what net/http needs for a line of a head, beside its bytes.
const lineMemory = 128

// headSlop is how much more than MaxHeaderBytes net/http reads of a head.
const headSlop = 4 << 10

var newline = []byte("\n")

// An httpHead counts what the head of a request holds in memory, until its response has
// ended, against Limits.ParamsTotal. The mutex of its connection is held.
type httpHead struct {
	holding frontend.Holding
	reading bool          // what is read belongs to a head
	came    int           // bytes of it
	size    int           // bytes of memory that it takes
	begun   time.Duration // when it began
	refused bool
}

// setState notes what net/http does with the connection.
func (h *httpHead) setState(state http.ConnState) {
	switch state {
	case http.StateActive: // the head has been read
		h.reading = false
	case http.StateIdle:
		h.holding.Shrink(excess(h.size))
		h.reading, h.came, h.size = true, 0, 0
	case http.StateClosed:
		h.holding.Close()
	}
}

// excess is how much of the memory of a head is more than that of a usual one.
func excess(size int) int64 { return int64(max(0, size-frontend.FreeParams)) }

// keep reports whether there is memory for a part of a head.
func (h *httpHead) keep(p []byte, now time.Duration) bool {
	if !h.reading || h.refused {
		return !h.refused
	}
	if h.size == 0 {
		h.begun = now
	}
	h.came += len(p)
	size := h.size + len(p) + lineMemory*bytes.Count(p, newline)
	if h.refused = !h.holding.Grow(excess(size) - excess(h.size)); h.refused {
		return false
	}
	h.size = size
	return true
}

// keepHead reports whether there is memory for what has been read.
func (c *httpConn) keepHead(p []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head.keep(p, c.server.acceptor.Now())
}

// logLongHead logs that a connection has ended because its head was too long: net/http responds
// with 431, and tells nobody.
func (c *httpConn) logLongHead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit := c.server.current.Get().limits.ParamsBytes; c.head.came-headSlop >= limit && !c.head.refused {
		c.server.acceptor.Warn("request refused: its head is too long", "peer", c.RemoteAddr().String(), "limit", "params_bytes", "bytes", limit)
	}
}

// tickHead closes the connection if its head takes too long while memory is scarce.
func (c *httpConn) tickHead(now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := &c.head; h.reading && h.holding.Scarce() && now-h.begun > frontend.ScarceHead {
		c.server.acceptor.Warn("connection closed: the head of a request did not arrive",
			"peer", c.RemoteAddr().String(), "for", (now - h.begun).String(), "limit", "params_total")
		c.Close()
	}
}

// refuse responds to a head that there is no memory for.
func (c *httpConn) refuse(p []byte) {
	refusal := c.server.acceptor.Refusal(c.head.holding.Refusal(), c.RemoteAddr().String())
	c.end(fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nRetry-After: %d\r\nConnection: close\r\n\r\n%[2]s\n",
		refusal.Code, http.StatusText(refusal.Code), int(refusal.RetryAfter.Seconds())), p)
}

// end sends a last response, and reads into p what the peer still sends, so that it is not
// reset before it has read that.
func (c *httpConn) end(response, p []byte) {
	c.SetDeadline(time.Now().Add(c.server.current.Get().limits.Linger))
	c.Write(response)
	c.CloseWrite()
	for {
		if _, err := c.Socket.Read(p); err != nil {
			return
		}
	}
}
