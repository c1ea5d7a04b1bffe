package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// TestSequence: several requests on one connection, one after the other.
func TestSequence(t *testing.T) {
	c, s := scripted(hello(1), hello(1), ended(1, 0, record.Overloaded), hello(7), hello(1))
	s.in = &oneRecord{s.in}
	for i, req := range []Request{{KeepConn: true}, {KeepConn: true}, {KeepConn: true}, {KeepConn: true, ID: 7}, {}} {
		r, err := c.Do(t.Context(), &req)
		if i == 2 {
			if e, ok := errors.AsType[*EndError](err); !ok || e.End.ProtocolStatus != record.Overloaded {
				t.Errorf("the refused request: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if b := body(t, r); b != "hello" || r.ID() != max(req.ID, 1) {
			t.Errorf("request %d: id %d, %q", i, r.ID(), b)
		}
		if i%2 == 0 { // it need not be closed first
			defer r.Close()
		} else {
			r.Close()
		}
	}
	if err := c.Err(); err != ErrNotKept {
		t.Errorf("after a request without KeepConn: %v", err)
	}
	if _, err := c.Do(t.Context(), &Request{}); err != ErrNotKept {
		t.Errorf("another request: %v", err)
	}
	c.Close()
	if _, err := c.Do(t.Context(), &Request{}); err != ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}

// A oneRecord reads no further than to the end of a record.
type oneRecord struct{ r io.Reader }

func (o *oneRecord) Read(p []byte) (int, error) {
	var h [record.HeaderLen]byte
	if _, err := io.ReadFull(o.r, h[:]); err != nil {
		return 0, err
	}
	n := copy(p, h[:])
	rest := record.Header(h[:]).ContentLength() + record.Header(h[:]).PaddingLength()
	m, err := io.ReadFull(o.r, p[n:n+rest])
	return n + m, err
}

func TestIDInUse(t *testing.T) {
	c, far := pipe(t)
	wait := meanwhile(func() {
		far.until(record.Stdin, 1)
		far.send(stdout(1, "A: b\n\n"))
		far.until(record.Stdin, 2)
		far.send(hello(2))
	})
	r, err := c.Do(t.Context(), &Request{ID: 1, KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := c.Do(t.Context(), &Request{ID: 1}); !errors.Is(err, ErrID) {
		t.Errorf("id in use: %v", err)
	}
	second, err := c.Do(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	if second.ID() != 2 {
		t.Errorf("the lowest free id is %d", second.ID())
	}
	body(t, second)
	second.Close()
	wait()
}

// TestCloseEarly: a response that is closed before its end costs the connection.
func TestCloseEarly(t *testing.T) {
	c, s := scripted(stdout(1, "A: b\n\nhalf"))
	r, err := c.Do(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if !s.closed || c.Err() != ErrAbandoned {
		t.Errorf("closed: %v; the connection: %v", s.closed, c.Err())
	}
}

// TestCloseBehindEnd: a request that has ended before its abort could be sent is not
// aborted, as its id may be another's by then.
func TestCloseBehindEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		wait := meanwhile(func() {
			far.until(record.Stdin, 1)
			far.send(stdout(1, "A: b\n\n"))
			far.until(record.Stdin, 2)
			far.send(stdout(2, "A: b\n\n"))
		})
		first, err := c.Do(t.Context(), &Request{KeepConn: true})
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.Do(t.Context(), &Request{KeepConn: true})
		if err != nil {
			t.Fatal(err)
		}
		wait()
		sent := meanwhile(func() { c.Send(t.Context(), record.AppendRecord(nil, record.GetValues, 0, nil)) })
		synctest.Wait()
		closed := meanwhile(func() { first.Close() })
		synctest.Wait() // it waits for its turn to write
		read := meanwhile(func() { body(t, second) })
		far.send(ended(1, 0, record.RequestComplete))
		synctest.Wait()
		answered := meanwhile(func() {
			if third, err := c.Do(t.Context(), &Request{ID: 1, KeepConn: true}); err == nil {
				body(t, third)
			}
		})
		synctest.Wait()
		var types []record.Type
		for {
			h, _, err := far.records.Next()
			if err != nil {
				t.Fatal(err)
			}
			if types = append(types, h.Type()); h.Type() == record.Stdin {
				break
			}
		}
		if want := []record.Type{record.GetValues, record.BeginRequest, record.Params, record.Stdin}; !slices.Equal(types, want) {
			t.Errorf("sent: %v; want %v", types, want)
		}
		far.send(hello(1), ended(2, 0, record.RequestComplete))
		sent()
		closed()
		read()
		answered()
		second.Close()
	})
}

// TestConnClose: it ends what is in flight.
func TestConnClose(t *testing.T) {
	c, far := pipe(t)
	wait := meanwhile(func() {
		far.until(record.Stdin, 1)
		c.Close()
	})
	if _, err := c.Do(t.Context(), &Request{}); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
	wait()
	if _, _, err := c.ReadRecord(t.Context()); err != ErrClosed {
		t.Errorf("ReadRecord: %v", err)
	}
	if err := c.Send(t.Context(), []byte("x")); err != ErrClosed {
		t.Errorf("Send: %v", err)
	}
}

func TestDial(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	c, err := Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.NetConn().RemoteAddr().String() != l.Addr().String() {
		t.Errorf("connected to %v", c.NetConn().RemoteAddr())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, "tcp", l.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
