package cgi

import (
	"math"
	"sync"
	"sync/atomic"
)

// A ConnectionBudget bounds the open connections of several servers together, so that the
// process keeps descriptors for what it opens besides. It is safe for concurrent use. A nil
// one has no bound.
type ConnectionBudget struct {
	mu        sync.Mutex // guards what follows
	max, used int
	waited    uint64
	free      chan struct{} // closed when there is a place; nil unless waited for

	waiting atomic.Int32
}

// NewConnectionBudget returns a ConnectionBudget of max connections. Each listener takes one
// while it waits for a connection, so that max must be more than there are listeners.
func NewConnectionBudget(max int) *ConnectionBudget {
	return &ConnectionBudget{max: max}
}

// Resize sets another maximum. If more connections are open, none is closed for that.
func (b *ConnectionBudget) Resize(max int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.max = max
	b.wake()
}

// Acquire takes the place of a connection, and waits for one. It reports false, and has taken
// none, if stop is closed before.
func (b *ConnectionBudget) Acquire(stop <-chan struct{}) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used >= b.max {
		b.waited++
	}
	for b.used >= b.max {
		if b.free == nil {
			b.free = make(chan struct{})
		}
		if !b.wait(b.free, stop) {
			return false
		}
	}
	b.used++
	return true
}

// wait waits until there may be a place. It reports false if stop is closed before. mu is
// held, and unlocked meanwhile.
func (b *ConnectionBudget) wait(free, stop <-chan struct{}) bool {
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	b.mu.Unlock()
	defer b.mu.Lock()
	select {
	case <-free:
		return true
	case <-stop:
		return false
	}
}

// Release gives the place of a connection back.
func (b *ConnectionBudget) Release() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used--
	b.wake()
}

// wake tells those who wait that there is a place, if there is. mu is held.
func (b *ConnectionBudget) wake() {
	if b.free != nil && b.used < b.max {
		close(b.free)
		b.free = nil
	}
}

// Use returns how many connections are open, and how often accepting had to wait for a place.
// A listener that waits for a connection has a place, too.
func (b *ConnectionBudget) Use() Use {
	if b == nil {
		return Use{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u := Use{Used: int64(b.used), Limit: int64(b.max), Waited: b.waited}
	if b.max == math.MaxInt32 { // what Limits.WithDefaults makes of "no limit"
		u.Limit = 0
	}
	return u
}

// IsFull reports whether a listener waits for a place.
func (b *ConnectionBudget) IsFull() bool { return b != nil && b.waiting.Load() > 0 }

// ConnectionStats are the figures of the connections of a front-end, since it began.
type ConnectionStats struct {
	// Open has the open connections, the most that there may be, and how often accepting had
	// to wait for a place.
	Open Use

	Accepted uint64            // all but those of Refused
	Refused  map[string]uint64 // closed at once, by what refused them: "allow", "allow_users", "FCGI_WEB_SERVER_ADDRS" or "ConnContext"
	Evicted  uint64            // idle ones that were closed to make room for others
	Failed   uint64            // how often accepting failed, as for the lack of a descriptor

	// Declined are requests that a connection did not take, and of which no Handler knows: by
	// "max_requests", "multiplex", "params_total" or "role".
	Declined map[string]uint64
}

// Merge adds the figures of another front-end.
func (s *ConnectionStats) Merge(other ConnectionStats) {
	s.Open.Used += other.Open.Used
	s.Open.Limit += other.Open.Limit
	s.Open.Waited += other.Open.Waited
	s.Accepted += other.Accepted
	s.Refused = merge(s.Refused, other.Refused)
	s.Evicted += other.Evicted
	s.Failed += other.Failed
	s.Declined = merge(s.Declined, other.Declined)
}

// Descriptors returns how many descriptors of this process applications take at most, besides
// those of connections and spools, as far as they tell: by a method Descriptors() int.
func Descriptors(apps ...App) int {
	n := 0
	for _, a := range apps {
		if a, ok := a.(interface{ Descriptors() int }); ok {
			n = min(n+min(a.Descriptors(), math.MaxInt32), math.MaxInt32)
		}
	}
	return n
}
