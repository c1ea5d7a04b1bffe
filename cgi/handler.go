package cgi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi/spool"
)

// A Handler runs applications: it is the Go form of wsgiref's BaseCGIHandler, and every
// front-end hands its requests to one. It owns all rules of framing, so that a front-end
// only decodes and encodes:
//
//   - The status is always sent, and is never 1xx.
//   - 204 and 304 have no body and no Content-Length, a response to HEAD has no body.
//   - Hop-by-hop fields and Transfer-Encoding are removed (RFC 3875 § 6.3.5).
//   - A body longer than its Content-Length is cut, a shorter one is a visible truncation.
//   - A response that is complete before anything was sent gets a Content-Length.
//   - Control characters, and a field named Status, are errors.
//   - The head is not sent before the request's body has arrived: what the application has
//     not read of it is buffered, as far as Handler.Spool allows. A response that is
//     complete by then does not wait.
//   - HTTP_PROXY never reaches an application (CVE-2016-5385, "httpoxy").
//   - That REMOTE_ADDR or the name of a user was sent with two values is logged, once for
//     each such variable; see [Environ.Add] for what the application gets.
//   - An error, a panic, or no response at all becomes an error page or, once the head was
//     sent, a visible truncation.
//
// The zero value is ready to use. A Handler must not be copied after first use;
// one may serve any number of front-ends at once.
type Handler struct {
	// Log receives one line for each failed request. If nil, it is slog.Default().
	Log *slog.Logger

	// AccessLog, if not nil, is called once for each request, when it has ended. It must
	// not keep the Request.
	AccessLog func(*Request, Result)

	// Observe, if not nil, is called when each request begins, before its application runs,
	// and returns what follows it, or nil. It may wrap the request's context by SetContext,
	// so that an application finds a span there. The Observation is told the head and the end
	// of the response; for the names and ids of a trace see [Environ.TraceParent].
	Observe func(*Request) Observation

	// Spool bounds what is buffered of a body that the application has not read when the
	// head of its response is to be sent (see [EnableFullDuplex]). The rest of a longer
	// body is read when the application asks for it. If Spool has no totals, the Handler
	// has one of its own, of 8 GiB.
	Spool spool.Limits

	// ErrorStatus, ErrorHeaders and ErrorBody are the error page for an application that
	// failed without a [StatusError], or panicked. The defaults are wsgiref's: "500
	// Internal Server Error", a Content-Type of text/plain, and a line that says nothing
	// about the cause.
	ErrorStatus  string
	ErrorHeaders []Field
	ErrorBody    string

	// ErrorOutput, if not nil, responds in place of every error page. It may send whatever
	// an application may; if it fails before the head is sent, the default page is sent.
	// The rest of the request's Body is gone: Read returns ErrBodyClosed.
	ErrorOutput func(w ResponseWriter, r *Request, err error) error

	// LogError, if not nil, gets each failure that would have a line of level WARN or
	// above in the log, in place of that line. The stack is that of a panic, or nil.
	LogError func(r *Request, err error, stack []byte)

	// StackLimit bounds how many calls of a panic's stack are logged, from the one that
	// panicked upwards: traceback_limit. Zero means all.
	StackLimit int

	// OriginServer makes the Handler write heads as an HTTP server does, with a status
	// line, Date and Server, and none at all to a client of HTTP/0.9 (SERVER_PROTOCOL).
	// Front-ends that write CGI text pass that on as it is: use it where nothing sits
	// between the application and the client, as for a script whose name begins with
	// "nph-" (RFC 3875 § 5). The method HTTP, which does this anyway, ignores it.
	OriginServer bool

	// HTTPVersion is that of an origin server's status line: "1.0" if empty.
	HTTPVersion string

	// ServerSoftware is the Server field of an origin server, and the SERVER_SOFTWARE
	// of a request that has none. If empty, there is no such field.
	ServerSoftware string

	// Now is the clock of an origin server's Date field. If nil, it is time.Now.
	Now func() time.Time

	// BaseEnv holds variables that a request gets unless it has one of that name. wsgiref
	// uses the process's environment ([ReadEnviron]), which says more about the machine
	// than an application should see.
	BaseEnv *Environ

	// RunFlags, if not nil, replaces the front-end's Multithread, Multiprocess and RunOnce.
	// A CGI program stays RunOnce: nothing can interrupt its standard input.
	RunFlags *RunFlags

	// Scheme, if not nil, returns wsgi.url_scheme; see [Environ.Scheme].
	Scheme func(*Environ) string

	// CleanupHeaders, if not nil, may change the header fields of every response,
	// including error pages, before they are checked. An error page that it makes invalid
	// is sent as if there were no CleanupHeaders.
	CleanupHeaders func(r *Request, code int, h *Headers)

	// NoContentLength keeps the Handler from adding a Content-Length to a response that is
	// complete before anything was sent, and to the single block of a [WSGI] application,
	// of any length.
	NoContentLength bool

	// SendFile, if not nil, may send a [File] that a [WSGI] application returned. It is
	// called after StartResponse. If it reports false, it must have written nothing.
	SendFile func(w ResponseWriter, f *File) (sent bool, err error)

	// RunTime is the whole time that an application may take for a request. When it has
	// passed, the request's context is cancelled with a [StatusError] of 504 as the cause,
	// and from then on everything that the application reads and writes returns that
	// error. If nothing was sent yet, the client gets the error page at once; otherwise
	// the response is truncated at once, or after the write that is under way. Zero means
	// no limit.
	//
	// Nothing can stop an application that ignores this: its goroutine stays, and with it
	// Run and the slot of its connection (Limits.Connections). Shutdown and Close of a
	// front-end wait for it, except over HTTP; see [Handler.HTTP]. The log has a line when
	// the limit passes, and another one if the application returns more than a second
	// later.
	//
	// ErrorOutput, CleanupHeaders and LogError are then called on another goroutine, while
	// the application may still run. They get a copy of the request from before the
	// application began.
	RunTime time.Duration

	// FirstByte bounds the time until the head of the response is sent, from the start or,
	// if the request has a body, from the last byte of it that the application read or the
	// Handler buffered. Time spent waiting for the body does not count. When it has passed,
	// the same happens as for RunTime. Zero means no limit.
	//
	// Programs that package script runs have limits of their own, which terminate them.
	FirstByte time.Duration

	// RequestIDFrom is the variable that holds the id of a request, such as
	// HTTP_X_REQUEST_ID, which a proxy in front has set: see [Request.RequestID]. A value
	// that is not valid is ignored. If RequestIDFrom is empty, it is REQUEST_ID for a CGI
	// program, whose environment the web server has made, and none otherwise: ids are made.
	// Whoever can set the variable can repeat an id.
	RequestIDFrom string

	// ErrorRequestID has the default error pages end in a line with the RequestID, for the
	// user to quote: "Request k7rm3qxp-17". It is not added to an ErrorBody.
	ErrorRequestID bool

	contradictions contradictions
	books          atomic.Pointer[ledger] // nil until it is needed
	advised        atomic.Bool            // about PATH_INFO
	spoolOnce      sync.Once
	spoolLimits    spool.Limits // Spool, with its totals
}

// RunFlags are PEP 3333's wsgi.multithread, wsgi.multiprocess and wsgi.run_once.
type RunFlags struct {
	Multithread, Multiprocess, RunOnce bool
}

// A Result says how a request ended.
type Result struct {
	Outcome
	Code      int           // status code that was sent, 0 if no head was
	Bytes     int64         // bytes of body that were sent
	BytesIn   int64         // bytes of the request's body that were read
	Err       error         // what went wrong, or nil
	Check     string        // what refused the request, or the limit of time that ended it: StatusError.Check; or ""
	Start     time.Time     // when the request began; zero unless Handler.AccessLog or Observe is set
	FirstByte time.Duration // from then until the head was sent, with which much of the body may have come; 0 if none was
	Duration  time.Duration // from then until the response ended

	// Application is the name of the application; see RequestStats.
	Application string

	// Usage is what the program that served the request took, and how long the request waited.
	Usage Usage
}

func (h *Handler) log() *slog.Logger {
	if h.Log != nil {
		return h.Log
	}
	return slog.Default()
}

// Run runs a for one request and finishes the sink, whatever happens. It returns when a has
// returned. If a time limit passes, another goroutine finishes the sink before that.
func (h *Handler) Run(r *Request, s Sink, a App) (res Result) {
	l := h.ledger()
	h.identify(r, &l.numbers)
	start := l.now()
	err := h.setupEnviron(r)
	w := newResponse(h, r, s)
	w.ledger, w.flight.start = l, start
	if r.Stderr == nil {
		r.Stderr = &w.stderr
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if r.ContentLength != 0 && r.Body != http.NoBody {
		w.body = newBufferedBody(r.Body, h.spool())
		w.body.flight = &w.flight
		r.Body = w.body
	}
	w.enter()
	closed := false
	defer func() {
		if !closed { // a hook has panicked, or the application has ended its goroutine
			w.settle(&Result{Outcome: Outcome{End: Truncated}})
			w.close()
		}
	}()
	if h.Observe != nil {
		err = w.observe(err)
	}
	if err == nil {
		err = h.inspectPath(r, a)
	}
	var t *timeout
	if err == nil {
		var out ResponseWriter = w
		if _, refused := a.(refusal); h.limited() && !refused {
			t = newTimeout(w)
			out = &timedWriter{t}
		}
		err = w.call(a, out, r)
	}
	expired := t != nil && t.stopClock()
	w.stderr.detach()
	if w.body != nil {
		w.body.discard()
	}
	if expired {
		res = t.logLateReturn(err)
	} else {
		w.finish(err, &res)
	}
	closed = true
	w.close()
	w.free()
	if h.AccessLog != nil {
		h.AccessLog(r, res)
	}
	return res
}

// close takes the request off the list of those in flight.
func (w *response) close() {
	w.leave()
	w.app.response = nil
	if w.flight.cancel != nil {
		w.flight.cancel(context.Canceled)
	}
}

func (h *Handler) spool() spool.Limits {
	h.spoolOnce.Do(func() { h.spoolLimits = h.Spool.WithTotals() })
	return h.spoolLimits
}

// setupEnviron completes the variables of a request: setup_environ. A panic of the
// Handler's Scheme is an error.
func (h *Handler) setupEnviron(r *Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, limitStack(debug.Stack(), h.StackLimit)}
		}
	}()
	if len(r.Env.contradicted) > 0 {
		h.contradictions.log(h.log(), r)
	}
	if h.BaseEnv != nil {
		for name, value := range h.BaseEnv.All() {
			r.Env.SetDefault(name, value)
		}
	}
	// A header field of the client's, which programs take for their own setting. A CGI
	// program has it in the process's environment, too.
	r.Env.Del("HTTP_PROXY")
	if h.OriginServer && h.ServerSoftware != "" {
		r.Env.SetDefault("SERVER_SOFTWARE", h.ServerSoftware)
	}
	if h.Scheme != nil {
		r.Env.SetScheme(h.Scheme(r.Env))
	}
	if f := h.RunFlags; f != nil {
		r.Multithread, r.Multiprocess, r.RunOnce = f.Multithread, f.Multiprocess, f.RunOnce || r.program
	}
	return nil
}

// inspectPath refuses a path that the web server and the application would not agree on, and
// logs what is wrong with the one that was sent. Every request of a web server has that, so
// one line is enough.
func (h *Handler) inspectPath(r *Request, a App) error {
	if _, refused := a.(refusal); refused {
		return nil
	}
	advice, err := r.InspectPath()
	if advice != "" && h.advised.CompareAndSwap(false, true) {
		h.log().Warn("path mended; this is logged once", r.LogAttr(), "script_name", r.Env.Get("SCRIPT_NAME"), "advice", advice)
	}
	return err
}

// Refuse responds to a request that cannot be given to an application, as Run does for an
// App that returns err at once.
func (h *Handler) Refuse(r *Request, s Sink, err error) Result {
	return h.Run(r, s, refusal{err})
}

type refusal struct{ err error }

func (f refusal) ServeCGI(ResponseWriter, *Request) error { return f.err }

// errAbortHandler stands for http.ErrAbortHandler.
var errAbortHandler = errors.New("the application aborted the response")

// A panicError is a panic of an application, with its stack.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// call runs the application and makes an error of a panic.
func (w *response) call(a App, out ResponseWriter, r *Request) (err error) {
	back := false
	defer func() {
		switch p := recover(); p {
		case nil:
			if !back {
				w.abandon(out)
			}
		case http.ErrAbortHandler:
			err = errAbortHandler
		default:
			err = &panicError{p, limitStack(debug.Stack(), w.handler.StackLimit)}
		}
	}()
	err = a.ServeCGI(out, r)
	back = true
	return err
}

// abandon releases what w holds after an application has ended its goroutine
// (runtime.Goexit). It is up to the front-end to end the request.
func (w *response) abandon(out ResponseWriter) {
	if timed, ok := out.(*timedWriter); ok {
		timed.t.stopClock()
	}
	w.stderr.detach()
	if w.body != nil {
		w.body.discard()
	}
}

// finish finishes the response after the application has returned err. It fills in an empty
// result.
func (w *response) finish(err error, res *Result) {
	if err == nil && !w.headSent {
		err = w.bodyErr
	}
	if err == nil && !w.valid {
		err = ErrNoStart
	}
	if w.refused != nil && errors.Is(err, ErrNoStart) {
		err = w.refused // which the application has ignored
	}
	w.finishing = true
	aborted := w.terminated()
	if aborted != nil {
		err = aborted                 // whatever the application made of it
		w.flight.aborted.Store(false) // for the error page
	}
	if w.overrun != nil && errors.Is(err, ErrContentLength) {
		// The declared length has been written, and the application only passed the error on.
		w.overrun, err = err, nil
	}
	end := Complete
	switch {
	case w.sinkErr != nil || w.abortedBy(err):
		end = Aborted
	case err == nil:
		if err = w.complete(); errors.Is(err, ErrContentLength) {
			end = Truncated
		}
	case err == errAbortHandler || w.headSent:
		end = Truncated
	default:
		if x := Exhausted(err); x != nil && !errors.As(err, new(*StatusError)) {
			err = x
		}
		end = w.sendErrorPage(err)
	}
	if end == Truncated && w.headSent && w.sinkErr == nil {
		w.flushBuffered()
	}
	if w.sinkErr != nil {
		end = Aborted // also if the sink failed in what was done here
	}
	out := Outcome{End: end, ExitStatus: w.exitStatus, Overdue: w.overdue}
	if out.End != Complete && out.ExitStatus == 0 {
		out.ExitStatus = 1
	}
	w.flight.sending.Store(true)
	if ferr := w.sink.Finish(out); ferr != nil && w.sinkErr == nil {
		w.sinkErr = ferr
		out.End = Aborted
	}
	if aborted != nil && out.End == Aborted {
		out.End = Truncated // the client has not left
	}
	if w.overrun != nil && (err == nil || w.abortedBy(err)) {
		err = w.overrun // a client that has all that was declared may well be gone
	}
	res.Outcome, res.Err = out, err
	if w.headSent {
		res.Code = w.head.Code
	}
	if res.Err == nil {
		res.Err = w.sinkErr
	}
	w.settle(res)
	if res.Err != nil {
		w.logFailure(*res)
	}
}

// settle completes the result, and counts the request.
func (w *response) settle(res *Result) {
	if w.settled {
		return
	}
	w.settled = true
	f := &w.flight
	now := w.ledger.now()
	res.Duration = max(now-f.start, 1)
	if w.handler.AccessLog != nil || w.observation != nil {
		res.Start = w.ledger.began.Add(f.start)
	}
	if w.headSent {
		res.FirstByte = cmp.Or(w.firstByte, res.Duration)
	}
	res.Bytes, res.BytesIn = f.out.Load(), f.in.Load()
	if f.used.Load() {
		f.mu.Lock()
		res.Usage = f.usage
		f.mu.Unlock()
	}
	t := w.tally()
	res.Application = t.name
	if res.Err != nil {
		w.countFailure(t, res)
	}
	t.count(f.protocol, res)
	if w.observation != nil {
		w.observation.End(*res)
	}
}

// countFailure counts what has refused or ended the request.
func (w *response) countFailure(t *Tally, res *Result) {
	if errors.As(res.Err, new(*panicError)) {
		t.panics.Add(1)
		return
	}
	var se *StatusError
	for err := res.Err; errors.As(err, &se); err = se.Err {
		if se.Check != "" {
			res.Check = se.Check
			t.countFailure(se.Check, isTimeLimit(se))
			return
		}
	}
}

// observe begins the Observation, unless err is why there is no application to run. A panic of
// the Handler's Observe is an error.
func (w *response) observe(err error) (failed error) {
	defer func() {
		if p := recover(); p != nil {
			failed = &panicError{p, limitStack(debug.Stack(), w.handler.StackLimit)}
		}
	}()
	w.observation = w.handler.Observe(w.req)
	return err
}

// abortedBy reports whether err, or the state of the request, says that nobody waits for the
// response any more. A broken connection of the application's own does not.
func (w *response) abortedBy(err error) bool {
	if err == nil {
		return false
	}
	return errors.Is(err, ErrAborted) ||
		w.req.HasContext() && errors.Is(context.Cause(w.req.Context()), ErrAborted)
}
