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

// lateReturn is how long an application may take to come back after its time limit
// before its return has a log line, too.
const lateReturn = time.Second

// limited reports whether the Handler has a time limit.
func (h *Handler) limited() bool { return h.RunTime > 0 || h.FirstByte > 0 }

// A timeout holds the application of one request to Handler.RunTime and
// Handler.FirstByte. Its timer answers in the application's place; the application
// gets a timedWriter, which passes nothing on from then on.
type timeout struct {
	run, first time.Duration // 0: no limit
	began      time.Time
	timer      *time.Timer
	done       chan struct{} // closed when the timer has run and will not again
	body       *keptBody     // nil if there is none
	data       io.Reader     // the request's Data as the front-end has it, or nil

	// mu guards the response and its sink: the application's calls hold it, and so does
	// the timer while it answers.
	mu       sync.Mutex
	response *response
	request  *Request // a copy of before the application began
	result   Result

	// state guards what follows. It may be taken while mu is held, but not the other
	// way round.
	state   sync.Mutex
	over    error         // the limit that has passed
	passed  time.Duration // when it did, since the beginning
	ended   bool          // the application has come back
	headed  bool          // the head has left
	reading int           // reads of the body that are under way
	since   time.Duration // when the last of them returned
	base    context.Context
	source  ContextSource
	cancel  context.CancelCauseFunc // nil until the context is asked for
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
		t.body.clock = t
	}
	if t.data != nil {
		r.Data = timedData{t}
	}
	// The application may change its own while the timer answers.
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

// check returns how long no limit passes yet, or the one that has passed by now. state is
// held.
func (t *timeout) check(now time.Duration) (next time.Duration, over error) {
	next = math.MaxInt64
	if t.run > 0 {
		if now >= t.run {
			return 0, late("took longer than %v (RunTime)", t.run)
		}
		next = t.run - now
	}
	if t.first > 0 && !t.headed {
		left := t.first
		if t.reading == 0 {
			left -= now - t.since
		}
		if left <= 0 {
			return 0, late("did not begin to answer within %v (FirstByte)", t.first)
		}
		next = min(next, left)
	}
	return next, nil
}

func late(format string, limit time.Duration) error {
	return &StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("the application "+format, limit)}
}

// tick looks whether a limit has passed, and ends the request then.
func (t *timeout) tick() {
	t.state.Lock()
	now := time.Since(t.began)
	next, over := t.check(now)
	switch {
	case t.ended || over == nil && next == math.MaxInt64:
		t.state.Unlock()
		close(t.done)
		return
	case over == nil:
		t.timer.Reset(next)
		t.state.Unlock()
		return
	}
	t.over, t.passed = over, now
	cancel := t.cancel
	t.state.Unlock()
	if cancel != nil {
		cancel(over)
	}
	if t.body != nil {
		t.body.fail(over)
	}
	if c, ok := t.data.(io.Closer); ok {
		c.Close()
	}
	t.settle(over)
	close(t.done)
}

// settle answers in the application's place, after a call of its that is under way.
func (t *timeout) settle(over error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.response
	w.req, w.timeout, w.overdue = t.request, nil, true
	t.result = w.end(over)
	w.stderr.reopen(w) // an error page of the Handler's has ended it
	if w.req.answered != nil {
		w.req.answered <- answered{result: t.result}
	}
}

// answered is the end of a request, or of the goroutine that ran it.
type answered struct {
	result Result
	panic  any
}

// answer is Run, but returns as soon as the request has been answered: an application
// that is over its time limit goes on, on a goroutine of its own. back is closed when
// it has come back.
func (h *Handler) answer(r *Request, s Sink, a App) (res Result, back <-chan struct{}) {
	ended := make(chan struct{})
	if !h.limited() {
		defer close(ended)
		return h.Run(r, s, a), ended
	}
	answers := make(chan answered, 2)
	r.answered = answers
	go func() {
		defer close(ended)
		out := answered{result: Result{Outcome: Outcome{End: Aborted}}} // of runtime.Goexit
		defer func() {
			out.panic = recover()
			answers <- out
		}()
		out.result = h.Run(r, s, a)
	}()
	first := <-answers
	if first.panic != nil {
		panic(first.panic) // of a hook of the Handler's
	}
	return first.result, ended
}

// stop ends the clock when the application has come back, and reports whether a limit
// had passed: then the request has been answered.
func (t *timeout) stop() (over bool) {
	t.state.Lock()
	t.ended = true
	over = t.over != nil
	running := !t.timer.Stop()
	cancel := t.cancel
	t.state.Unlock()
	if running {
		<-t.done
	}
	if cancel != nil {
		cancel(context.Canceled)
	}
	return over
}

// returned logs that the application has come back long after its limit, or has
// panicked since, and returns how the request had ended. err is what came of it.
func (t *timeout) returned(err error) Result {
	stay := time.Since(t.began) - t.passed
	w := t.response
	attrs := []slog.Attr{slog.Uint64("request", w.req.ID), slog.Duration("after", stay)}
	var p *panicError
	switch {
	case errors.As(err, &p):
		attrs = append(attrs, slog.String("stack", string(p.stack)), slog.String("error", p.Error()))
	case stay <= lateReturn:
		return t.result
	}
	w.handler.log().LogAttrs(context.Background(), slog.LevelWarn, "the application has come back after its time limit", attrs...)
	return t.result
}

// limitOver returns why the application can do no more, or nil.
func (t *timeout) limitOver() error {
	t.state.Lock()
	defer t.state.Unlock()
	if t.ended && t.over == nil {
		return errReturned
	}
	return t.over
}

// sendHead notes that the head is about to leave, which it may not after a limit has
// passed. mu is held.
func (t *timeout) sendHead() error {
	t.state.Lock()
	defer t.state.Unlock()
	t.headed = t.over == nil
	return t.over
}

// take takes the rest of the body, and lets mu go meanwhile: nobody knows how long
// that takes.
func (t *timeout) take() error {
	t.mu.Unlock()
	err := t.body.take()
	t.mu.Lock()
	if over := t.limitOver(); over != nil {
		return over
	}
	return err
}

// beginRead stops the clock of FirstByte: it is the peer that is waited for.
func (t *timeout) beginRead() {
	t.state.Lock()
	t.reading++
	t.state.Unlock()
}

// endRead starts it anew.
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
		if t.source != nil && t.over == nil {
			parent = t.source.RequestContext()
		}
	}
	ctx, cancel := context.WithCancelCause(parent)
	if t.over != nil {
		cancel(t.over)
	} else {
		t.cancel = cancel
	}
	return ctx
}

// A timedData is the Data of a request with a time limit.
type timedData struct{ *timeout }

// Read implements io.Reader.
func (d timedData) Read(p []byte) (int, error) {
	if err := d.limitOver(); err != nil {
		return 0, err
	}
	d.beginRead()
	n, err := d.data.Read(p)
	d.endRead()
	if over := d.limitOver(); n == 0 && over != nil {
		err = over
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
