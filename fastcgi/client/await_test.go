//go:build unix

package client

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// readRequest reads to the end of a request without a body.
func readRequest(r *record.Reader) error {
	for {
		h, content, err := r.Next()
		if err != nil || h.Type() == record.Stdin && len(content) == 0 {
			return err
		}
	}
}

// TestAwait: the response is there when Begin returns, and one that takes longer comes after.
func TestAwait(t *testing.T) {
	near, far := testkit.Pair(t, "unix")
	c := New(near)
	defer c.Close()
	late := make(chan struct{})
	go func() {
		r := record.NewReader(far)
		for id := uint16(1); readRequest(r) == nil; id++ {
			if id == 2 {
				<-late
			}
			io.WriteString(far, stdout(id, "hello")+stdout(id, "")+ended(id, 0, record.RequestComplete))
		}
	}()
	for id := uint16(1); id <= 3; id++ {
		wait := time.Minute
		if id == 2 {
			wait = time.Nanosecond
		}
		resp, err := c.Begin(t.Context(), &Request{ID: id, KeepConn: true, Await: wait})
		if err != nil {
			t.Fatal(err)
		}
		if id == 2 {
			close(late)
		} else if c.records.Buffered() == 0 {
			t.Error("Begin did not wait for the response")
		}
		if got, err := io.ReadAll(resp); err != nil || string(got) != "hello" {
			t.Errorf("request %d: %q, %v", id, got, err)
		}
		resp.Close()
		if c.Err() != nil || !resp.Sent() {
			t.Fatalf("request %d: %v", id, c.Err())
		}
	}
}

// TestAwaitNotSent: a connection that was closed takes nothing, and Begin says so.
func TestAwaitNotSent(t *testing.T) {
	near, far := testkit.Pair(t, "unix")
	c := New(near)
	defer c.Close()
	far.Close()
	if _, err := c.Begin(t.Context(), &Request{Await: time.Minute}); !errors.Is(err, ErrNotSent) {
		t.Errorf("got %v", err)
	}
}

// TestAwaitLarge: a request that the socket does not take at once is sent all the same.
func TestAwaitLarge(t *testing.T) {
	near, far := testkit.Pair(t, "unix")
	c := New(near)
	c.ParamsBytes = -1
	defer c.Close()
	go func() {
		if readRequest(record.NewReader(far)) == nil {
			io.WriteString(far, stdout(1, "hello")+ended(1, 0, record.RequestComplete))
		}
	}()
	params := func(yield func(name, value string) bool) { yield("LARGE", strings.Repeat("x", 4<<20)) }
	resp, err := c.Begin(t.Context(), &Request{Params: params, Await: time.Minute, SendTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	if got, err := io.ReadAll(resp); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSendTimeout: an application that takes nothing is not waited for.
func TestSendTimeout(t *testing.T) {
	testkit.Longer(t, time.Millisecond, func(t *testing.T, limit time.Duration) (early bool) {
		near, _ := testkit.Pair(t, "unix")
		c := New(near)
		c.ParamsBytes = -1
		defer c.Close()
		params := func(yield func(name, value string) bool) { yield("LARGE", strings.Repeat("x", 4<<20)) }
		resp, err := c.Begin(t.Context(), &Request{Params: params, SendTimeout: limit})
		if errors.Is(err, ErrNotSent) {
			return true
		}
		if err != nil {
			t.Fatal(err) // a part was sent
		}
		defer resp.Close()
		if !errors.Is(c.Err(), os.ErrDeadlineExceeded) {
			t.Errorf("the connection has %v", c.Err())
		}
		return false
	})
}
