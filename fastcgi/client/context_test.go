package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/fastcgi/record"
)

// TestContext: it ends every wait: for the head, for the body, and for an application
// that takes nothing.
func TestContext(t *testing.T) {
	for _, tt := range []struct {
		name string
		req  Request
		far  func(f *far)
	}{
		{"nothing is read", Request{}, func(*far) {}},
		{"the body is not read", Request{Stdin: zeros{}}, func(f *far) { f.until(record.Params, 1) }},
		{"no head", Request{Stdin: strings.NewReader("x")}, func(f *far) { f.until(record.Stdin, 1) }},
		{"no body", Request{}, func(f *far) {
			f.until(record.Stdin, 1)
			f.send(stdout(1, "A: b\n\n"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, far := pipe(t)
				wait := meanwhile(func() { tt.far(far) })
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("too late"))
				defer cancel()
				start := time.Now()
				tt.req.KeepConn = true
				r, err := c.Do(ctx, &tt.req)
				if err == nil {
					_, err = r.Read(make([]byte, 1))
					r.Close()
				}
				if err == nil || err.Error() != "too late" || time.Since(start) != time.Minute {
					t.Errorf("error %v after %v", err, time.Since(start))
				}
				if c.Err() == nil {
					t.Error("the connection is taken for good")
				}
				wait()
			})
		})
	}
}

// TestContextAlone: the context of one request ends no other.
func TestContextAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		wait := meanwhile(func() {
			far.until(record.Stdin, 2)
			far.until(record.AbortRequest, 1)
			far.send(ended(1, 0, 0), hello(2))
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := make(chan error)
		go func() {
			_, err := c.Do(ctx, &Request{ID: 1, KeepConn: true})
			first <- err
		}()
		synctest.Wait() // the first is the one that reads
		got := make(chan string)
		go func() {
			r, err := c.Do(t.Context(), &Request{ID: 2, KeepConn: true})
			if err != nil {
				t.Error(err)
				close(got)
				return
			}
			defer r.Close()
			got <- body(t, r)
		}()
		if err := <-first; err != context.DeadlineExceeded {
			t.Errorf("the first: %v", err)
		}
		if b := <-got; b != "hello" {
			t.Errorf("the second: %q", b)
		}
		wait()
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	})
}

// TestAbort: the application ends the request, and the connection is good.
func TestAbort(t *testing.T) {
	c, far := pipe(t)
	wait := meanwhile(func() {
		far.until(record.Stdin, 1)
		far.send(stdout(1, "A: b\n\nhalf"))
		far.until(record.AbortRequest, 1)
		far.send(ended(1, 9, 0))
		far.until(record.Stdin, 1)
		far.send(hello(1))
	})
	r, err := c.Do(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Abort(); err != nil {
		t.Error(err)
	}
	if b := body(t, r); b != "half" {
		t.Errorf("body %q", b)
	}
	if end, ok := r.End(); !ok || end.AppStatus != 9 {
		t.Errorf("end %+v, %v", end, ok)
	}
	if err := r.Abort(); err != nil {
		t.Errorf("after the end: %v", err)
	}
	r.Close()
	r, err = c.Do(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	if b := body(t, r); b != "hello" {
		t.Errorf("the next: %q", b)
	}
	r.Close()
	wait()
}
