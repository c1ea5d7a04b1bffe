package client

import (
	"os"
	"time"

	"gatehouse/fastcgi/record"
)

// Unasked returns how many management records have come that were no answer: an application may
// tell by them, if both sides have agreed on that, what FastCGI has no record for.
func (c *Conn) Unasked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unasked
}

// Begun returns of how many requests something was sent.
func (c *Conn) Begun() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

// AwaitUnasked reads until n such records have come in all, and no request is in flight. The
// error is that of a connection that has ended, or os.ErrDeadlineExceeded when the time has
// passed; then it may be called again. It must not be called while a response is read.
func (c *Conn) AwaitUnasked(n int, until time.Time) error {
	x := &exchange{conn: c, deadline: until}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.unasked < n || len(c.active) > 0 {
		switch {
		case c.err != nil:
			return c.err
		case x.late:
			return os.ErrDeadlineExceeded
		}
		c.advance(x)
	}
	return c.unusable()
}

// takeUnasked notes the management records that were read along with the last record, and
// reports whether nothing else was. mu is held.
func (c *Conn) takeUnasked() bool {
	for c.records.Whole() {
		h, _, err := c.records.Next()
		if err != nil || h.ID() != 0 {
			return false
		}
		c.unasked++
	}
	return beginsUnasked(c.records.Ahead())
}

// beginsUnasked reports whether b can be the beginning of a management record: of version 1, and
// with id 0.
func beginsUnasked(b []byte) bool {
	for i, want := range []byte{0: record.Version1, 2: 0, 3: 0} {
		if i != 1 && i < len(b) && b[i] != want {
			return false
		}
	}
	return true
}
