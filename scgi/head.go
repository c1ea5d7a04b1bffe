package scgi

import (
	"fmt"
	"io"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// readHead reads the netstring and returns what is in it. What came behind it
// stays in buf.
func (c *conn) readHead() (block string, err error) {
	for {
		if c.peek {
			c.buf, c.end, err = c.sock.PeekFirst()
			c.unread = c.end
		} else {
			c.buf, c.end, err = c.sock.ReadFirst()
		}
		if err == nil {
			break
		}
		switch err = c.readError(err); {
		case err != errKicked:
			return "", err
		case c.unwanted() && c.sock.Queued() == 0:
			return "", cgi.ErrShutdown
		}
	}
	n, size := 0, 0
	for {
		n, size, err = ParseLength(c.buf[:c.end], c.srv.current.Get().limits.ParamsBytes)
		if err != nil {
			return "", err
		}
		if size > 0 {
			break
		}
		if err := c.more(); err != nil {
			return "", err
		}
	}
	total := size + n + 1
	if total > len(c.buf) {
		return c.readLargeHead(n, size)
	}
	for c.end < total {
		if err := c.more(); err != nil {
			return "", err
		}
	}
	c.off = total
	return string(c.buf[size : size+n]), checkComma(c.buf[size+n])
}

// readLargeHead reads n bytes of head that do not fit into the buffer, in which
// they begin at off. The memory for them, which counts against Limits.ParamsTotal, grows as
// they come. The comma behind them
// may be the end of the request, so it is peeked at like any end.
func (c *conn) readLargeHead(n, off int) (string, error) {
	c.awaitHead()
	if err := c.consume(); err != nil {
		return "", err
	}
	b := make([]byte, 0, min(n, frontend.FreeParams))
	b = append(b, c.buf[off:c.end]...)
	for len(b) < n {
		if len(b) == cap(b) {
			size := min(n, 2*cap(b))
			if err := c.grow(size - cap(b)); err != nil {
				return "", err
			}
			b = append(make([]byte, 0, size), b...)
		}
		m, err := c.sock.Read(b[len(b):cap(b)])
		if err != nil {
			return "", c.readError(err)
		}
		b = b[:len(b)+m]
	}
	c.end = 0
	if err := c.more(); err != nil {
		return "", err
	}
	c.off = 1
	return string(b), checkComma(c.buf[0])
}

// grow has the connection's holding grow for n bytes more than a usual head.
func (c *conn) grow(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.holding.Grow(int64(n)) {
		return c.srv.acceptor.Refusal(c.holding.Refusal(), c.peer())
	}
	return nil
}

// more waits for bytes behind those in buf. What is there already cannot be the
// end of the request and is taken from the socket, since waiting would otherwise
// see nothing but that.
func (c *conn) more() error {
	c.awaitHead()
	if err := c.consume(); err != nil {
		return err
	}
	var n int
	var err error
	if c.peek {
		n, err = c.sock.Peek(c.buf[c.end:])
		c.unread = n
	} else {
		n, err = c.sock.Read(c.buf[c.end:])
	}
	c.end += n
	if err != nil {
		return c.readError(err)
	}
	return nil
}

// awaitHead starts the time in which the rest of the head has to come, once.
func (c *conn) awaitHead() {
	if c.waiting.Load()%waits != inHead {
		c.waitFor(inHead)
	}
}

// consume takes from the socket what was peeked at.
func (c *conn) consume() error {
	for c.unread > 0 {
		n, err := c.sock.Read(c.buf[c.end-c.unread : c.end])
		if err != nil {
			return c.readError(err)
		}
		c.unread -= n
	}
	return nil
}

// readError says why reading failed.
func (c *conn) readError(err error) error {
	switch {
	case frontend.IsKick(err):
		return c.kickCause()
	case err == io.EOF:
		if c.sock.Gone() || !c.sock.CanPeek() && !c.sock.Unix && !c.sock.HalfClose {
			c.cancelRequest(cgi.ErrAborted)
			return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, cgi.ErrAborted)
		}
		return io.ErrUnexpectedEOF
	}
	err = fmt.Errorf("%w: %w", cgi.ErrAborted, err)
	c.cancelRequest(err)
	return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
}
