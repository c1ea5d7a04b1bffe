package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/internal/nowait"
)

// A Pool has the connections to one application, which may listen at several addresses.
// New makes one.
type Pool struct {
	Limits Limits // with their defaults

	log  *slog.Logger
	gate *admission.Gate

	supplier Supplier // has the connections; nil where targets are dialed

	pipes pipeStock

	mu      sync.Mutex
	targets []*target
	chosen  int         // how often one of targets was
	sweeper *time.Timer // runs while connections are idle
	closed  bool
}

// held is a connection that is idle, or may be again.
type held struct {
	nc       net.Conn
	client   any
	requests int
	since    time.Time
	look     look
}

var errClosed = errors.New("the application is closed")

// New returns a Pool for an application at these addresses, as ParseAddress reads them. The
// caller closes it.
func New(addresses []string, l Limits, log *slog.Logger) (*Pool, error) {
	p := &Pool{Limits: l.withDefaults(), log: cmp.Or(log, slog.Default())}
	var errs []error
	for _, s := range addresses {
		a, err := ParseAddress(s)
		errs = append(errs, err)
		p.targets = append(p.targets, &target{addr: a, name: a.String()})
	}
	if len(addresses) == 0 {
		errs = append(errs, errors.New("no address of the application: "+addressForms))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.gate = admission.New(p.Limits.admission(), p.log)
	p.sweeper = time.AfterFunc(forever, p.sweep)
	p.sweeper.Stop()
	return p, nil
}

// Name names the application in messages: its first address, or as its supplier does.
func (p *Pool) Name() string {
	if p.supplier != nil {
		return p.supplier.Name()
	}
	return p.targets[0].name
}

// Load returns how busy the application is.
func (p *Pool) Load() admission.Load { return p.gate.Load() }

// Descriptors returns how many there are at most: those of connections in use and of their pipes,
// and those of connections that are kept.
func (p *Pool) Descriptors() int {
	l := &p.Limits
	used := min(l.Connections, math.MaxInt32/(1+nowait.PipeDescriptors)) * (1 + nowait.PipeDescriptors)
	return min(used+len(p.targets)*min(l.Keep, math.MaxInt32/len(p.targets)), math.MaxInt32)
}

// Measure adds to s how busy the application is, and how its addresses are.
func (p *Pool) Measure(s *cgi.AppState) {
	p.gate.Measure(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.targets {
		a := cgi.AddressState{Address: t.name, Active: t.active, Idle: len(t.idle), Failures: t.failures}
		if t.until.After(time.Now()) {
			a.Avoided = t.until
		}
		s.Addresses = append(s.Addresses, a)
	}
}

// Close closes what is idle. Requests under way are not ended, and their connections are
// closed with them. Later requests are refused with 503.
func (p *Pool) Close() {
	p.pipes.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	for _, t := range p.targets {
		for _, h := range t.idle {
			h.nc.Close()
		}
		t.idle = nil
	}
}

// sweep closes what has been idle for too long.
func (p *Pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := time.Time{}
	for _, t := range p.targets {
		t.idle = slices.DeleteFunc(t.idle, func(h *held) bool {
			if time.Since(h.since) < p.Limits.KeepIdle {
				if oldest.IsZero() || h.since.Before(oldest) {
					oldest = h.since
				}
				return false
			}
			h.nc.Close()
			return true
		})
	}
	if !oldest.IsZero() && !p.closed {
		p.sweeper.Reset(time.Until(oldest.Add(p.Limits.KeepIdle)))
	}
}

// A Turn is the place of a request among the connections that may be in use, and its
// connection.
type Turn struct {
	Conn   net.Conn // after Connect
	Client any      // what Keep was told of a kept connection, otherwise nil

	pool     *Pool
	request  *cgi.Request // nil for none
	place    admission.Place
	until    time.Time // the end of the wait
	supplied Supplied  // Conn, of a supplier
	target   *target
	requests int       // the connection has served
	held     *held     // what it was taken from, for Keep
	tried    []*target // could not be connected to

	unanswered bool // counted in target
}

// Enter returns when the request has its turn. The error is one of admission.Gate.Enter. The
// caller calls Leave.
func (p *Pool) Enter(ctx context.Context, remote string) (Turn, error) {
	return p.turn(func() (admission.Place, error) { return p.gate.Enter(ctx, "", remote) })
}

// Admit is Enter for a request, which then tells how long it has waited.
func (p *Pool) Admit(ctx context.Context, r *cgi.Request) (Turn, error) {
	t, err := p.turn(func() (admission.Place, error) { return p.gate.Admit(ctx, r, "") })
	t.request = r
	return t, err
}

// turn returns the turn of a request that enter has let in.
func (p *Pool) turn(enter func() (admission.Place, error)) (Turn, error) {
	t := Turn{pool: p}
	if p.Limits.QueueWait != forever {
		t.until = time.Now().Add(p.Limits.QueueWait)
	}
	var err error
	t.place, err = enter()
	if err != nil {
		return t, fmt.Errorf("%s: %w", p.Name(), err)
	}
	return t, nil
}

// Name returns the address that the connection leads to.
func (t *Turn) Name() string {
	if t.supplied != nil {
		return t.supplied.Name()
	}
	return t.target.name
}

// Kept reports whether the connection was open before this request.
func (t *Turn) Kept() bool { return t.requests > 0 || t.supplied != nil }

// Served returns how many requests the connection has served.
func (t *Turn) Served() int { return t.requests }

// Connect takes an idle connection that works, or a new one, to the address with the fewest
// in use. It tries each address once. The error is a *cgi.StatusError that names the
// address: 502, 503 if the backlog is full or this process has no descriptor, 504 if it takes
// too long; or the cause of ctx.
func (t *Turn) Connect(ctx context.Context) error {
	p := t.pool
	if p.supplier != nil {
		return t.supply(ctx)
	}
	var last error
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: time.Second, Err: errClosed}
		}
		target := p.choose(t.tried)
		if target == nil {
			p.mu.Unlock()
			return last
		}
		t.target = target
		target.active++
		t.takeIdle()
		p.mu.Unlock()
		if t.Conn != nil {
			t.tellUsage(0)
			return nil
		}
		nc, err := p.dial(ctx, target, t.until)
		if err == nil {
			t.Conn, t.requests = nc, 0
			t.tellUsage(0)
			return nil
		}
		p.mu.Lock()
		target.active--
		if ctx.Err() == nil && !errors.Is(err, errBacklog) && cgi.Remedy(err) == "" {
			p.failed(target, true, err)
		}
		p.mu.Unlock()
		t.target, t.tried = nil, append(t.tried, target)
		if ctx.Err() != nil {
			return cancelled(ctx, target.name)
		}
		last = err
	}
}

// tellUsage tells who serves the request: the number of a process, or 0, and its name.
func (t *Turn) tellUsage(pid int) {
	if t.request != nil {
		t.request.UpdateUsage(func(u *cgi.Usage) { *u = cgi.Usage{Program: t.Name(), PID: pid, Queued: u.Queued} })
	}
}

// takeIdle takes an idle connection of the target, and closes those that the application has
// closed. mu is held.
func (t *Turn) takeIdle() {
	for n := len(t.target.idle); n > 0; n = len(t.target.idle) {
		h := t.target.idle[n-1]
		t.target.idle[n-1] = nil
		t.target.idle = t.target.idle[:n-1]
		if h.look.at(h.nc) {
			t.Conn, t.Client, t.requests, t.held = h.nc, h.client, h.requests, h
			return
		}
		h.nc.Close()
	}
}

// Drop closes the connection, or gives it back to its supplier. Connect may be called again.
func (t *Turn) Drop() {
	if t.Conn == nil {
		return
	}
	if t.supplied != nil {
		t.supplied.GiveUp()
	} else {
		t.Conn.Close()
		t.pool.mu.Lock()
		t.target.active--
		t.answered()
		t.pool.mu.Unlock()
	}
	t.Conn, t.Client, t.held = nil, nil, nil
}

// Keeps reports whether the connection may be kept after this request.
func (t *Turn) Keeps() bool {
	l := &t.pool.Limits
	return t.supplied != nil || l.Keep > 0 && t.requests+1 < l.KeepRequests
}

// Keep keeps the connection for further requests, along with client, unless enough are
// idle. It has served its request, and nothing has come behind that.
func (t *Turn) Keep(client any) {
	p, nc := t.pool, t.Conn
	if t.supplied != nil {
		t.supplied.Keep(client)
		t.Conn, t.Client = nil, nil
		return
	}
	p.mu.Lock()
	if p.closed || len(t.target.idle) >= p.Limits.Keep || t.target.unanswered > 0 {
		p.mu.Unlock()
		t.Drop()
		return
	}
	h := t.held
	if h == nil {
		h = new(held)
	}
	h.nc, h.client, h.requests, h.since = nc, client, t.requests+1, time.Now()
	t.target.active--
	t.target.idle = append(t.target.idle, h)
	if p.Limits.KeepIdle != forever && p.idleCount() == 1 {
		p.sweeper.Reset(p.Limits.KeepIdle)
	}
	p.mu.Unlock()
	t.Conn, t.Client, t.held = nil, nil, nil
}

// UnansweredAfter is how long a new connection waits for a response before Unanswered is
// called.
const UnansweredAfter = 100 * time.Millisecond

// Unanswered says that nothing has come on a new connection. An application whose processes
// all wait for a request on kept connections does not accept it: those that are idle are
// closed, and until Answered none is kept.
func (t *Turn) Unanswered() {
	if t.supplied != nil || t.unanswered || t.Kept() || t.pool.Limits.Keep == 0 {
		return
	}
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	t.unanswered = true
	t.target.unanswered++
	for _, h := range t.target.idle {
		h.nc.Close()
	}
	t.target.idle = nil
}

// Answered says that something has come.
func (t *Turn) Answered() {
	if t.unanswered {
		t.pool.mu.Lock()
		defer t.pool.mu.Unlock()
		t.answered()
	}
}

// answered is Answered while mu is held.
func (t *Turn) answered() {
	if t.unanswered {
		t.unanswered = false
		t.target.unanswered--
	}
}

func (p *Pool) idleCount() (n int) {
	for _, t := range p.targets {
		n += len(t.idle)
	}
	return n
}

// BoundWrite bounds the writing of nc by WriteTimeout.
func (t *Turn) BoundWrite(nc net.Conn) {
	if d := t.WriteTimeout(); d > 0 {
		nc.SetWriteDeadline(time.Now().Add(d))
	}
}

// WriteTimeout bounds the writing of what is sent before the response is read: an application
// that does not even take the variables is silent. Zero is no bound.
func (t *Turn) WriteTimeout() time.Duration {
	if l := &t.pool.Limits; l.Silence != forever {
		return l.Silence
	}
	return 0
}

// Failed notes that the address has given no proper response.
func (t *Turn) Failed(cause error) {
	if t.supplied != nil {
		t.supplied.Failed(cause)
		return
	}
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	t.pool.failed(t.target, false, cause)
}

// succeeded notes that the address works.
func (t *Turn) succeeded() {
	if t.supplied != nil {
		return
	}
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	if t.target.failures > 0 {
		t.pool.succeeded(t.target)
	}
}

// Leave closes the connection, if there is one, and ends the turn.
func (t *Turn) Leave() {
	t.Drop()
	t.pool.gate.Leave(t.place)
}
