// Package admission bounds how many programs run at once: in all, of each script,
// and for each client address. Requests beyond that wait in one fair queue, and
// those beyond the queue are refused with 503 and Retry-After.
//
//	gate := admission.New(admission.Limits{Programs: 8}, log)
//	place, err := gate.Admit(ctx, r, "/srv/cgi/report")
//	if err != nil {
//		return err
//	}
//	defer gate.Leave(place)
package admission

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi"
)

// waitLogPause is the least time between two lines of the log that say that requests
// wait.
const waitLogPause = 10 * time.Second

// Limits bound what runs and what waits. A zero field means its default, a negative
// one no limit.
type Limits struct {
	Programs           int // running at once: 4 for each processor
	ProgramsPerScript  int // of these, of one script: no limit
	ProgramsPerAddress int // of these, for one client: no limit

	// Connections says that not programs are counted but connections to an application,
	// which messages then speak of.
	Connections bool

	Queue     int           // requests that wait: 1,024; 503 beyond it (negative: none waits)
	QueueWait time.Duration // for a program's turn: 10 s; 503 beyond it
}

// WithDefaults returns l without zero or negative fields; a Queue of 0 stays for none.
func (l Limits) WithDefaults() Limits {
	bound := func(n *int, standard int) {
		if *n == 0 {
			*n = standard
		} else if *n < 0 {
			*n = unlimited
		}
	}
	bound(&l.Programs, 4*runtime.NumCPU())
	bound(&l.ProgramsPerScript, unlimited)
	bound(&l.ProgramsPerAddress, unlimited)
	if l.Queue < 0 {
		l.Queue = 0
	} else {
		bound(&l.Queue, 1024)
	}
	switch {
	case l.QueueWait == 0:
		l.QueueWait = 10 * time.Second
	case l.QueueWait < 0:
		l.QueueWait = math.MaxInt64
	}
	return l
}

// unlimited is more programs than any system runs.
const unlimited = math.MaxInt32

// A Gate lets programs run up to its limits. The rest wait, and start in the order of
// arrival among those that may: a request that waits for a script or an address at its
// limit holds up no other.
//
// What a Gate keeps is in proportion to the programs that run and the requests that
// wait. Enter and Leave take logarithmic time in that; leaving for an address at its
// limit takes it for each script that requests from there wait for.
type Gate struct {
	limits Limits
	log    *slog.Logger

	mu        sync.Mutex
	free      int
	load      Load
	seq       uint64 // of the last request that waited
	ready     scriptHeap
	scripts   map[string]*scriptQueue
	addresses map[string]*clientAddress

	// What has no limit of its own is counted here.
	anyScript  scriptQueue
	anyAddress clientAddress

	logged   time.Time // when the log last said that requests wait
	unlogged int       // how many have begun to since
}

// A Load is how busy a Gate is.
type Load struct {
	Running int    // programs that run
	Waiting int    // requests that wait for their turn
	Waited  uint64 // requests that have waited since the beginning, those of Waiting among them
	Refused uint64 // requests refused since the beginning, as too many ran or waited
}

// New returns a Gate with these limits. It logs when requests begin to wait, at most
// every 10 s.
func New(l Limits, log *slog.Logger) *Gate {
	l = l.WithDefaults()
	return &Gate{
		limits:     l,
		log:        log,
		free:       l.Programs,
		scripts:    make(map[string]*scriptQueue),
		addresses:  make(map[string]*clientAddress),
		anyScript:  scriptQueue{limit: unlimited, index: -1},
		anyAddress: clientAddress{limit: unlimited},
	}
}

// Limits returns the limits of g, with their defaults.
func (g *Gate) Limits() Limits { return g.limits }

// Measure adds to s how busy g is at the moment.
func (g *Gate) Measure(s *cgi.AppState) {
	load := g.Load()
	s.Programs = cgi.Use{Used: int64(load.Running), Limit: bounded(g.limits.Programs), Waited: load.Waited, Refused: load.Refused}
	s.Queue = cgi.Use{Used: int64(load.Waiting), Limit: bounded(g.limits.Queue), Refused: load.Refused}
}

// bounded returns a limit, 0 for none.
func bounded(n int) int64 {
	if n == unlimited {
		return 0
	}
	return int64(n)
}

// Load returns how busy g is at the moment.
func (g *Gate) Load() Load {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.load
}

// A Place is the slot of a running program.
type Place struct {
	script  *scriptQueue
	address *clientAddress
}

// Enter returns once a program of the script may run for the client address
// (REMOTE_ADDR: an IPv4 address, or the 64 bits of an IPv6 address that a client can be
// expected to have to itself; one that is no address counts for none). Leave gives the
// place back. When ctx is done the request leaves the queue, and the error is ctx's
// cause; otherwise it is a *cgi.StatusError of 503 that names the limit and its key.
func (g *Gate) Enter(ctx context.Context, script, address string) (Place, error) {
	return g.enter(ctx, nil, script, address)
}

// Admit is Enter for a request, which then tells how long it has waited.
func (g *Gate) Admit(ctx context.Context, r *cgi.Request, script string) (Place, error) {
	return g.enter(ctx, r, script, r.Env.Get("REMOTE_ADDR"))
}

func (g *Gate) enter(ctx context.Context, r *cgi.Request, script, address string) (Place, error) {
	g.mu.Lock()
	p := g.place(script, address)
	if g.free > 0 && p.mayRun() {
		g.occupy(p)
		g.mu.Unlock()
		return p, nil
	}
	busy := g.busy(p)
	if g.load.Waiting >= g.limits.Queue {
		g.load.Refused++
		g.dropUnused(p)
		g.mu.Unlock()
		return Place{}, g.refusal("queue", fmt.Errorf("%s and %d requests wait (queue)", busy, g.limits.Queue))
	}
	w := g.wait(p)
	report, load := g.reportDue(), g.load
	g.mu.Unlock()
	if report > 0 {
		message := "requests wait for programs to end"
		if g.limits.Connections {
			message = "requests wait for connections to be free"
		}
		g.log.LogAttrs(ctx, slog.LevelWarn, message, slog.Int("began", report),
			slog.Int("waiting", load.Waiting), slog.Int("running", load.Running), slog.String("reason", busy))
	}

	if r != nil {
		r.BeginWaiting()
		defer r.EndWaiting()
	}
	timer := time.NewTimer(g.limits.QueueWait)
	defer timer.Stop()
	var err error
	select {
	case <-w.turn:
		return p, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.turn:
		if err == nil {
			return p, nil // its turn came at the last moment
		}
		g.leaveLocked(p)
		return Place{}, err
	default:
	}
	g.remove(w)
	g.dropUnused(p)
	if err == nil {
		g.load.Refused++
		err = g.refusal("queue_wait", fmt.Errorf("no turn within %v (queue_wait): %s", g.limits.QueueWait, g.busy(p)))
	}
	return Place{}, err
}

// Leave gives a place back, to the first in the queue that may run then.
func (g *Gate) Leave(p Place) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaveLocked(p)
}

func (g *Gate) leaveLocked(p Place) {
	g.free++
	g.load.Running--
	p.script.running--
	p.address.running--
	p.address.unpark(g)
	g.requeue(p.script)
	g.dispatch()
	g.dropUnused(p)
}

// occupy counts a program that starts.
func (g *Gate) occupy(p Place) {
	g.free--
	g.load.Running++
	p.script.running++
	p.address.running++
}

// place returns what a program of the script for the address counts for.
func (g *Gate) place(script, address string) Place {
	p := Place{&g.anyScript, &g.anyAddress}
	if n := g.limits.ProgramsPerScript; n != unlimited {
		if p.script = g.scripts[script]; p.script == nil {
			// The path may be part of a request's variables, which must not be kept.
			name := strings.Clone(script)
			p.script = &scriptQueue{name: name, limit: n, index: -1}
			g.scripts[name] = p.script
		}
	}
	if n := g.limits.ProgramsPerAddress; n != unlimited {
		name := clientOf(address)
		if name == "" {
			return p
		}
		if p.address = g.addresses[name]; p.address == nil {
			p.address = &clientAddress{name: name, limit: n}
			g.addresses[name] = p.address
		}
	}
	return p
}

// dropUnused drops what nothing runs or waits for.
func (g *Gate) dropUnused(p Place) {
	if s := p.script; s != &g.anyScript && s.running == 0 && len(s.lanes) == 0 && len(s.byAddress) == 0 {
		delete(g.scripts, s.name)
	}
	if c := p.address; c != &g.anyAddress && c.running == 0 && c.waiting == 0 {
		delete(g.addresses, c.name)
	}
}

// clientOf returns what REMOTE_ADDR counts as: an IPv4 address itself, of IPv6 the
// network of 64 bits that is the least a client has, and "" for what is no address.
func clientOf(remote string) string {
	ip, err := netip.ParseAddr(remote)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return network.String()
}

func (p Place) mayRun() bool {
	return p.script.running < p.script.limit && p.address.running < p.address.limit
}

// busy says which limit keeps a program from running, and how it is called in a
// configuration.
func (g *Gate) busy(p Place) string {
	switch {
	case p.address.running >= p.address.limit:
		return fmt.Sprintf("%d programs run for %s (programs_per_address)", p.address.running, p.address.name)
	case p.script.running >= p.script.limit:
		return fmt.Sprintf("%d programs of this script run (programs_per_script)", p.script.running)
	}
	if g.limits.Connections {
		return fmt.Sprintf("%d connections are in use (connections)", g.load.Running)
	}
	return fmt.Sprintf("%d programs run (programs)", g.load.Running)
}

// reportDue counts a request that begins to wait. It returns how many have begun to
// since the log last said so, or 0 if it is not yet time to say it again.
func (g *Gate) reportDue() int {
	g.unlogged++
	now := time.Now()
	if !g.logged.IsZero() && now.Sub(g.logged) < waitLogPause {
		return 0
	}
	n := g.unlogged
	g.logged, g.unlogged = now, 0
	return n
}

// refusal is the error for a client that may try again, because of a limit.
func (g *Gate) refusal(key string, err error) error {
	retry := time.Second
	if g.limits.QueueWait < time.Hour {
		retry = max(retry, g.limits.QueueWait)
	}
	return &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: retry, Err: err, Check: key}
}
