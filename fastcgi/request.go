package fastcgi

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/frontend"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi/record"
)

// A request is a request between BEGIN_REQUEST and END_REQUEST. It is pooled.
type request struct {
	c    *conn
	id   uint16
	keep bool // KEEP_CONN

	params []byte        // the PARAMS stream, until its end
	begun  time.Duration // when BEGIN came
	env    cgi.Environ
	cgi    cgi.Request
	refuse error // answered instead of running the application
	sink   sink

	// What follows is guarded by the connection's mu.

	ready bool // PARAMS have ended

	body    *body         // nil if there is none
	queue   []byte        // of the body, from the connection's reader
	taken   int           // of the queue
	spool   *spool.Spool  // what did not fit in the queue
	ended   bool          // STDIN has ended
	room    int64         // bytes of STDIN that are still wanted
	left    int64         // bytes that Body.Read still has to give; -1: until STDIN ends
	excess  int64         // bytes beyond the length, which were cut
	bodyErr error         // what Read returns when the queue is empty
	reading bool          // a Read of the body holds the baton
	waiting bool          // a Read of the body waits for bytes
	since   time.Duration // since when

	context frontend.Context // its cause is why nobody waits for the answer
}

var requests = sync.Pool{New: func() any { return new(request) }}

func newRequest(c *conn, id uint16, b record.Begin) *request {
	r := requests.Get().(*request)
	r.c, r.id, r.keep = c, id, b.Flags&record.KeepConn != 0
	r.begun = c.srv.acceptor.Now()
	r.sink.r = r
	return r
}

// free returns r to the pool. What the application may still hold, its body and
// context, is not pooled.
func (r *request) free() {
	r.env.Reset()
	if r.spool != nil {
		r.spool.Close()
	}
	params, queue, out := r.params[:0], r.queue[:0], r.sink.buf[:0]
	if cap(params) > 32<<10 {
		params = nil
	}
	if cap(queue) > 0 {
		putQueue(queue)
	}
	if cap(out) > 64<<10 {
		out = nil
	}
	env := r.env
	*r = request{params: params, env: env, sink: sink{buf: out}}
	requests.Put(r)
}

// decode makes the variables of the PARAMS stream, which has ended (F7, F9, F10).
func (r *request) decode() error {
	limits := &r.c.srv.limits
	p := string(r.params)
	for n := 0; len(p) > 0; n++ {
		if n == limits.ParamsCount {
			return &cgi.StatusError{Code: http.StatusRequestHeaderFieldsTooLarge,
				Err: fmt.Errorf("more than %d variables (params_count)", limits.ParamsCount)}
		}
		name, value, rest, err := record.NextPair(p)
		if err == nil {
			err = r.env.Add(name, value)
		}
		if err != nil {
			return &cgi.StatusError{Code: http.StatusBadRequest, Err: err}
		}
		p = rest
	}
	return nil
}

// prepare makes the request that the application sees.
func (r *request) prepare() error {
	err := r.decode()
	r.params = r.params[:0]
	s := r.c.srv
	r.cgi = cgi.Request{
		Env:          &r.env,
		Role:         cgi.Responder,
		Multithread:  true,
		Multiprocess: true,
		Paths:        s.Paths,
		Body:         http.NoBody,
	}
	r.cgi.SetContextSource(r)
	if err != nil {
		return err
	}
	n := cgi.BodyLength(&r.env, true)
	if n > s.limits.BodyBytes {
		return &cgi.StatusError{Code: http.StatusRequestEntityTooLarge,
			Err: fmt.Errorf("body of %d bytes, more than %d (body_bytes)", n, s.limits.BodyBytes)}
	}
	r.cgi.ContentLength, r.left, r.room = n, n, n
	if n < 0 {
		r.room = 1<<63 - 1
	}
	return nil
}

// settleBody is called just before the request is run: a stream that has ended
// by then has a length, even if no variable states one.
func (r *request) settleBody() {
	if r.left < 0 && r.ended && r.spool == nil {
		r.left = int64(len(r.queue) - r.taken)
		r.cgi.ContentLength = r.left
	}
	if r.left != 0 && r.refuse == nil {
		r.body = &body{c: r.c, r: r}
		r.cgi.Body = r.body
	}
}

// RequestContext implements cgi.ContextSource.
func (r *request) RequestContext() context.Context {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.context.Get(r.c.base)
}

// abort notes that nobody waits for the answer any more. The connection's mu is
// held.
func (r *request) abort(cause error) {
	if r.context.Cause() != nil {
		return
	}
	if r.bodyErr == nil {
		r.bodyErr = cause
	}
	r.context.Cancel(cause)
}
