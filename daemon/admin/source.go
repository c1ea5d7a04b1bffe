package admin

import (
	"time"

	"gatehouse"
	"gatehouse/cgi"
)

// A Source is the gateway that is shown. Its methods may be called on any goroutine.
type Source interface {
	// Stats returns the figures of the moment.
	Stats() Stats

	// Ready reports whether the gateway is to get requests; it is Stats.Ready, and costs
	// nothing.
	Ready() bool

	// InFlight returns the requests in flight, the oldest first.
	InFlight() []cgi.InFlight

	// Look returns what is known of a request in flight, and whether there is one with that
	// number. It may take a second.
	Look(id uint64) (l Look, found bool)

	// Abort ends a request in flight, and reports whether it was.
	Abort(id uint64, cause error) (found bool)
}

// Stats are the figures of a gateway as they were for a moment.
type Stats struct {
	gatehouse.Stats

	// Ready reports whether the gateway is to get requests; see daemon.Daemon.Ready.
	Ready bool

	Reloads ReloadStats

	// Dropped are the lines that each log has lost, by its key.
	Dropped map[string]uint64
}

// ReloadStats are the figures of the reloads of the configuration.
type ReloadStats struct {
	Succeeded, Failed uint64

	// Last is when the last one ended, zero if there was none, and Failure why it failed, or
	// empty if it did not: a line for each problem.
	Last    time.Time
	Failure string

	// Old is how many configurations that have been replaced still have requests in flight,
	// beside how many may.
	Old cgi.Use
}
