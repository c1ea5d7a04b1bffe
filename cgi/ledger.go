package cgi

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// A ledger holds what Handlers that follow each other have in common: the figures of the
// applications, the requests in flight, and their numbers.
type ledger struct {
	began   time.Time // with the monotonic clock, for now
	numbers requestNumbers
	shards  [shards]shard

	mu      sync.Mutex // guards tallies
	tallies map[tallyKey]*Tally
	nowhere [2]*Tally // of requests that reached no application; the second of Authorizers
}

type tallyKey struct {
	name       string
	authorizer bool
}

func newLedger() *ledger {
	l := &ledger{began: time.Now(), tallies: make(map[tallyKey]*Tally)}
	l.nowhere = [2]*Tally{l.tally("", false), l.tally("", true)}
	return l
}

// now returns the time since the ledger began. It costs less than time.Now.
func (l *ledger) now() time.Duration { return time.Since(l.began) }

// tally returns the Tally of an application, a new one if it has none.
func (l *ledger) tally(name string, authorizer bool) *Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := tallyKey{name, authorizer}
	t := l.tallies[k]
	if t == nil {
		t = &Tally{name: name, authorizer: authorizer, ledger: l}
		l.tallies[k] = t
	}
	return t
}

// stats returns the figures of all applications, sorted.
func (l *ledger) stats() []RequestStats {
	l.mu.Lock()
	all := make(map[*Tally]*RequestStats, len(l.tallies))
	for _, t := range l.tallies {
		all[t] = new(RequestStats)
	}
	l.mu.Unlock()
	l.each(func(w *response) bool {
		if s := all[w.tally()]; s != nil {
			s.InFlight++
			if w.flight.waiting.Load() != 0 {
				s.Waiting++
			}
		}
		return true
	})
	list := make([]RequestStats, 0, len(all))
	for t, gauges := range all {
		s := t.snapshot()
		s.InFlight, s.Waiting = gauges.InFlight, gauges.Waiting
		if s.Application == "" && s.Authorizer && s.Count() == 0 && s.InFlight == 0 {
			continue // what serves no Authorizers has none
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b RequestStats) int {
		order := cmp.Compare(a.Application, b.Application)
		if order == 0 && a.Authorizer != b.Authorizer {
			order = 1
			if b.Authorizer {
				order = -1
			}
		}
		return order
	})
	return list
}

// ContinueFrom has h go on with the ids that old gives to requests, and with its figures,
// while old may go on, too. It must be called before h runs anything.
func (h *Handler) ContinueFrom(old *Handler) { h.books.Store(old.ledger()) }

// ledger returns that of h.
func (h *Handler) ledger() *ledger {
	if l := h.books.Load(); l != nil {
		return l
	}
	h.books.CompareAndSwap(nil, newLedger())
	return h.books.Load()
}

// HasBegun reports whether h has run anything, or goes on with the figures of another.
func (h *Handler) HasBegun() bool { return h.books.Load() != nil }

// Stats returns the figures of the requests that h has run, and the Handlers whose figures it
// continues: those of each application, sorted by its name and with those that are not mounted
// any more. It does not hold up requests.
func (h *Handler) Stats() []RequestStats { return h.ledger().stats() }
