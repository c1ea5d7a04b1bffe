package backend

import (
	"math"
	"time"

	"gatehouse/cgi/admission"
	"gatehouse/cgi/cgihead"
	"gatehouse/cgi/relay"
	"gatehouse/cgi/spool"
)

// Limits bound what requests take that are passed on to an application. A zero field means
// its default, a negative one no limit. cgi.Handler's RunTime and FirstByte also hold: they
// respond to the client and cancel the request's context, which ends it here, too.
type Limits struct {
	Connections int           // in use at once, to all addresses together: 128; more requests wait
	Queue       int           // requests that wait: 1,024; 503 beyond it (negative: none waits)
	QueueWait   time.Duration // for a free connection and, in a unix socket's backlog, for room: 10 s; 503 beyond it
	Dial        time.Duration // to connect over TCP: 5 s; 504 if no address can be reached
	FirstByte   time.Duration // to the first byte of a response, from the last byte of the body: 60 s; 504
	Silence     time.Duration // without a byte either way: 120 s; 504, or a truncated response
	Run         time.Duration // of a whole request: off; 504, or a truncated response
	HeadBytes   int           // of a response's head: 64 KiB; 502 beyond it
	StderrBytes int           // of the application's error messages that are logged, for a request: 64 KiB; the rest is dropped

	// Keep is how many idle connections to each address are kept for further requests:
	// none. A connection that is kept occupies a worker of php-fpm and its like: keep no
	// more than they have to spare. It is closed after KeepIdle (30 s) without a request,
	// after KeepRequests (1,000), and when a new connection has waited for a response for
	// 100 ms: the application may have no process left to accept that.
	Keep         int
	KeepIdle     time.Duration
	KeepRequests int

	// Spool bounds what is kept of a body of unknown length, until its length is known: 413
	// beyond it, 503 beyond its Total, of 8 GiB if it has none.
	Spool spool.Limits
}

// forever is a time that does not pass.
const forever = math.MaxInt64

// withDefaults returns l with its defaults, and without zero or negative fields but Keep.
func (l Limits) withDefaults() Limits {
	period(&l.QueueWait, 10*time.Second)
	period(&l.Dial, 5*time.Second)
	period(&l.FirstByte, 60*time.Second)
	period(&l.Silence, 120*time.Second)
	period(&l.Run, forever)
	period(&l.KeepIdle, 30*time.Second)
	count(&l.Connections, 128)
	count(&l.StderrBytes, 64<<10)
	count(&l.KeepRequests, 1000)
	if l.HeadBytes == 0 {
		l.HeadBytes = cgihead.DefaultLimit
	}
	if l.Keep < 0 {
		l.Keep = math.MaxInt
	}
	l.Spool = l.Spool.WithTotals()
	return l
}

// admission returns those that say how many requests are passed on at once.
func (l Limits) admission() admission.Limits {
	return admission.Limits{Programs: l.Connections, Connections: true, Queue: l.Queue, QueueWait: l.QueueWait}
}

// relay returns the limits of time that hold for any response.
func (l *Limits) relay() relay.Limits {
	return relay.Limits{FirstByte: l.FirstByte, Silence: l.Silence, Run: l.Run}
}

func period(d *time.Duration, standard time.Duration) {
	if *d == 0 {
		*d = standard
	} else if *d < 0 {
		*d = forever
	}
}

func count(n *int, standard int) {
	if *n == 0 {
		*n = standard
	} else if *n < 0 {
		*n = math.MaxInt32
	}
}
