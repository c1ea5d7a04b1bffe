package script

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi"
)

var errClosed = errors.New("the application is closed")

// waitLogPause is the least time between two lines of the log that say that requests
// wait.
const waitLogPause = 10 * time.Second

// An admission lets so many programs run at once, in all, of each script, and for each
// client address. The rest wait, and start in the order of arrival among those that
// may: who waits for a script or an address at its limit holds up nobody else.
//
// What it keeps is in proportion to the programs that run and the requests that wait.
// To enter and to leave take logarithmic time in that; a program for an address at its
// limit takes it for each script that requests from there wait for.
type admission struct {
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

// A Load is how busy an App is.
type Load struct {
	Running int    // programs that run
	Waiting int    // requests that wait for their turn
	Waited  uint64 // requests that have waited, from the beginning, those of Waiting among them
	Refused uint64 // requests that were refused since too many ran or waited, from the beginning
}

// Load returns how busy a is at the moment.
func (a *App) Load() Load {
	a.state.admission.mu.Lock()
	defer a.state.admission.mu.Unlock()
	return a.state.admission.load
}

func (a *admission) init(l Limits, log *slog.Logger) {
	a.limits, a.log, a.free = l, log, l.Programs
	a.scripts, a.addresses = make(map[string]*scriptQueue), make(map[string]*clientAddress)
	a.anyScript = scriptQueue{limit: math.MaxInt32, index: -1}
	a.anyAddress = clientAddress{limit: math.MaxInt32}
}

// A place is a running program's, and says what it counts for.
type place struct {
	script  *scriptQueue
	address *clientAddress
}

// enter returns once a program of the script may run for the address (REMOTE_ADDR),
// which gives the place back with leave. A client that vanishes leaves the queue.
func (a *admission) enter(ctx context.Context, script, address string) (place, error) {
	a.mu.Lock()
	p := a.placeOf(script, address)
	if a.free > 0 && p.mayRun() {
		a.run(p)
		a.mu.Unlock()
		return p, nil
	}
	busy := a.busy(p)
	if a.load.Waiting >= a.limits.Queue {
		a.load.Refused++
		a.forget(p)
		a.mu.Unlock()
		return place{}, a.refusal(fmt.Errorf("%s and %d requests wait (queue)", busy, a.limits.Queue))
	}
	w := a.wait(p)
	report, load := a.reportDue(), a.load
	a.mu.Unlock()
	if report > 0 {
		a.log.LogAttrs(ctx, slog.LevelWarn, "requests wait for programs to end", slog.Int("began", report),
			slog.Int("waiting", load.Waiting), slog.Int("running", load.Running), slog.String("reason", busy))
	}

	timer := time.NewTimer(a.limits.QueueWait)
	defer timer.Stop()
	var err error
	select {
	case <-w.turn:
		return p, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-w.turn:
		if err == nil {
			return p, nil // its turn came at the last moment
		}
		a.leaveLocked(p)
		return place{}, err
	default:
	}
	a.remove(w)
	a.forget(p)
	if err == nil {
		a.load.Refused++
		err = a.refusal(fmt.Errorf("no turn within %v (queue_wait): %s", a.limits.QueueWait, a.busy(p)))
	}
	return place{}, err
}

// leave gives a place back, to the first in the queue that may run then.
func (a *admission) leave(p place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leaveLocked(p)
}

func (a *admission) leaveLocked(p place) {
	a.free++
	a.load.Running--
	p.script.running--
	p.address.running--
	p.address.unpark(a)
	a.settle(p.script)
	a.dispatch()
	a.forget(p)
}

// run counts a program that starts.
func (a *admission) run(p place) {
	a.free--
	a.load.Running++
	p.script.running++
	p.address.running++
}

// placeOf returns what a program of the script for the address counts for.
func (a *admission) placeOf(script, address string) place {
	p := place{&a.anyScript, &a.anyAddress}
	if n := a.limits.ProgramsPerScript; n != math.MaxInt32 {
		if p.script = a.scripts[script]; p.script == nil {
			// The path may be a part of a request's variables, which are let go.
			name := strings.Clone(script)
			p.script = &scriptQueue{name: name, limit: n, index: -1}
			a.scripts[name] = p.script
		}
	}
	if n := a.limits.ProgramsPerAddress; n != math.MaxInt32 {
		name := clientOf(address)
		if name == "" {
			return p
		}
		if p.address = a.addresses[name]; p.address == nil {
			p.address = &clientAddress{name: name, limit: n}
			a.addresses[name] = p.address
		}
	}
	return p
}

// forget drops what nothing runs or waits for.
func (a *admission) forget(p place) {
	if s := p.script; s != &a.anyScript && s.running == 0 && len(s.lanes) == 0 && len(s.byAddress) == 0 {
		delete(a.scripts, s.name)
	}
	if c := p.address; c != &a.anyAddress && c.running == 0 && c.waiting == 0 {
		delete(a.addresses, c.name)
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

func (p place) mayRun() bool {
	return p.script.running < p.script.limit && p.address.running < p.address.limit
}

// busy says which limit keeps a program from running, and how it is called in a
// configuration.
func (a *admission) busy(p place) string {
	switch {
	case p.address.running >= p.address.limit:
		return fmt.Sprintf("%d programs run for %s (programs_per_address)", p.address.running, p.address.name)
	case p.script.running >= p.script.limit:
		return fmt.Sprintf("%d programs of this script run (programs_per_script)", p.script.running)
	}
	return fmt.Sprintf("%d programs run (programs)", a.load.Running)
}

// reportDue counts a request that begins to wait. It returns how many have begun to
// since the log last said so, or 0 if it is not yet time to say it again.
func (a *admission) reportDue() int {
	a.unlogged++
	now := time.Now()
	if !a.logged.IsZero() && now.Sub(a.logged) < waitLogPause {
		return 0
	}
	n := a.unlogged
	a.logged, a.unlogged = now, 0
	return n
}

// refusal is the answer to a client that may come again.
func (a *admission) refusal(err error) error {
	retry := time.Second
	if a.limits.QueueWait < time.Hour {
		retry = max(retry, a.limits.QueueWait)
	}
	return &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: retry, Err: err}
}
