package frontend

import (
	"maps"
	"sync"
	"sync/atomic"

	"gatehouse/cgi"
)

// counts are the figures of an Acceptor.
type counts struct {
	accepted, evicted, failed atomic.Uint64
	waited                    uint64 // at listeners that are no longer served; guarded by the Acceptor's mu

	mu                sync.Mutex // guards what follows
	refused, declined map[string]uint64
}

// refuse counts a connection that was closed at once, by what refused it.
func (c *counts) refuse(key string) { c.add(&c.refused, key) }

func (c *counts) add(to *map[string]uint64, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *to == nil {
		*to = make(map[string]uint64)
	}
	(*to)[key]++
}

// Decline counts a request that a connection does not take, and that never becomes one of a
// Handler, by the key of a limit or what else declines it.
func (a *Acceptor) Decline(key string) { a.counts.add(&a.counts.declined, key) }

// Stats returns the figures of the connections.
func (a *Acceptor) Stats() cgi.ConnectionStats {
	c := &a.counts
	a.mu.Lock()
	s := cgi.ConnectionStats{Open: cgi.Use{Used: int64(len(a.conns)), Waited: c.waited}}
	for _, own := range a.listeners {
		u := own.Use()
		s.Open.Limit += u.Limit
		s.Open.Waited += u.Waited
	}
	a.mu.Unlock()
	s.Accepted, s.Evicted, s.Failed = c.accepted.Load(), c.evicted.Load(), c.failed.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Refused, s.Declined = maps.Clone(c.refused), maps.Clone(c.declined)
	return s
}
