package cgi

import (
	"cmp"
	"errors"
	"runtime/debug"
	"time"
)

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
