package scgi

import (
	"errors"
	"fmt"
	"io"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// bodyTail is how much of the end of a body is peeked at before it is read, so
// that its last byte can stay in the socket. What is before it is read straight
// into the application's buffer.
const bodyTail = 4 << 10

// A body is the body of a request: as many bytes as CONTENT_LENGTH says. It
// outlives the request, so that a goroutine that the application left behind reads
// an error.
type body struct{ c *conn }

// Read implements io.Reader. It waits at most Limits.BodyRead for a byte, and
// Limits.BodyRate holds.
func (b *body) Read(p []byte) (int, error) {
	c := b.c
	if err := c.acquire(); err != nil {
		return 0, err
	}
	defer c.release()
	if c.left == 0 {
		return 0, io.EOF
	}
	if c.readExpired() {
		return 0, frontend.ErrReadLate
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	if len(p) == 0 {
		return 0, nil
	}
	if c.off < c.end {
		n := copy(p, c.buf[c.off:c.end])
		c.off += n
		c.left -= int64(n)
		if c.left == 0 && c.off == c.end {
			c.freeBuffer()
		}
		return n, nil
	}
	n, err := c.await(p)
	c.left -= int64(n)
	if n > 0 || err == nil {
		return n, nil
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the body ended %d bytes before its length: %w", c.left, err)
	}
	return 0, err
}

// await waits for bytes of the body, and reads them into p.
func (c *conn) await(p []byte) (n int, err error) {
	for {
		c.waitFor(inBody)
		if err = c.consume(); err == nil {
			c.freeBuffer()
			if n, err = c.receive(p); n > 0 || err == nil {
				return n, nil
			}
			err = c.readError(err)
		}
		if err != errKicked {
			return 0, err
		}
	}
}

// Close implements io.Closer: it ends the reading, also one that is under way.
func (b *body) Close() error {
	b.c.stopReading(cgi.ErrBodyClosed)
	return nil
}

// receive reads bytes of the body from the socket into p, which is not longer than
// the body. Of the end of the body it leaves a byte in the socket.
func (c *conn) receive(p []byte) (int, error) {
	if !c.peek {
		return c.sock.Read(p)
	}
	if c.left > bodyTail {
		return c.sock.Read(p[:min(int64(len(p)), c.left-bodyTail)])
	}
	n, err := c.sock.Peek(p)
	if err != nil {
		return 0, err
	}
	keep := 0
	if int64(n) == c.left {
		keep = 1
	}
	got := 0
	for got < n-keep {
		m, err := c.sock.Read(p[got : n-keep])
		got += m
		if err != nil {
			return got, err
		}
	}
	c.unread = keep
	return n, nil
}
