package cgi

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Stage says what a request that is being served waits for.
type Stage uint8

// The stages of a request.
const (
	StageServing    Stage = iota // the application: it works, or waits for what it needs itself
	StageQueued                  // its turn
	StageConnecting              // a process or a connection of the application
	StageBody                    // the rest of its body, which the client sends slowly
	StageClient                  // the client, which does not take the response
)

func (s Stage) String() string {
	switch s {
	case StageServing:
		return "application at work"
	case StageQueued:
		return "waiting in the queue for its turn"
	case StageConnecting:
		return "waiting for a process or a connection of the application"
	case StageBody:
		return "waiting for the client to send the body"
	case StageClient:
		return "waiting for the client to take the response"
	}
	return "unknown stage"
}

// A Worker is what works on a request elsewhere than on the goroutine that serves it: a
// program, or an application that the request is passed on to. Its methods may be called by
// any goroutine, also after the request has ended.
type Worker interface {
	// Name is the path of a program, or an address.
	Name() string

	// Silence returns how long no byte has passed either way, and whether the response has
	// begun.
	Silence() (d time.Duration, responded bool)
}

// A Progress shows others how far a request has come while it is served; see [Watch]. The
// zero value is ready to use.
type Progress struct {
	stage atomic.Uint32 // StageServing, StageQueued or StageConnecting
	body  atomic.Uint64 // odd while a piece of the body is waited for
	send  atomic.Uint64 // odd while a piece of the response is sent

	mu     sync.Mutex
	worker Worker
}

// Watch has p show how far r comes, from now on; nil for nobody. It is for an [App] that
// wraps another: it is called on the goroutine that serves r, with what the other App will
// get, and again with nil before ServeCGI returns.
func Watch(w ResponseWriter, r *Request, p *Progress) {
	r.progress = p
	if b, ok := r.Body.(*bufferedBody); ok {
		b.watch(p)
	}
	if x, ok := ability[interface{ watch(*Progress) }](w); ok {
		x.watch(p)
	}
}

// SetStage notes for a [Watch] what r waits for: its turn, a connection, or neither
// (StageServing). It is called on the goroutine that serves r.
func (r *Request) SetStage(s Stage) {
	if r.progress != nil {
		r.progress.stage.Store(uint32(s))
	}
}

// Watched reports whether anybody watches r; see [Watch].
func (r *Request) Watched() bool { return r.progress != nil }

// SetWorker notes for a [Watch] and for [Handler.InFlight] what works on r from now on; nil for
// nobody. It is called on the goroutine that serves r, or on one that this waits for.
func (r *Request) SetWorker(w Worker) {
	if x := r.response; x != nil {
		x.flight.mu.Lock()
		x.flight.worker = w
		x.flight.mu.Unlock()
	}
	if r.progress != nil {
		r.progress.setWorker(w)
	}
}

// Reset makes p the zero value again. Nobody uses it.
func (p *Progress) Reset() {
	p.stage.Store(0)
	p.body.Store(0)
	p.send.Store(0)
	p.setWorker(nil)
}

func (p *Progress) setWorker(w Worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worker = w
}

// Worker returns what works on the request, or nil.
func (p *Progress) Worker() Worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.worker
}

// A Mark is a moment of a [Progress].
type Mark struct {
	stage      uint32
	body, send uint64
}

// Mark returns the present moment.
func (p *Progress) Mark() Mark { return Mark{p.stage.Load(), p.body.Load(), p.send.Load()} }

// Stage returns what the request has waited for without a break since m. A transfer that
// moves, however slowly, is none: its stage is StageServing.
func (p *Progress) Stage(m Mark) Stage {
	now := p.Mark()
	switch {
	case now.send == m.send && m.send&1 == 1:
		return StageClient
	case now.stage == m.stage && m.stage != 0:
		return Stage(m.stage)
	case now.body == m.body && m.body&1 == 1:
		return StageBody
	}
	return StageServing
}

// beginSend and endSend stand around what may wait for the client. A nil p notes nothing.
func (p *Progress) beginSend() {
	if p != nil {
		p.send.Add(1)
	}
}

func (p *Progress) endSend() {
	if p != nil {
		p.send.Add(1)
	}
}

// watch implements Watch.
func (w *response) watch(p *Progress) { w.progress = p }

// watch implements Watch.
func (w *timedWriter) watch(p *Progress) {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	w.t.response.watch(p)
}

// watch implements Watch.
func (b *bufferedBody) watch(p *Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.progress, b.noted = p, false
}
