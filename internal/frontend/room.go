package frontend

import (
	"cmp"
	"slices"
	"time"

	"gatehouse/cgi"
)

const (
	// idleBeforeEviction is how long a connection has been idle at least that is closed to
	// make room: a web server may be about to send a request on a younger one.
	idleBeforeEviction = time.Second

	// evictionLog is how often it is logged that connections are closed to make room.
	evictionLog = 10 * time.Second
)

// An IdleConn is a Conn that may be closed to make room for others.
type IdleConn interface {
	Conn

	// IdleSince reports whether nothing is in flight, and since when, in the time of Tick.
	// A connection that Evict has been called for is not idle: what has begun to come on it
	// would keep others from being closed. It is called on the goroutine of the tick.
	IdleSince() (since time.Duration, idle bool)

	// Evict closes the connection if nothing is in flight on it.
	Evict()
}

// acquire takes the place of a connection, of its listener and of all. It reports false if
// no connection is served any more before there is one.
func (a *Acceptor) acquire(own *cgi.ConnectionBudget, aborted <-chan struct{}) bool {
	if !own.Acquire(aborted) {
		return false
	}
	if !a.Shared.Acquire(aborted) {
		own.Release()
		return false
	}
	return true
}

func (a *Acceptor) release(own *cgi.ConnectionBudget) {
	a.Shared.Release()
	own.Release()
}

// isFull reports whether a listener has no place for another connection. mu is held.
func (a *Acceptor) isFull() bool {
	for _, own := range a.listeners {
		if own.IsFull() {
			return true
		}
	}
	return a.Shared.IsFull()
}

// makeRoom closes the connections that have been idle for the longest time, a few in each
// tick, if a listener has no place for another one, and reports whether that is so. How many
// is as in nginx.
func (a *Acceptor) makeRoom(now time.Duration) (full bool) {
	type candidate struct {
		conn  IdleConn
		since time.Duration
	}
	var idle []candidate
	a.mu.Lock()
	if full = a.isFull(); full {
		shared := a.Shared.IsFull()
		for c, own := range a.conns {
			if !shared && !own.IsFull() {
				continue
			}
			if c, ok := c.(IdleConn); ok {
				if since, is := c.IdleSince(); is && now-since >= idleBeforeEviction {
					idle = append(idle, candidate{c, since})
				}
			}
		}
	}
	a.mu.Unlock()
	if len(idle) > 0 {
		slices.SortFunc(idle, func(x, y candidate) int { return cmp.Compare(x.since, y.since) })
		idle = idle[:min(max(len(idle)/8, 1), 32)]
	}
	for _, c := range idle {
		c.conn.Evict()
	}
	a.counts.evicted.Add(uint64(len(idle)))
	if a.evicted += len(idle); a.evicted > 0 && (a.logged == 0 || now-a.logged >= evictionLog) {
		a.log().Warn("idle connections are closed to make room for new ones: there are as many as max_connections, or RLIMIT_NOFILE (LimitNOFILE=), allows",
			"closed", a.evicted)
		a.evicted, a.logged = 0, now
	}
	return full
}
