package fastcgi

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
)

// A request is a request between BEGIN_REQUEST and END_REQUEST. It is pooled, with the
// memory that the fields before turn hold.
type request struct {
	params []byte     // the PARAMS stream, until its end
	pairs  []cgi.Pair // for decode
	env    cgi.Environ
	sink   sink
	turn
}

// A turn is what a request has for itself.
type turn struct {
	c    *conn
	set  *frontend.Settings[settings] // as of its beginning
	id   uint16
	role cgi.Role
	keep bool // KEEP_CONN

	begun  time.Duration // when BEGIN came
	cgi    cgi.Request
	refuse error // answered instead of running the application

	// What follows is guarded by the connection's mu.

	ready   bool // PARAMS have ended
	overdue bool // answered while the application still runs

	held int64 // of the connection's holding
	room int   // bytes of variables that it suffices for

	stdin stream
	data  *stream // of a Filter, else nil

	context frontend.Context // its cause is why nobody waits for the response

	stopped uint32 // set, atomically, when context has a cause
}

var requests = sync.Pool{New: func() any { return new(request) }}

// newRequest returns a request, for which the connection's holding has grown by a whole
// connection's share. It takes over set.
func newRequest(c *conn, id uint16, b record.Begin, set *frontend.Settings[settings]) *request {
	r := requests.Get().(*request)
	r.c, r.set, r.id, r.keep = c, set, id, b.Flags&record.KeepConn != 0
	r.held, r.room = frontend.FreeMemory, frontend.FreeParams
	r.begun = c.srv.acceptor.Now()
	r.role = cgi.Role(b.Role)
	r.sink.r = r
	r.stdin.r, r.stdin.typ = r, record.Stdin
	if r.role == cgi.Filter {
		r.data = &stream{r: r, typ: record.Data}
	}
	return r
}

// free returns r to the pool. What the application may still hold, its body and
// context, is not pooled.
func (r *request) free() {
	r.env.Reset()
	r.stdin.free()
	if r.data != nil {
		r.data.free()
	}
	r.dropParams()
	r.set.Release()
	params, pairs, out := r.params, r.pairs[:0], r.sink.buf[:0]
	if cap(pairs) > 256 {
		pairs = nil
	}
	if cap(out) > 64<<10 {
		out = nil
	}
	r.params, r.pairs, r.sink = params, pairs, sink{buf: out}
	r.turn = turn{} // in place, which copies nothing
	requests.Put(r)
}

// dropParams empties params, and keeps the memory if it is not much.
func (r *request) dropParams() {
	if r.params = r.params[:0]; cap(r.params) > frontend.FreeParams {
		r.params = nil
	}
}

// prepare makes the request that the application sees.
func (r *request) prepare(params []byte) error {
	err := r.decode(params)
	r.dropParams()
	s := &r.set.T
	r.cgi.Env, r.cgi.Role, r.cgi.Paths, r.cgi.Body = &r.env, r.role, s.paths, http.NoBody
	r.cgi.Multithread, r.cgi.Multiprocess, r.cgi.Protocol = true, true, "fastcgi"
	r.cgi.SetContextSource(r)
	if err != nil {
		return err
	}
	if r.role == cgi.Authorizer {
		// It has no body, whatever CONTENT_LENGTH says of the request that it is asked about
		// (FastCGI 1.0 § 6.3).
		return nil
	}
	n := r.env.BodyLength(true)
	if n > s.limits.BodyBytes {
		return tooLarge("body", n, s.limits.BodyBytes)
	}
	r.stdin.expect(n)
	if r.data != nil {
		n = dataLength(&r.env)
		if n > s.limits.BodyBytes {
			return tooLarge("data", n, s.limits.BodyBytes)
		}
		r.data.expect(n)
	}
	return nil
}

func tooLarge(what string, n, limit int64) error {
	return &cgi.StatusError{Code: http.StatusRequestEntityTooLarge,
		Err: fmt.Errorf("%s of %d bytes, more than %d (body_bytes)", what, n, limit), Check: "body_bytes"}
}

// setBodies sets what the application reads, just before it is run.
func (r *request) setBodies() {
	r.cgi.ContentLength, r.cgi.Body = r.stdin.setBody()
	if r.data != nil {
		_, r.cgi.Data = r.data.setBody()
	}
}

// stream returns the stream of the given type, or nil if the request has none.
func (r *request) stream(typ record.Type) *stream {
	switch typ {
	case record.Stdin:
		return &r.stdin
	case record.Data:
		return r.data
	}
	return nil
}

// streams yields the streams of the request.
func (r *request) streams(yield func(*stream) bool) {
	if yield(&r.stdin) && r.data != nil {
		yield(r.data)
	}
}

// RequestContext implements cgi.ContextSource.
func (r *request) RequestContext() context.Context {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.context.Get(r.c.base)
}

// abort notes that nobody waits for the response any more. The connection's mu is
// held.
func (r *request) abort(cause error) {
	if r.context.Cause() != nil {
		return
	}
	for s := range r.streams {
		if s.err == nil {
			s.err = cause
		}
	}
	// Before the context is done, so that who sees that can write nothing more.
	atomic.StoreUint32(&r.stopped, 1)
	r.context.Cancel(cause)
}
