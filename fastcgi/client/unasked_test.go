package client

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// free is a management record that nobody has asked for.
var free = string(record.AppendRecord(nil, record.GetValuesResult, 0, nil))

// TestUnasked: management records that are no answer are counted, and those behind the end of a request do
// not spoil the connection, as anything else does.
func TestUnasked(t *testing.T) {
	head, end := stdout(1, "A: b\n\n"), ended(1, 0, record.RequestComplete)
	for _, tt := range []struct {
		name, sent string
		unasked    int
		err        string
	}{
		{"none", head + end, 0, ""},
		{"ahead of the end", head + free + end, 1, ""},
		{"behind the end", head + end + free, 1, ""},
		{"one each", head + free + end + free, 2, ""},
		{"of another type", head + end + string(record.AppendUnknownType(nil, 100)), 1, ""},
		{"a part", head + end + free[:1], 0, ""},
		{"a larger part", head + end + free[:7], 0, ""},
		{"one and a part", head + end + free + free[:4], 1, ""},
		{"a response", head + end + free + head, 1, "more came behind it"},
		{"a part of a response", head + end + head[:4], 0, "more came behind it"},
		{"garbage", head + end + "garbage", 0, "more came behind it"},
		{"garbage behind one", head + end + free + "x", 1, "more came behind it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := scripted(tt.sent)
			defer c.Close()
			r, err := c.Do(t.Context(), &Request{KeepConn: true})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			body(t, r)
			if n := c.Unasked(); n != tt.unasked || c.Begun() != 1 {
				t.Errorf("%d records for %d requests; want %d", n, c.Begun(), tt.unasked)
			}
			var wrong *ProtocolError
			if err := c.Err(); (err == nil) != (tt.err == "") || err != nil && (!errors.As(err, &wrong) || wrong.Reason != tt.err) {
				t.Errorf("%v; want %q", err, tt.err)
			}
		})
	}
}

// TestAwaitUnasked: they are awaited until the time has passed, or the connection has ended.
func TestAwaitUnasked(t *testing.T) {
	near, there := testkit.Pair(t, "unix")
	c := New(near)
	defer c.Close()
	await := func(n int, d time.Duration) error { return c.AwaitUnasked(n, time.Now().Add(d)) }
	if err := await(0, 0); err != nil {
		t.Errorf("for none: %v", err)
	}
	if err := await(1, time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("before it has come: %v", err)
	}
	io.WriteString(there, free[:3])
	if err := await(1, time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("for a part: %v", err)
	}
	io.WriteString(there, free[3:]+free)
	if err := await(2, testkit.Patience); err != nil || c.Unasked() != 2 {
		t.Errorf("%v, %d records", err, c.Unasked())
	}
	there.Close()
	if err := await(2, 0); err != nil {
		t.Errorf("for what has come: %v", err)
	}
	if err := await(3, testkit.Patience); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// TestKeepAborted: a response that is closed before its end is aborted, and does not cost the connection.
func TestKeepAborted(t *testing.T) {
	near, there := testkit.Pair(t, "unix")
	c := New(near)
	c.KeepAborted = true
	defer c.Close()
	f := &far{t, there, record.NewReader(there)}
	wait := meanwhile(func() {
		f.until(record.Stdin, 1)
		f.send(stdout(1, "A: b\n\nhalf"))
		f.until(record.AbortRequest, 1)
		f.send(stdout(1, "and more of it"), free, ended(1, 1, record.RequestComplete))
		f.until(record.Stdin, 2)
		f.send(hello(2))
	})
	r, err := c.Do(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := c.Err(); err != nil {
		t.Errorf("the connection: %v", err)
	}
	if err := c.AwaitUnasked(1, time.Now().Add(testkit.Patience)); err != nil {
		t.Errorf("%v", err)
	}
	if r, err = c.Do(t.Context(), &Request{KeepConn: true, ID: 2}); err != nil {
		t.Fatal(err)
	}
	if b := body(t, r); b != "hello" {
		t.Errorf("the next: %q", b)
	}
	r.Close()
	wait()
}

// TestKeepAbortedUnsent: a request of which nothing was sent is not aborted, and does not count.
func TestKeepAbortedUnsent(t *testing.T) {
	near, there := net.Pipe()
	defer there.Close()
	c := New(near)
	c.KeepAborted = true
	defer c.Close()
	r := &Response{x: exchange{conn: c}}
	if err := c.reserve(&r.x, &Request{KeepConn: true}); err != nil {
		t.Fatal(err)
	}
	r.x.cancel(io.ErrClosedPipe) // before anything was written
	r.Close()
	if c.Err() != nil || c.Begun() != 0 || len(c.active) != 0 {
		t.Errorf("%v, %d begun, %d in flight", c.Err(), c.Begun(), len(c.active))
	}
}
