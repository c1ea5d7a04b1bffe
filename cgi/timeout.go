package cgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"
)

// lateReturn is how long after its time limit an application may return without a log line
// that says so.
const lateReturn = time.Second

// limited reports whether the Handler has a time limit.
func (h *Handler) limited() bool { return h.RunTime > 0 || h.FirstByte > 0 }

// A timeout holds the application of one request to Handler.RunTime and Handler.FirstByte.
// Its timer responds in the application's place; the application has a timedWriter, which
// passes nothing on from then on.
type timeout struct {
	run, first time.Duration // 0: no limit
	began      time.Time
	timer      *time.Timer
	done       chan struct{} // closed when the timer has run and will not again
	body       *bufferedBody // nil if there is none
	data       io.Reader     // the request's Data as the front-end has it, or nil

	// mu guards the response and its sink: the application's calls hold it, and so does
	// the timer while it responds.
	mu       sync.Mutex
	response *response
	request  *Request // a copy from before the application began
	result   Result

	// state guards what follows. It may be taken while mu is held, but not the other
	// way round.
	state        sync.Mutex
	expired      error         // the limit that has passed
	expiredAfter time.Duration // when it did, since the beginning
	returned     bool          // the application has returned
	headSent     bool          // the head is sent, or about to be
	reading      int           // reads of the body that are under way
	since        time.Duration // when the last of them returned
	base         context.Context
	source       ContextSource
	cancel       context.CancelCauseFunc // nil until the context is asked for
}

// newTimeout starts the clock of w's request.
func newTimeout(w *response) *timeout {
	r := w.req
	t := &timeout{
		run:      w.handler.RunTime,
		first:    w.handler.FirstByte,
		began:    time.Now(),
		done:     make(chan struct{}),
		body:     w.body,
		data:     r.Data,
		response: w,
		base:     r.ctx,
		source:   r.source,
	}
	r.SetContextSource(t)
	if t.body != nil {
		t.body.timeout = t
	}
	if t.data != nil {
		r.Data = timedData{t}
	}
	// The application may change its own while the timer responds.
	copied := *r
	copied.Env = r.Env.Clone()
	t.request = &copied
	w.timeout = t
	t.state.Lock()
	defer t.state.Unlock()
	next, _ := t.check(0)
	t.timer = time.AfterFunc(next, t.tick)
	return t
}

// check returns the time until the next limit passes, or the one that has passed by now.
// state is held.
func (t *timeout) check(now time.Duration) (next time.Duration, expired error) {
	next = math.MaxInt64
	if t.run > 0 {
		if now >= t.run {
			return 0, timeLimitError("run_time", "took longer than %v (RunTime)", t.run)
		}
		next = t.run - now
	}
	if t.first > 0 && !t.headSent {
		left := t.first
		if t.reading == 0 {
			left -= now - t.since
		}
		if left <= 0 {
			return 0, timeLimitError("first_byte", "did not begin to respond within %v (FirstByte)", t.first)
		}
		next = min(next, left)
	}
	return next, nil
}

func timeLimitError(key, format string, limit time.Duration) error {
	return &StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("the application "+format, limit), Check: key}
}

// tick checks whether a limit has passed, and finishes the request if so.
func (t *timeout) tick() {
	t.state.Lock()
	now := time.Since(t.began)
	next, expired := t.check(now)
	switch {
	case t.returned || expired == nil && next == math.MaxInt64:
		t.state.Unlock()
		close(t.done)
		return
	case expired == nil:
		t.timer.Reset(next)
		t.state.Unlock()
		return
	}
	t.expired, t.expiredAfter = expired, now
	cancel := t.cancel
	t.state.Unlock()
	if cancel != nil {
		cancel(expired)
	}
	if t.body != nil {
		t.body.abort(expired)
	}
	if c, ok := t.data.(io.Closer); ok {
		c.Close()
	}
	t.finishExpired(expired)
	close(t.done)
}

// finishExpired responds in the application's place, after its call that is under way.
func (t *timeout) finishExpired(expired error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.response
	w.req, w.timeout, w.overdue = t.request, nil, true
	w.finish(expired, &t.result)
	w.stderr.attach(w) // an error page of the Handler has detached it
	if w.req.finished != nil {
		w.req.finished <- finishedRun{result: t.result}
	}
}

// finishedRun is the end of a request, or of the goroutine that ran it.
type finishedRun struct {
	result Result
	panic  any
}

// runUntilFinished is Run, but returns as soon as the response is finished: an application
// that is over its time limit keeps running, on a goroutine of its own. returned is closed
// when it has returned.
func (h *Handler) runUntilFinished(r *Request, s Sink, a App) (res Result, returned <-chan struct{}) {
	ended := make(chan struct{})
	if !h.limited() {
		defer close(ended)
		return h.Run(r, s, a), ended
	}
	finished := make(chan finishedRun, 2)
	r.finished = finished
	go func() {
		defer close(ended)
		out := finishedRun{result: Result{Outcome: Outcome{End: Aborted}}} // of runtime.Goexit
		defer func() {
			out.panic = recover()
			finished <- out
		}()
		out.result = h.Run(r, s, a)
	}()
	first := <-finished
	if first.panic != nil {
		panic(first.panic) // of a hook of the Handler's
	}
	return first.result, ended
}

// stopClock stops the clock when the application has returned, and reports whether a limit
// had passed: then the response is finished already.
func (t *timeout) stopClock() (expired bool) {
	t.state.Lock()
	t.returned = true
	expired = t.expired != nil
	running := !t.timer.Stop()
	cancel := t.cancel
	t.state.Unlock()
	if running {
		<-t.done
	}
	if cancel != nil {
		cancel(context.Canceled)
	}
	return expired
}

// logLateReturn logs that the application has returned long after its limit, or has
// panicked since, and returns how the request had ended. err is what came of it.
func (t *timeout) logLateReturn(err error) Result {
	stay := time.Since(t.began) - t.expiredAfter
	w := t.response
	attrs := []slog.Attr{w.req.LogAttr(), slog.Duration("after", stay)}
	var p *panicError
	switch {
	case errors.As(err, &p):
		attrs = append(attrs, slog.String("stack", string(p.stack)), slog.String("error", p.Error()))
	case stay <= lateReturn:
		return t.result
	}
	w.handler.log().LogAttrs(context.Background(), slog.LevelWarn, "the application has returned after its time limit", attrs...)
	return t.result
}

// expiredErr returns the error that the application gets for everything that it does, or nil.
func (t *timeout) expiredErr() error {
	t.state.Lock()
	defer t.state.Unlock()
	if t.returned && t.expired == nil {
		return errReturned
	}
	return t.expired
}

// markHeadSent notes that the head is about to leave, which it may not after a limit has
// passed. mu is held.
func (t *timeout) markHeadSent() error {
	t.state.Lock()
	defer t.state.Unlock()
	t.headSent = t.expired == nil
	return t.expired
}

// bufferBody buffers the rest of the body, with mu released: nobody knows how long that
// takes.
func (t *timeout) bufferBody() error {
	t.mu.Unlock()
	err := t.body.buffer()
	t.mu.Lock()
	if expired := t.expiredErr(); expired != nil {
		return expired
	}
	return err
}

// beginRead stops the clock of FirstByte: the wait is for the peer.
func (t *timeout) beginRead() {
	t.state.Lock()
	t.reading++
	t.state.Unlock()
}

// endRead restarts it.
func (t *timeout) endRead() {
	t.state.Lock()
	t.reading--
	t.since = time.Since(t.began)
	t.state.Unlock()
}

// RequestContext implements ContextSource: the front-end's context, and the limits.
func (t *timeout) RequestContext() context.Context {
	t.state.Lock()
	defer t.state.Unlock()
	parent := t.base
	if parent == nil {
		parent = context.Background()
		if t.source != nil && t.expired == nil {
			parent = t.source.RequestContext()
		}
	}
	ctx, cancel := context.WithCancelCause(parent)
	if t.expired != nil {
		cancel(t.expired)
	} else {
		t.cancel = cancel
	}
	return ctx
}

// A timedData is the Data of a request with a time limit.
type timedData struct{ *timeout }

// Read implements io.Reader.
func (d timedData) Read(p []byte) (int, error) {
	if err := d.expiredErr(); err != nil {
		return 0, err
	}
	d.beginRead()
	n, err := d.data.Read(p)
	d.endRead()
	if expired := d.expiredErr(); n == 0 && expired != nil {
		err = expired
	}
	return n, err
}

// Close implements io.Closer, as far as the front-end's stream does.
func (d timedData) Close() error {
	if c, ok := d.data.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
