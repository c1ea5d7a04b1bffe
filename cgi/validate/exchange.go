package validate

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gatehouse/cgi"
)

// An exchange is one request to the application and its response. It is never reused,
// so that what the application keeps of it goes on to be told from another's.
type exchange struct {
	outer *cgi.Request // as the gateway has it
	inner *cgi.Request // as the application gets it
	lent  bool         // inner is the gateway's own, and outer a copy from before
	warn  warner

	// ending is what happens when the exchange is over, in the present perfect.
	ending string
	// parent is the exchange around that of a WSGI application inside another, or nil.
	parent *exchange

	mu       sync.Mutex
	idle     sync.Cond // signalled when calls or reads become 0
	detached bool      // the ending has come
	calls    int       // of the ResponseWriter and of Stderr that are under way
	reads    int       // of Body and Data that are under way
	failure  *Error    // the first rule that was broken
	bodies   []*wsgiBody
}

// newExchange makes the application's request: a copy, since the gateway reuses its
// own.
func newExchange(r *cgi.Request, warn warner) *exchange {
	x := &exchange{outer: r, inner: new(cgi.Request), warn: warn, ending: "ServeCGI has returned"}
	*x.inner = *r
	if !r.HasContext() {
		x.inner.SetContextSource(contextOf{r})
	}
	x.lend()
	return x
}

// lend gives the application's request the streams of the gateway's.
func (x *exchange) lend() {
	x.idle.L = &x.mu
	x.inner.Body = &body{reader: reader{x, "r.Body", x.outer.Body}}
	if x.outer.Data != nil {
		x.inner.Data = &reader{x, "r.Data", x.outer.Data}
	}
	x.inner.Stderr = &stderr{x, x.outer.Stderr}
}

// run runs the application, and returns when it has and nothing of the gateway's is
// in use any more.
func (x *exchange) run(a cgi.App, w *writer) error {
	defer x.detach()
	return a.ServeCGI(w, x.inner)
}

// V48: w, Body, Data and Stderr are not used after ServeCGI has returned.

// beginCall begins a call, which n counts, unless the exchange is over.
func (x *exchange) beginCall(n *int, name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.detached {
		panic(broken("V48", "%s is used after %s", name, x.ending))
	}
	*n++
}

// endCall ends a call.
func (x *exchange) endCall(n *int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if *n--; *n == 0 {
		x.idle.Broadcast()
	}
}

// detach lets no call begin any more, waits for those under way, and gives back what
// the application has made of the request. In a CGI program nothing can interrupt a
// Read of standard input: there detach does not wait for it.
func (x *exchange) detach() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.detached = true
	if x.calls > 0 {
		x.noteBrokenLocked(broken("V48", "%s while a call of the ResponseWriter or of r.Stderr was under way", x.ending))
	}
	if x.reads > 0 && !x.outer.RunOnce {
		x.noteBrokenLocked(broken("V48", "%s while a Read of the body was under way", x.ending))
		x.mu.Unlock()
		x.outer.CloseBody()
		x.mu.Lock()
	}
	for x.calls > 0 || x.reads > 0 && !x.outer.RunOnce {
		x.idle.Wait()
	}
	for _, b := range x.bodies {
		if e := b.checkClosed(); e != nil {
			x.noteBrokenLocked(e)
		}
	}
	body, data, stderr := x.outer.Body, x.outer.Data, x.outer.Stderr
	r := x.inner
	if !x.lent {
		r = x.outer
		before := *r
		*r = *x.inner
		if !r.HasContext() {
			// The source of the copy's context is r itself.
			r.SetContextSource(contextOf{&before})
		}
	}
	r.Body, r.Data, r.Stderr = body, data, stderr
}

// noteBroken notes that a rule was broken and returns e.
func (x *exchange) noteBroken(e *Error) *Error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.noteBrokenLocked(e)
	return e
}

func (x *exchange) noteBrokenLocked(e *Error) {
	if x.failure == nil {
		x.failure = e
	}
	if x.parent != nil {
		x.parent.noteBroken(e)
	}
}

// failed returns the first rule that was broken, or nil.
func (x *exchange) failed() *Error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.failure
}

// verdict returns what ServeCGI returns where the application has returned err. The
// application may have wrapped a failure that a method gave it, to choose a status
// for it, but it cannot have another error in its place.
func (x *exchange) verdict(err error) error {
	e := x.failed()
	switch {
	case e == nil:
		return err
	case err == nil:
		return e
	case errors.Is(err, e):
		return err
	}
	return fmt.Errorf("%w; the application returned: %v", e, err)
}

// A contextOf takes a request's context from another request, which then has it.
type contextOf struct{ request *cgi.Request }

// RequestContext implements cgi.ContextSource.
func (c contextOf) RequestContext() context.Context { return c.request.Context() }
