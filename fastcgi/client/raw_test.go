package client

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/fastcgi/record"
)

// TestRecords: what is sent is what is sent, and what comes is seen as it came.
func TestRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		wait := meanwhile(func() {
			b := make([]byte, 5)
			if _, err := io.ReadFull(far, b); err != nil || string(b) != "bytes" {
				t.Errorf("%q came, %v", b, err)
			}
			far.send("\x01\x63\x00\x07\x00\x02\x03\x09abXYZ")
			far.send("\x01\x06")
			time.Sleep(2 * time.Second)
			far.send("\x00\x01\x00\x00\x00\x00")
			far.Close()
		})
		if err := c.Send(t.Context(), []byte("bytes")); err != nil {
			t.Error(err)
		}
		h, content, err := c.ReadRecord(t.Context())
		if err != nil || h.Type() != 0x63 || h.ID() != 7 || h.PaddingLength() != 3 || string(content) != "ab" {
			t.Errorf("%v, %q, %v", h, content, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := c.ReadRecord(ctx); err != context.DeadlineExceeded {
			t.Errorf("in the middle of a record: %v", err)
		}
		if h, _, err = c.ReadRecord(t.Context()); err != nil || h.Type() != record.Stdout {
			t.Errorf("after that: %v, %v", h, err)
		}
		if _, _, err := c.ReadRecord(t.Context()); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
		wait()
	})
}

// TestSendContext: a write that nobody takes ends with its context, and nothing can
// follow a record that was cut off.
func TestSendContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Send(ctx, []byte("all")); err != context.DeadlineExceeded {
			t.Errorf("nothing taken: %v", err)
		}
		wait := meanwhile(func() { io.ReadFull(far, make([]byte, 4)) })
		if err := c.Send(t.Context(), []byte("one")); err != nil {
			t.Errorf("after that: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Send(ctx, []byte("two")); err != context.DeadlineExceeded {
			t.Errorf("a part taken: %v", err)
		}
		wait()
		if err := c.Send(t.Context(), []byte("three")); err != ErrAbandoned || c.Err() != ErrAbandoned {
			t.Errorf("after a part: %v; the connection: %v", err, c.Err())
		}
		if _, err := c.Do(t.Context(), &Request{}); err != ErrAbandoned {
			t.Errorf("a request: %v", err)
		}
	})
}

// A follower is a connection with something that happens right behind a write.
type follower struct {
	net.Conn
	then func()
}

func (f *follower) Write(p []byte) (int, error) {
	n, err := f.Conn.Write(p)
	f.then()
	return n, err
}

// TestCancelBehindWrite: a context that is done when all has been written is of no
// consequence for whoever writes next.
func TestCancelBehindWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		wait := meanwhile(func() { io.Copy(io.Discard, far) })
		ctx, cancel := context.WithCancel(t.Context())
		c.nc = &follower{c.nc, func() {
			cancel()
			synctest.Wait()
		}}
		if err := c.Send(ctx, []byte("one")); err != nil {
			t.Errorf("the first: %v", err)
		}
		if err := c.Send(t.Context(), []byte("two")); err != nil {
			t.Errorf("the second: %v", err)
		}
		if err := c.Err(); err != nil {
			t.Errorf("the connection: %v", err)
		}
		c.Close()
		wait()
	})
}
