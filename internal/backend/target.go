package backend

import (
	"log/slog"
	"slices"
	"time"
)

const (
	// failuresAllowed is how many responses in a row may fail before an address is avoided.
	// One that cannot be connected to is avoided at once.
	failuresAllowed = 3

	// The time for which an address is avoided doubles with every failure.
	firstPause, longestPause = time.Second, 30 * time.Second
)

// A target is one address of an application. Its Pool's mu guards all but addr.
type target struct {
	addr Address
	name string

	active     int // connections in use
	unanswered int // of these, new ones on which nothing comes
	failures   int // in a row
	pause      time.Duration
	until      time.Time // avoided until then, if there are others
	idle       []*held   // the one used last comes last
}

// choose returns the address for the next connection that is not among those tried: of
// those that work the one with the fewest connections in use. If none works, it is the one
// whose time is over first. nil is that all have been tried.
func (p *Pool) choose(tried []*target) *target {
	var best *target
	var now time.Time
	if len(p.targets) > 1 {
		now = time.Now()
	}
	for i := range p.targets {
		t := p.targets[(p.chosen+i)%len(p.targets)]
		if slices.Contains(tried, t) {
			continue
		}
		if best == nil || t.before(best, now) {
			best = t
		}
	}
	p.chosen++
	return best
}

// before reports whether t is better than u.
func (t *target) before(u *target, now time.Time) bool {
	avoided, other := t.until.After(now), u.until.After(now)
	switch {
	case avoided != other:
		return other
	case avoided:
		return t.until.Before(u.until)
	}
	return t.active < u.active
}

// failed notes a failure of the address. atOnce says that it cannot be connected to. mu is
// held.
func (p *Pool) failed(t *target, atOnce bool, cause error) {
	t.failures++
	if t.failures < failuresAllowed && !atOnce || time.Now().Before(t.until) {
		return
	}
	t.pause = min(max(2*t.pause, firstPause), longestPause)
	t.until = time.Now().Add(t.pause)
	if len(p.targets) > 1 {
		p.log.Warn("address of an application is avoided", slog.String("address", t.name),
			slog.String("for", t.pause.String()), slog.String("error", cause.Error()))
	}
}

// succeeded notes that the address works. mu is held.
func (p *Pool) succeeded(t *target) {
	if t.pause > 0 && len(p.targets) > 1 {
		p.log.Info("address of an application works again", slog.String("address", t.name))
	}
	t.failures, t.pause, t.until = 0, 0, time.Time{}
}
