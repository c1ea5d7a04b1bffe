package cgi

import (
	"math"
	"sync/atomic"
)

// A ConnectionBudget bounds the open connections of several servers together, so that the
// process keeps descriptors for what it opens besides. It is safe for concurrent use. A nil
// one has no bound.
type ConnectionBudget struct {
	slots   chan struct{}
	waiting atomic.Int32
}

// NewConnectionBudget returns a ConnectionBudget of max connections. Each listener takes one
// while it waits for a connection, so that max must be more than there are listeners.
func NewConnectionBudget(max int) *ConnectionBudget {
	return &ConnectionBudget{slots: make(chan struct{}, max)}
}

// Acquire takes the place of a connection, and waits for one. It reports false, and has taken
// none, if stop is closed before.
func (b *ConnectionBudget) Acquire(stop <-chan struct{}) bool {
	if b == nil {
		return true
	}
	select {
	case b.slots <- struct{}{}:
		return true
	default:
	}
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	select {
	case b.slots <- struct{}{}:
		return true
	case <-stop:
		return false
	}
}

// Release gives the place of a connection back.
func (b *ConnectionBudget) Release() {
	if b != nil {
		<-b.slots
	}
}

// IsFull reports whether a listener waits for a place.
func (b *ConnectionBudget) IsFull() bool { return b != nil && b.waiting.Load() > 0 }

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
