package script

import (
	"math"
	"time"

	"gatehouse/cgi/admission"
	"gatehouse/cgi/cgihead"
	"gatehouse/cgi/process"
	"gatehouse/cgi/spool"
)

// Limits bound what programs take. A zero field means its default, a negative one
// no limit. cgi.Handler's RunTime and FirstByte also hold: they respond to the client
// and cancel the request's context, which ends the program, too.
type Limits struct {
	Programs  int           // running at once: 4 for each processor; more of them wait
	Queue     int           // requests that wait, for any of these three: 1,024; 503 beyond it (negative: none waits)
	QueueWait time.Duration // for a program's turn: 10 s; 503 beyond it
	FirstByte time.Duration // to the first byte of a response, from the last byte of the body: 60 s; 504
	Silence   time.Duration // without a byte either way: 120 s; 504, or a truncated response
	Run       time.Duration // of a whole program: off
	Grace     time.Duration // between TERM and KILL: 3 s (negative: KILL at once)
	CPU       time.Duration // CPU time of a program and its descendants: off; 504, or a truncated response
	HeadBytes int           // of a response's head: 64 KiB; 502 beyond it

	// StderrBytes is how much of what a program writes to stderr is logged, or sent to the
	// web server: 64 KiB. The rest is read and counted.
	StderrBytes int

	// AddressSpace, OpenFiles, FileBytes and Processes are resource limits of each
	// process (setrlimit(2): RLIMIT_AS, in bytes, RLIMIT_NOFILE, RLIMIT_FSIZE, in bytes,
	// and RLIMIT_NPROC, which counts all processes of the user, and does not hold for
	// root). What goes beyond fails in the program. They are off, which leaves those of
	// this process; they cannot be higher than its own. All are for Linux, as is CPU.
	AddressSpace, FileBytes int64
	OpenFiles, Processes    int

	// ProgramsPerScript is how many of Programs may be one script, known by its path, and
	// ProgramsPerAddress how many may run for one client, known by REMOTE_ADDR: an IPv4
	// address, or the 64 bits of an IPv6 address that a client can be expected to have to
	// itself. More of them wait in the queue, and hold up nobody else there. Both are off.
	// A request without an address counts for none.
	ProgramsPerScript, ProgramsPerAddress int

	// Spool bounds what is kept of a body until its program starts: all of one of unknown
	// length, and 64 KiB of others. 413 beyond it, 503 beyond its Total. If it has none, the
	// App has one of its own, of 8 GiB.
	Spool spool.Limits
}

// admission returns those that say how many programs run at once.
func (l Limits) admission() admission.Limits {
	return admission.Limits{Programs: l.Programs, ProgramsPerScript: l.ProgramsPerScript, ProgramsPerAddress: l.ProgramsPerAddress,
		Queue: l.Queue, QueueWait: l.QueueWait}
}

// Descriptors returns how many descriptors of this process its programs take at most,
// besides the spools of their bodies.
func (a *App) Descriptors() int {
	return min(a.Limits.admission().WithDefaults().Programs, math.MaxInt32/process.Descriptors) * process.Descriptors
}

// forever is a time that does not pass.
const forever = math.MaxInt64

// withDefaults returns l with its defaults, and without zero or negative fields but
// those of admission, which knows its own.
func (l Limits) withDefaults() Limits {
	period(&l.FirstByte, 60*time.Second)
	period(&l.Silence, 120*time.Second)
	period(&l.Run, forever)
	period(&l.CPU, forever)
	if l.Grace < 0 {
		l.Grace = 0
	} else {
		period(&l.Grace, 3*time.Second)
	}
	if l.HeadBytes == 0 {
		l.HeadBytes = cgihead.DefaultLimit
	}
	if l.StderrBytes == 0 {
		l.StderrBytes = stderrTotal
	} else if l.StderrBytes < 0 {
		l.StderrBytes = math.MaxInt
	}
	l.Spool = l.Spool.WithTotals()
	return l
}

func period(d *time.Duration, standard time.Duration) {
	if *d == 0 {
		*d = standard
	} else if *d < 0 {
		*d = forever
	}
}
