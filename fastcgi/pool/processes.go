package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/cgi/process"
	"gatehouse/internal/backend"
	"gatehouse/systemd/sandbox"
)

const (
	// settle is how long a process has to read the first byte of its next request before it counts as
	// at work behind its response, if another could be started instead.
	settle = 2 * time.Millisecond

	// Processes at work behind their responses are looked at after a pause, which doubles.
	firstLook, longestLook = time.Millisecond, 20 * time.Millisecond
)

// byItself is why a process is ended that refuses a connection.
const byItself = "ended by itself"

// processes are those of one application. They are a backend.Supplier.
type processes struct {
	starter     process.Starter
	command     process.Command
	name        string
	link        linker
	limits      Limits
	stackSignal syscall.Signal // or 0
	log         *slog.Logger
	sandbox     func() *sandbox.Sandbox // that systemd has put around this process, or nil

	mu        sync.Mutex
	all       map[*worker]struct{}
	idle      []*worker        // the one used last comes last
	starting  int              // processes that are neither ready nor given up
	readied   int              // processes that have become ready
	tally     *cgi.Tally       // of the application; nil until a request has told it
	uncounted []cgi.ProgramEnd // processes that have ended before
	waiting   int              // requests that wait for a process
	changed   chan struct{}    // closed when they are to look again
	failure   error            // why the last one could not be started
	retry     backoff          // after that
	refill    backoff          // after one that has ended before its first request; requests do not wait for it
	sweeper   *time.Timer
	due       time.Time // of the sweeper
	trial     bool      // no processes are started but by begin, which returns why the first one has failed
	retired   bool
	emptied   chan struct{} // of a retired one; closed when the last process has ended
	closed    bool

	owned sync.WaitGroup // run of each
}

var errClosed = errors.New("the application is closed")

func newProcesses(s process.Starter, c process.Command, name string, k linker, l Limits, log *slog.Logger) *processes {
	p := &processes{starter: s, command: c, name: name, link: k, limits: l, log: log, sandbox: sync.OnceValue(sandbox.Self), all: make(map[*worker]struct{}), changed: make(chan struct{}), emptied: make(chan struct{})}
	p.sweeper = time.AfterFunc(forever, p.sweep)
	return p
}

// Name implements backend.Supplier.
func (p *processes) Name() string { return p.name }

// Admission implements backend.Supplier.
func (p *processes) Admission() admission.Limits { return p.limits.admission() }

// Connect implements backend.Supplier.
func (p *processes) Connect(ctx context.Context, until time.Time, r *cgi.Request) (backend.Supplied, error) {
	c, err := p.get(ctx, until, r)
	if err != nil {
		return nil, err
	}
	c.startClock()
	return c, nil
}

func (p *processes) get(ctx context.Context, until time.Time, r *cgi.Request) (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r != nil {
		p.countFor(r.Tally())
		defer r.EndWaiting()
	}
	p.waiting++
	defer func() { p.waiting-- }()
	waits := false
	if len(p.all) < p.limits.Minimum {
		p.fillLocked()
	}
	for look := firstLook; ; look = min(2*look, longestLook) {
		w, sure, err := p.take(time.Now())
		switch {
		case err != nil:
			return nil, err
		case sure:
			return w.conn, nil
		case w != nil:
			if p.settles(w) {
				return w.conn, nil
			}
			continue
		}
		if !until.IsZero() {
			look = min(look, time.Until(until))
		}
		if look <= 0 {
			return nil, p.refusal()
		}
		if r != nil && !waits {
			waits = true
			r.BeginWaiting()
		}
		if err := p.wait(ctx, look); err != nil {
			return nil, err
		}
	}
}

// wait returns when something has changed, or after a pause. It releases mu meanwhile.
func (p *processes) wait(ctx context.Context, pause time.Duration) error {
	changed := p.changed
	p.mu.Unlock()
	defer p.mu.Lock()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// take returns a process for a request: one that is free or, if sure is false, one that may
// be in a moment. If there is none, and there can be another, it is started, and nil returned. mu is held.
func (p *processes) take(now time.Time) (w *worker, sure bool, err error) {
	if p.closed {
		return nil, false, unavailable(time.Second, errClosed)
	}
	w, maybe := p.choose(now, false)
	if w == nil {
		var other *worker
		w, other = p.choose(now, true)
		maybe = cmp.Or(maybe, other)
	}
	if w != nil {
		p.occupy(w)
		return w, true, nil
	}
	if maybe != nil {
		p.occupy(maybe)
		return maybe, false, nil
	}
	switch {
	case now.Before(p.retry.until):
		if !p.anyLeft() {
			return nil, false, unavailable(p.retry.until.Sub(now), p.failure)
		}
	case p.starting < p.waiting && p.taken() < p.limits.Programs && p.mayStart():
		p.start()
	}
	return nil, false, nil
}

// anyLeft reports whether there is a process that has not been given up. mu is held.
func (p *processes) anyLeft() bool {
	for w := range p.all {
		if !w.gone {
			return true
		}
	}
	return false
}

// choose returns a process that is free, the one used last, among those that are late or those that
// are not, and one of these that may be free in a moment. mu is held.
func (p *processes) choose(now time.Time, late bool) (sure, maybe *worker) {
	for i := len(p.idle) - 1; i >= 0; i-- { // ending one moves those behind it
		w := p.idle[i]
		if w.late != late {
			continue
		}
		free, open := w.link.free(w.conn)
		switch {
		case !open:
			w.conn.Close()
			if err := w.link.connect(w); err != nil {
				p.lost(w, err)
				continue
			}
			w.since, w.late = now, false
		case free && w.leaving:
			p.end(w, "replaced")
			continue
		case free:
			return w, nil
		case now.Sub(w.since) >= settle:
			w.late = true
			continue
		}
		if maybe == nil && !w.late && !w.leaving {
			maybe = w
		}
	}
	return nil, maybe
}

// mayStart reports whether another process may be started at all. As long as none has become ready,
// or since the last one failed, that is one at a time: what keeps a program from starting
// is then tried, and logged, by one process and not by all. mu is held.
func (p *processes) mayStart() bool {
	if p.starting > 0 && (p.readied == 0 || p.failure != nil) {
		return false
	}
	return len(p.all) < p.limits.Programs+p.limits.replaced()
}

// start starts a process. mu is held.
func (p *processes) start() *worker {
	w := &worker{pool: p}
	w.setLife(&p.limits)
	p.all[w] = struct{}{}
	p.starting++
	p.owned.Add(1)
	go w.run()
	return w
}

// occupy gives w to a request. mu is held.
func (p *processes) occupy(w *worker) {
	p.idle = slices.DeleteFunc(p.idle, func(x *worker) bool { return x == w })
	w.busy, w.late = true, false
}

// settles reports whether w is free in a moment, and otherwise takes it back. It releases mu meanwhile.
func (p *processes) settles(w *worker) bool {
	p.mu.Unlock()
	free := w.link.awaitFree(w.conn, time.Now().Add(settle))
	p.mu.Lock()
	if !free {
		w.late = true
		p.putBack(w)
	}
	return free
}

// putBack takes w back from a request. mu is held.
func (p *processes) putBack(w *worker) {
	w.busy = false
	if w.gone {
		w.conn.Close()
		return
	}
	p.idle = append(p.idle, w)
	p.change()
}

// served takes w back whose request has been served, and which may have grown too large. The
// error is what is wrong with it, or nil.
func (p *processes) served(w *worker, grown bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.served++
	if err != nil {
		w.busy = false
		p.terminate(w, fmt.Errorf("%s: %w", w.name, err))
		return
	}
	w.since = time.Now()
	p.refill = backoff{}
	p.putBack(w)
	p.armFor(w)
	if grown || w.served >= w.maxRequests {
		w.spent = true
		p.replace(w.since)
	}
}

// armFor lets the sweeper look when there may be something to do about a process that is idle since
// now. mu is held.
func (p *processes) armFor(w *worker) {
	pause := min(p.limits.Idle, p.limits.Silence)
	switch {
	case w.leaving:
		pause = settle
	case w.unmeasured:
		pause = min(pause, measurePause)
	}
	p.arm(w.since, pause)
}

// givenUp takes w back in the midst of a request, because of a cause, or because nobody
// wants its response any more.
func (p *processes) givenUp(w *worker, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.served++
	if w.orphan != nil {
		w.orphan.Stop()
	}
	if w.gone {
		w.busy = false
		w.conn.Close()
		return
	}
	if cause != nil {
		w.busy = false
		p.terminate(w, cause)
		return
	}
	if err := w.link.givenUp(w.conn); err != nil {
		w.busy = false
		p.lost(w, err)
		return
	}
	w.since, w.late = time.Now(), true
	p.putBack(w)
	p.armFor(w)
	if w.served >= w.maxRequests {
		w.spent = true
		p.replace(w.since)
	}
}

// change lets the requests look again that wait. mu is held.
func (p *processes) change() {
	if p.waiting > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// isReady notes that a process is free for the first time. mu is held.
func (p *processes) isReady(w *worker) {
	if w.gone { // the application has been closed
		return
	}
	w.ready, w.since = true, time.Now()
	p.starting--
	p.readied++
	if p.failure != nil {
		p.log.Info("application starts again", slog.String("program", p.Name()))
	}
	p.failure, p.retry = nil, backoff{}
	p.putBack(w)
	p.armFor(w)
	p.arm(w.since, w.old(w.since))
	p.arm(w.since, 0) // others may be started now
	p.succeeded(w, w.since)
}
