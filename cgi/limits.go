package cgi

import (
	"cmp"
	"math"
	"time"

	"gatehouse/cgi/spool"
)

// Limits bound what a peer can make a front-end do. A zero field means its default, a
// negative one no limit.
type Limits struct {
	Connections int           // open connections of a listener: 10,000; beyond that the longest idle are closed, or accepting waits
	Requests    int           // requests in flight on a connection: 100; 1 turns FastCGI's multiplexing off
	ParamsBytes int           // bytes of a request's variables: 1 MiB; 431 beyond that
	ParamsCount int           // number of a request's variables: 1,000; 431 beyond that
	BodyBytes   int64         // bytes of a request's body: no limit; 413 beyond that
	BodyRead    time.Duration // wait for the next byte of a body: 60 s; 408 beyond that
	BodyRate    int64         // bytes a second of a body: 500; 408 if it is 60 s behind, while it is waited for
	Write       time.Duration // wait for a peer that takes nothing: 60 s; then the connection is closed
	Idle        time.Duration // time of a connection without a request, and of a head to arrive: 75 s
	Linger      time.Duration // time to read what a peer still sends after its response: 2 s

	// Shared bounds the open connections of all servers that have it. If nil, there is none.
	Shared *ConnectionBudget

	// ParamsTotal bounds what the requests of all connections together hold in memory, but
	// for the usual ones. A connection with one request, and no more than 32 KiB of
	// variables, takes nothing from it; more variables count until the response has ended,
	// and each further request counts 128 KiB. Beyond it, such a request gets 503, and such
	// a connection at most a second for variables to arrive. If nil, the server has one of
	// its own, of 256 MiB.
	ParamsTotal *spool.Budget

	// Spool bounds what is buffered of bodies that nobody reads yet. If it has no Total or
	// MemoryTotal, the server has its own, of 8 GiB and 256 MiB.
	Spool spool.Limits
}

// WithDefaults returns l with each zero field set to its default, and each negative one to a
// value that is never reached: BodyRate, which is a least value, stays negative.
func (l Limits) WithDefaults() Limits {
	limit(&l.Connections, 10_000, math.MaxInt32)
	limit(&l.Requests, 100, math.MaxInt32)
	limit(&l.ParamsBytes, 1<<20, math.MaxInt32)
	limit(&l.ParamsCount, 1000, math.MaxInt32)
	limit(&l.BodyBytes, math.MaxInt64, math.MaxInt64)
	limit(&l.BodyRead, 60*time.Second, math.MaxInt64)
	limit(&l.BodyRate, 500, -1)
	limit(&l.Write, 60*time.Second, math.MaxInt64)
	limit(&l.Idle, 75*time.Second, math.MaxInt64)
	limit(&l.Linger, 2*time.Second, math.MaxInt64)
	if l.ParamsTotal == nil {
		l.ParamsTotal = spool.NewBudget(spool.DefaultMemoryTotal)
	}
	l.Spool = l.Spool.WithTotals()
	return l
}

// KeepTotals returns l with the totals of old where it has none of its own: Shared,
// ParamsTotal, and those of Spool.
func (l Limits) KeepTotals(old Limits) Limits {
	l.Shared = cmp.Or(l.Shared, old.Shared)
	l.ParamsTotal = cmp.Or(l.ParamsTotal, old.ParamsTotal)
	l.Spool.Total = cmp.Or(l.Spool.Total, old.Spool.Total)
	l.Spool.MemoryTotal = cmp.Or(l.Spool.MemoryTotal, old.Spool.MemoryTotal)
	return l
}

func limit[T ~int | ~int64](n *T, standard, never T) {
	switch {
	case *n == 0:
		*n = standard
	case *n < 0:
		*n = never
	}
}
