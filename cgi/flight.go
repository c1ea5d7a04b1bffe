package cgi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTerminated is the cause for which Handler.Abort cancels a request, unless it is given
// another.
var ErrTerminated = errors.New("an administrator aborted the request")

// A State is what a request in flight is doing.
type State uint8

const (
	// Running: the application works on it.
	Running State = iota
	// Waiting: it waits for its turn.
	Waiting
	// Reading: the application waits for the request's body.
	Reading
	// Sending: a part of the response is on its way to the web server or the client.
	Sending
)

func (s State) String() string {
	switch s {
	case Running:
		return "running"
	case Waiting:
		return "waiting"
	case Reading:
		return "reading"
	case Sending:
		return "sending"
	}
	return "unknown"
}

// An InFlight is a request in flight, as it was for a moment. Method, Target and Client are
// the client's, and may hold any bytes.
type InFlight struct {
	ID          uint64
	RequestID   string // as in the log; see Request.RequestID
	Start       time.Time
	Age         time.Duration
	Protocol    string // as in EndCount
	Client      string // REMOTE_ADDR
	Method      string
	Target      string // of the request line; see Environ.RequestTarget
	Application string // as in RequestStats
	Authorizer  bool
	State       State
	BytesIn     int64 // of the request's body, that were read
	BytesOut    int64 // of the response's body, that were sent
	Usage       Usage

	// Worker is what works on it: a program, or an application that it was passed on to. It
	// is nil for an application of this process, and where nobody tells.
	Worker Worker
}

// shards is how many lists the requests in flight are in, so that those which begin and end
// at the same time seldom wait for each other.
const shards = 32

// A shard is one of those lists.
type shard struct {
	mu    sync.Mutex
	first *response
	_     [48]byte // the rest of a cache line
}

// A flight is what others may see of a request that is in flight.
type flight struct {
	next, prev *response // guarded by the shard's mu
	env        *Environ
	protocol   string
	authorizer bool
	start      time.Duration // since the ledger began

	tally   atomic.Pointer[Tally] // nil: no Mux has given the request to an application
	waiting atomic.Int64          // since when, and 1 more; 0: not
	reading atomic.Int32          // reads of the body that are under way
	sending atomic.Bool
	in, out atomic.Int64

	used   atomic.Bool // usage is set
	mu     sync.Mutex  // guards what follows
	usage  Usage
	worker Worker                  // what works on it, where that is told
	ctx    context.Context         // of the request; nil until it is made
	cancel context.CancelCauseFunc // of that
	abort  error                   // why the request was aborted here; nil if it was not

	aborted atomic.Bool // abort is set, and the response does not end yet
}

// tally returns what counts the request.
func (w *response) tally() *Tally {
	if t := w.flight.tally.Load(); t != nil {
		return t
	}
	if w.flight.authorizer {
		return w.ledger.nowhere[1]
	}
	return w.ledger.nowhere[0]
}

// enter lists w among the requests in flight.
func (w *response) enter() {
	f, r := &w.flight, w.req
	f.env, f.protocol = r.Env, r.Protocol
	f.env.shared = true
	f.authorizer = r.Role == Authorizer
	r.response = w
	if r.ctx != nil {
		r.ctx = w.abortable(r.ctx)
	}
	s := &w.ledger.shards[w.id%shards]
	s.mu.Lock()
	f.next, f.prev = s.first, nil
	if f.next != nil {
		f.next.flight.prev = w
	}
	s.first = w
	s.mu.Unlock()
}

// leave takes w off that list. Nobody else has it from then on.
func (w *response) leave() {
	f := &w.flight
	s := &w.ledger.shards[w.id%shards]
	s.mu.Lock()
	if f.next != nil {
		f.next.flight.prev = f.prev
	}
	if f.prev != nil {
		f.prev.flight.next = f.next
	} else {
		s.first = f.next
	}
	s.mu.Unlock()
	f.env.shared = false
}

// close takes the request off the list of those in flight.
func (w *response) close() {
	w.leave()
	w.app.response = nil
	if w.flight.cancel != nil {
		w.flight.cancel(context.Canceled)
	}
}

// each calls f for requests in flight until it returns false. None of them ends meanwhile
// that is in the same list.
func (l *ledger) each(f func(*response) bool) {
	for i := range l.shards {
		if !l.shards[i].each(f) {
			return
		}
	}
}

func (s *shard) each(f func(*response) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := s.first; w != nil; w = w.flight.next {
		if !f(w) {
			return false
		}
	}
	return true
}

// InFlight returns the requests in flight, the oldest first: those of h, and of the Handlers
// whose figures it continues. They are looked at when somebody asks, so that requests pay
// next to nothing for it.
func (h *Handler) InFlight() []InFlight {
	l := h.ledger()
	var list []InFlight
	now := l.now()
	l.each(func(w *response) bool {
		list = append(list, w.look(now))
		return true
	})
	slices.SortFunc(list, func(a, b InFlight) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// look returns what w is doing.
func (w *response) look(now time.Duration) InFlight {
	f := &w.flight
	x := InFlight{ID: w.id, RequestID: w.app.RequestID(), Start: w.ledger.began.Add(f.start), Age: max(now-f.start, 0),
		Protocol: protocolNames[protocolOf(f.protocol)], BytesIn: f.in.Load(), BytesOut: f.out.Load()}
	x.Client, x.Method, x.Target = f.env.look()
	t := w.tally()
	x.Application, x.Authorizer = t.name, t.authorizer
	f.mu.Lock()
	x.Usage, x.Worker = f.usage, f.worker
	f.mu.Unlock()
	switch since := f.waiting.Load(); {
	case since != 0:
		x.State = Waiting
		x.Usage.Queued = max(now-time.Duration(since-1), 0)
	case f.sending.Load():
		x.State = Sending
	case f.reading.Load() > 0:
		x.State = Reading
	}
	return x
}

// look returns what others may see of the variables, on any goroutine.
func (e *Environ) look() (client, method, target string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.Get("REMOTE_ADDR"), e.Get("REQUEST_METHOD"), e.RequestTarget()
}

// Abort ends the request with this number, and reports whether it is in flight: its context
// is cancelled, and whatever its application reads and writes from then on fails. If the
// head of its response was not sent, the client gets an error page with 503, otherwise a
// truncated response. The log names the cause, ErrTerminated if it is nil. A program is
// terminated; nothing can stop an application of this process that ignores its context.
func (h *Handler) Abort(id uint64, cause error) (found bool) {
	if cause == nil {
		cause = ErrTerminated
	}
	l := h.ledger()
	l.shards[id%shards].each(func(w *response) bool {
		if found = w.id == id; found {
			w.terminate(&StatusError{Code: http.StatusServiceUnavailable, Err: cause})
		}
		return !found
	})
	return found
}

// terminate ends a request because of a cause. Only the first counts.
func (w *response) terminate(cause error) {
	f := &w.flight
	f.mu.Lock()
	if f.abort != nil {
		f.mu.Unlock()
		return
	}
	f.abort = cause
	f.aborted.Store(true)
	cancel := f.cancel
	f.mu.Unlock()
	w.tally().aborted.Add(1)
	if cancel != nil {
		cancel(cause)
	}
	if w.body != nil {
		w.body.abort(cause)
	}
	// What waits for a client that takes nothing has a head that has been sent. Anything else
	// needs the connection for the error page.
	if s, ok := w.sink.(interrupter); ok && f.sending.Load() {
		s.InterruptWrite()
	}
}

// An interrupter is a Sink of which another goroutine may end the write that is under way.
type interrupter interface{ InterruptWrite() }

// terminated returns why the request was aborted here, or nil.
func (w *response) terminated() error {
	if !w.flight.aborted.Load() {
		return nil
	}
	w.flight.mu.Lock()
	defer w.flight.mu.Unlock()
	return w.flight.abort
}

// abortable returns the context of the request, made of the front-end's. A copy of the request
// may have that of the request itself.
func (w *response) abortable(parent context.Context) context.Context {
	f := &w.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	if parent == f.ctx {
		return parent
	}
	ctx, cancel := context.WithCancelCause(parent)
	if before := f.cancel; before != nil {
		own := cancel
		cancel = func(cause error) { own(cause); before(cause) }
	}
	f.ctx, f.cancel = ctx, cancel
	if f.abort != nil {
		cancel(f.abort)
	}
	return ctx
}
