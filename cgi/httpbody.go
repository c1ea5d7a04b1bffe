package cgi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// An httpBody is the body of a request that came over net/http, held to the
// limits on its length and on the wait for its next byte.
type httpBody struct {
	body    io.Reader
	control *http.ResponseController
	wait    time.Duration
	limit   int64 // of bytes
	read    int64
	err     error // what every later Read returns

	mu      sync.Mutex // guards what follows, and orders it with the deadlines
	idle    sync.Cond  // signalled when reading becomes false
	reading bool       // a Read is under way
	closed  bool
	own     bool // the application has set a deadline of its own
	touched bool // a deadline was set
	ended   bool // the request is over, and the connection may carry another
}

func newHTTPBody(r io.Reader, c *http.ResponseController, l Limits) *httpBody {
	b := &httpBody{body: r, control: c, wait: l.BodyRead, limit: l.BodyBytes}
	b.idle.L = &b.mu
	return b
}

// Read implements io.Reader.
func (b *httpBody) Read(p []byte) (int, error) {
	if err := b.arm(); err != nil {
		return 0, err
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.body.Read(p)
	closed, own := b.disarm()
	if b.read += int64(n); b.read > b.limit {
		// What is over the limit was read only to see whether the body ends.
		n -= int(b.read - b.limit)
		b.read, err = b.limit, tooLarge(b.limit)
	}
	if err == nil {
		return n, nil
	}
	switch {
	case closed && err != io.EOF:
		err = ErrBodyClosed
	case !own && errors.Is(err, os.ErrDeadlineExceeded):
		err = &StatusError{Code: http.StatusRequestTimeout,
			Err: fmt.Errorf("no byte of the body for %v (body_read): %w", b.wait, err)}
	}
	b.err = err
	return n, err
}

// arm begins a Read.
func (b *httpBody) arm() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrBodyClosed
	}
	b.reading = true
	if !b.own {
		b.setDeadline(time.Now().Add(b.wait))
	}
	return nil
}

// disarm ends a Read. While nobody waits for the body its limit does not run; and
// net/http would take its end for a client that has gone.
func (b *httpBody) disarm() (closed, own bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	b.idle.Broadcast()
	if !b.closed && !b.own {
		b.setDeadline(time.Time{})
	}
	return b.closed, b.own
}

// setDeadline sets the connection's deadline, and reports whether it has one: where
// a server gives none there is no limit to hold. The mu is held.
func (b *httpBody) setDeadline(t time.Time) bool {
	b.touched = true
	return !b.ended && b.control.SetReadDeadline(t) == nil
}

// setOwn sets a deadline in the place of the limit.
func (b *httpBody) setOwn(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.ended {
		return ErrBodyClosed
	}
	b.own, b.touched = true, true
	return b.control.SetReadDeadline(t)
}

// Close implements io.Closer. A Read that is under way returns.
func (b *httpBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.reading {
		b.setDeadline(aLongTimeAgo)
	}
	return nil
}

// end closes the body when the request is over, and leaves the connection without
// a deadline of this request's.
func (b *httpBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.reading && b.setDeadline(aLongTimeAgo) {
		for b.reading {
			b.idle.Wait()
		}
	}
	if b.touched {
		b.setDeadline(time.Time{})
	}
	b.ended = true
}
