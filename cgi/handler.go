package cgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi/spool"
)

// A Handler runs applications: it is the Go form of wsgiref's BaseCGIHandler, and
// every front-end hands its requests to one. It owns all rules of framing, so
// that a front-end only decodes and encodes:
//
//   - the status is always explicit, and never 1xx;
//   - no body and no Content-Length with 204 and 304, no body to HEAD;
//   - hop-by-hop fields and Transfer-Encoding are removed (RFC 3875 § 6.3.5);
//   - a body longer than its Content-Length is cut, a shorter one is a visible
//     truncation;
//   - an answer that is complete before anything was sent gets a Content-Length;
//   - control characters, and a field called Status, are refused;
//   - the head is not sent before the request's body has arrived: what the
//     application has not read of it is kept, as far as Handler.Spool allows. An
//     answer that is complete by then does not wait;
//   - HTTP_PROXY never reaches an application (CVE-2016-5385, "httpoxy");
//   - an error, a panic, or no answer at all becomes an error page or, once the
//     head was sent, a visible truncation.
//
// The zero value is ready to use. A Handler must not be copied after first use;
// one may serve any number of front-ends at once.
type Handler struct {
	// Log receives one line for each failed request. If nil, it is slog.Default().
	Log *slog.Logger

	// AccessLog, if not nil, is called once for each request after its end. It must
	// not keep the Request.
	AccessLog func(*Request, Result)

	// Spool bounds what is kept of a body that the application has not read when the
	// head of its answer is to be sent (see [EnableFullDuplex]). The rest of a body
	// that is longer is read as the application asks for it. If it has no Total, the
	// Handler has one of its own, of 8 GiB.
	Spool spool.Limits

	// ErrorPage, if not nil, writes the body of an error page and returns its
	// Content-Type. The default is one line of plain text that tells nothing of the
	// cause; for 500 it is wsgiref's.
	ErrorPage func(w io.Writer, code int) (contentType string)

	lastID    atomic.Uint64
	spoolOnce sync.Once
	total     *spool.Budget // where Spool has none
}

// A Result tells how a request ended.
type Result struct {
	Outcome
	Code     int           // status code that was sent, 0 if no head was
	Bytes    int64         // bytes of body that were sent
	Err      error         // why the response is no plain success, or nil
	Start    time.Time     // zero unless Handler.AccessLog is set
	Duration time.Duration // likewise
}

func (h *Handler) log() *slog.Logger {
	if h.Log != nil {
		return h.Log
	}
	return slog.Default()
}

// Run runs a for one request and finishes the sink, whatever happens. It returns
// when a has.
func (h *Handler) Run(r *Request, s Sink, a App) Result {
	if r.ID == 0 {
		r.ID = h.lastID.Add(1)
	}
	var start time.Time
	if h.AccessLog != nil {
		start = time.Now()
	}
	r.Env.Del("HTTP_PROXY") // a header of the client's, which programs take for their own setting
	w := newResponse(h, r, s)
	if r.Stderr == nil {
		r.Stderr = &w.stderr
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if r.ContentLength != 0 && r.Body != http.NoBody {
		w.body = newKeptBody(r.Body, h.spool())
		r.Body = w.body
	}
	err := w.call(a)
	w.stderr.end()
	if w.body != nil {
		w.body.end()
	}
	res := w.end(err)
	w.free()
	if h.AccessLog != nil {
		res.Start, res.Duration = start, time.Since(start)
		h.AccessLog(r, res)
	}
	return res
}

func (h *Handler) spool() spool.Limits {
	l := h.Spool
	if l.Total == nil {
		h.spoolOnce.Do(func() { h.total = spool.NewBudget(0) })
		l.Total = h.total
	}
	return l
}

// Refuse answers a request that cannot be given to an application, as Run does
// for an App that returns err at once.
func (h *Handler) Refuse(r *Request, s Sink, err error) Result {
	return h.Run(r, s, refusal{err})
}

type refusal struct{ err error }

func (f refusal) ServeCGI(ResponseWriter, *Request) error { return f.err }

// errSilentAbort stands for http.ErrAbortHandler.
var errSilentAbort = errors.New("the application aborted the response")

// A panicError is a panic of an application, with its stack.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// call runs the application and makes an error of a panic.
func (w *response) call(a App) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = errSilentAbort
		default:
			err = &panicError{p, debug.Stack()}
		}
	}()
	return a.ServeCGI(w, w.req)
}

// end settles the response after the application returned err.
func (w *response) end(err error) Result {
	if err == nil && !w.headSent {
		err = w.bodyErr
	}
	if err == nil && !w.valid {
		if err = w.refused; err == nil {
			err = ErrNoStart
		}
	}
	if w.overrun != nil && errors.Is(err, ErrContentLength) {
		// What was declared has been written, and the application only passed on that
		// there was more.
		err = nil
	}
	end := Complete
	switch {
	case w.sinkErr != nil || w.gone(err):
		end = Aborted
	case err == nil:
		if err = w.complete(); errors.Is(err, ErrContentLength) {
			end = Truncated
		}
	case err == errSilentAbort || w.headSent:
		end = Truncated
	default:
		w.errorPage(err)
	}
	if end == Truncated && w.headSent && w.sinkErr == nil {
		w.flushHeld()
	}
	out := Outcome{End: end, ExitStatus: w.exitStatus}
	if out.End != Complete && out.ExitStatus == 0 {
		out.ExitStatus = 1
	}
	if ferr := w.sink.Finish(out); ferr != nil && w.sinkErr == nil {
		w.sinkErr = ferr
		out.End = Aborted
	}
	if err == nil {
		err = w.overrun
	}
	res := Result{Outcome: out, Err: err, Bytes: w.sent}
	if w.headSent {
		res.Code = w.head.Code
	}
	if res.Err == nil {
		res.Err = w.sinkErr
	}
	if res.Err != nil {
		w.report(res)
	}
	return res
}

// gone reports whether err, or the state of the request, says that nobody waits
// for the answer any more. A connection of the application's own that broke does
// not.
func (w *response) gone(err error) bool {
	if err == nil {
		return false
	}
	return errors.Is(err, ErrAborted) ||
		w.req.HasContext() && errors.Is(context.Cause(w.req.Context()), ErrAborted)
}

// report writes the one log line of a failed request.
func (w *response) report(res Result) {
	level, msg := slog.LevelError, "request failed"
	attrs := []any{"request", w.req.ID}
	if method := w.req.Env.Get("REQUEST_METHOD"); method != "" {
		attrs = append(attrs, "method", method, "uri", RequestTarget(w.req.Env))
	}
	if p := w.req.Program; p != "" && !strings.Contains(res.Err.Error(), p) {
		attrs = append(attrs, "script", p)
	}
	if res.Code != 0 {
		attrs = append(attrs, "status", res.Code)
	}
	var p *panicError
	switch {
	case res.End == Aborted:
		level, msg = slog.LevelInfo, "client gone"
	case errors.As(res.Err, &p):
		msg = "application panicked"
		attrs = append(attrs, "stack", string(p.stack))
	case res.Err == errSilentAbort:
		level = slog.LevelDebug
	case res.End == Truncated:
		msg = "response truncated"
	case res.Code < 500 && res.Code != 0:
		level, msg = slog.LevelWarn, "request refused"
		if res.Code < 400 {
			msg = "response cut"
		}
	}
	attrs = append(attrs, "error", res.Err.Error())
	w.handler.log().Log(context.Background(), level, msg, attrs...)
}

// RequestTarget returns the path and query of a request for a log line, as the
// client sent them if the web server tells (REQUEST_URI).
func RequestTarget(env *Environ) string {
	if u := env.Get("REQUEST_URI"); u != "" {
		return u
	}
	u := FullPath(env, PathAuto)
	if q := env.Get("QUERY_STRING"); q != "" {
		u += "?" + q
	}
	return u
}
