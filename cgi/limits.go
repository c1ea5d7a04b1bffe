package cgi

import (
	"math"
	"time"

	"gatehouse/cgi/spool"
)

// Limits are the bounds that a front-end holds for its peers. A zero field means
// its default, a negative one no limit.
type Limits struct {
	Connections int           // open at once, a listener: 10,000; beyond it accepting waits
	Requests    int           // in flight, a connection: 100; 1 turns FastCGI's multiplexing off
	ParamsBytes int           // of the variables of a request: 1 MiB; 431 beyond it
	ParamsCount int           // number of variables: 1,000; 431 beyond it
	BodyBytes   int64         // of a request's body: no limit; 413 beyond it
	BodyRead    time.Duration // between two bytes of a body that is waited for: 60 s; 408 beyond it
	Write       time.Duration // for a peer that takes nothing: 60 s; the connection is closed
	Idle        time.Duration // for a connection without a request, and for a head to arrive: 75 s
	Linger      time.Duration // to read what a peer still sends after its answer: 2 s

	// Spool bounds what is kept of bodies that nobody reads yet. If it has no Total,
	// the server has one of its own, of 8 GiB.
	Spool spool.Limits
}

// WithDefaults returns l with each zero field set to its default, and each
// negative one to a value that is never reached.
func (l Limits) WithDefaults() Limits {
	limit(&l.Connections, 10_000, math.MaxInt32)
	limit(&l.Requests, 100, math.MaxInt32)
	limit(&l.ParamsBytes, 1<<20, math.MaxInt32)
	limit(&l.ParamsCount, 1000, math.MaxInt32)
	limit(&l.BodyBytes, math.MaxInt64, math.MaxInt64)
	limit(&l.BodyRead, 60*time.Second, math.MaxInt64)
	limit(&l.Write, 60*time.Second, math.MaxInt64)
	limit(&l.Idle, 75*time.Second, math.MaxInt64)
	limit(&l.Linger, 2*time.Second, math.MaxInt64)
	if l.Spool.Total == nil {
		l.Spool.Total = spool.NewBudget(0)
	}
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
