package cgi

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// A handlerBody is the Body of an http.Request. Once the handler has returned it
// reads no more from the front-end's body, which may be another request's then.
type handlerBody struct {
	reading sync.Mutex // held during a Read
	closed  atomic.Bool

	mu      sync.Mutex
	request *Request // nil once the handler has returned; guarded by mu
}

// Read implements io.Reader.
func (b *handlerBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	b.mu.Lock()
	r := b.request
	b.mu.Unlock()
	if r == nil || b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := r.Body.Read(p)
	if err != nil && err != io.EOF {
		err = handlerError(err)
	}
	return n, err
}

// handlerError returns what a http.Handler sees of an error of a front-end: that says what
// the handler compares with ==, where programs for net/http have always done so.
func handlerError(err error) error {
	if e := (interface{ HandlerError() error })(nil); errors.As(err, &e) {
		return e.HandlerError()
	}
	return err
}

// Close implements io.Closer. A Read that is under way returns.
func (b *handlerBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed.Store(true)
	if b.request != nil {
		b.interrupt(b.request)
	}
	return nil
}

// interrupt makes a Read that is under way return, and reports whether there is
// none. The wait of a Flush for the body ends, too.
func (b *handlerBody) interrupt(r *Request) (idle bool) {
	if b.reading.TryLock() {
		b.reading.Unlock()
		if kept, ok := r.Body.(*bufferedBody); ok {
			kept.stopBuffering()
		}
		return true
	}
	r.CloseBody()
	return false
}

// detach closes the body and waits for a Read that is under way, but not in a CGI program:
// nothing can interrupt its standard input, and its process is about to exit.
func (b *handlerBody) detach() {
	b.mu.Lock()
	r := b.request
	b.request = nil
	b.mu.Unlock()
	if r == nil || b.interrupt(r) || r.RunOnce {
		return
	}
	b.reading.Lock()
	defer b.reading.Unlock()
}
