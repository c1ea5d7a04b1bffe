package client

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/fastcgi/record"
)

// TestEarlyResponse: an application may answer, and even end the request, before it has
// read the body.
func TestEarlyResponse(t *testing.T) {
	c, far := pipe(t)
	endless := &closing{Reader: zeros{}}
	more := make(chan struct{})
	wait := meanwhile(func() {
		far.until(record.Params, 1)
		far.send(hello(1))
		<-more
		far.until(record.BeginRequest, 1) // what is left of the body comes first
		far.until(record.Stdin, 1)
		far.send(hello(1))
	})
	r, err := c.Do(t.Context(), &Request{KeepConn: true, Stdin: endless})
	if err != nil {
		t.Fatal(err)
	}
	if b := body(t, r); b != "hello" {
		t.Errorf("body %q", b)
	}
	close(more)
	second, err := c.Do(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	if b := body(t, second); b != "hello" {
		t.Errorf("the next body %q", b)
	}
	wait()
	r.Close()
	second.Close()
	if endless.closed != 1 || c.Err() != nil {
		t.Errorf("the stream was closed %d times; the connection: %v", endless.closed, c.Err())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestBrokenStream: a body that breaks off is never taken for a whole one.
func TestBrokenStream(t *testing.T) {
	c, far := pipe(t)
	wait := meanwhile(func() {
		for {
			h, content, err := far.records.Next()
			if err != nil {
				return // the connection was closed
			}
			if h.Type() == record.Stdin && len(content) == 0 {
				t.Error("STDIN was ended")
			}
		}
	})
	broken := errors.New("broken")
	_, err := c.Do(t.Context(), &Request{KeepConn: true, Stdin: io.MultiReader(strings.NewReader("x"), failing{broken})})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if c.Err() == nil {
		t.Error("the connection is taken for good")
	}
	wait()
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestUntakenStream: an application that ends a request and then takes nothing does not
// hold up Close.
func TestUntakenStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		wait := meanwhile(func() {
			far.until(record.Stdin, 1)
			synctest.Wait() // another record is being written
			far.send(hello(1))
		})
		r, err := c.Do(t.Context(), &Request{KeepConn: true, Stdin: zeros{}})
		if err != nil {
			t.Fatal(err)
		}
		if b := body(t, r); b != "hello" {
			t.Errorf("body %q", b)
		}
		start := time.Now()
		r.Close()
		if waited := time.Since(start); waited != closeWait || c.Err() != ErrAbandoned {
			t.Errorf("closed after %v; the connection: %v", waited, c.Err())
		}
		wait()
	})
}
