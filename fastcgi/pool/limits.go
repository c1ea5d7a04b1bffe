package pool

import (
	"math"
	"runtime"
	"time"

	"gatehouse/cgi/admission"
	"gatehouse/cgi/process"
	"gatehouse/cgi/spool"
	"gatehouse/internal/backend"
)

// Limits bound what an application takes. A zero field means its default, a negative one no
// limit. cgi.Handler's RunTime and FirstByte also hold.
type Limits struct {
	Programs int           // processes, and so requests at once: 4 for each processor; more requests wait
	Minimum  int           // of these, kept without requests: none
	Idle     time.Duration // how long the others are kept without a request: 60 s
	Ready    time.Duration // from the start of a process until it reads from its first connection: 30 s

	// A process that exceeds one of these is replaced: it serves on until another one is ready, and
	// ends when it is free then. At most a quarter of Programs is replaced at once, or one; there are so
	// many more processes meanwhile. Requests and Age differ by up to a tenth from process to process.
	Requests int           // that a process serves: no limit
	Age      time.Duration // since its start: no limit
	Memory   int64         // resident bytes, looked at ten times a second at most, after a request: no limit

	ProgramsPerAddress int           // of Programs, for one client (REMOTE_ADDR): no limit
	Queue              int           // requests that wait: 1,024; 503 beyond it (negative: none waits)
	QueueWait          time.Duration // for a process that is free: 10 s; 503 beyond it

	// A process is terminated that exceeds one of these in a request; the response is 504, or
	// truncated. One that is still at work behind its response, or after its client has left,
	// has Silence for that.
	FirstByte time.Duration // to the first byte of a response, from the last byte of the body: 60 s
	Silence   time.Duration // without a byte either way: 120 s
	Run       time.Duration // of a whole request: off
	CPU       time.Duration // CPU time of a process and its descendants within a request: off

	Grace       time.Duration // between TERM and KILL: 3 s (negative: KILL at once)
	HeadBytes   int           // of a response's head: 64 KiB; 502 beyond it
	StderrBytes int           // logged of a request's FCGI_STDERR, and in a minute of what a process writes to its stderr and stdout: 64 KiB

	// AddressSpace, OpenFiles, FileBytes and Processes are those of process.Limits.
	AddressSpace, FileBytes int64
	OpenFiles, Processes    int

	// Spool bounds what is kept of a body of unknown length, until its length is known.
	Spool spool.Limits
}

const (
	forever   = math.MaxInt64 // a time that does not pass
	unlimited = math.MaxInt
)

// withDefaults returns l with the defaults of what this package enforces itself.
func (l Limits) withDefaults() Limits {
	period := func(d *time.Duration, standard time.Duration) {
		if *d == 0 {
			*d = standard
		} else if *d < 0 {
			*d = forever
		}
	}
	period(&l.Idle, 60*time.Second)
	period(&l.Ready, 30*time.Second)
	period(&l.Silence, 120*time.Second)
	period(&l.CPU, forever)
	if l.Grace < 0 {
		l.Grace = 0
	} else {
		period(&l.Grace, 3*time.Second)
	}
	if l.StderrBytes == 0 {
		l.StderrBytes = 64 << 10
	} else if l.StderrBytes < 0 {
		l.StderrBytes = math.MaxInt
	}
	if l.Requests <= 0 {
		l.Requests = unlimited
	}
	if l.Age <= 0 {
		l.Age = forever
	}
	if l.Memory <= 0 {
		l.Memory = math.MaxInt64
	}
	if l.Programs == 0 {
		l.Programs = 4 * runtime.NumCPU()
	} else if l.Programs < 0 {
		l.Programs = math.MaxInt32 / 2 // and a quarter more
	}
	l.Minimum = min(l.Minimum, l.Programs)
	return l
}

func (l *Limits) admission() admission.Limits {
	return admission.Limits{Programs: l.Programs, ProgramsPerAddress: l.ProgramsPerAddress, Queue: l.Queue, QueueWait: l.QueueWait}
}

func (l *Limits) backend() backend.Limits {
	return backend.Limits{Queue: l.Queue, QueueWait: l.QueueWait, FirstByte: l.FirstByte, Silence: l.Silence, Run: l.Run,
		HeadBytes: l.HeadBytes, StderrBytes: l.StderrBytes, Spool: l.Spool}
}

// descriptors is what a process takes of this one: those of package process, its socket, and
// the connection to it.
const descriptors = process.Descriptors + 2

// Descriptors returns how many descriptors of this process its programs take at most,
// besides the spools of bodies and responses.
func (a *App) Descriptors() int {
	l, each := a.Limits.withDefaults(), descriptors
	if a.Paired {
		each += backend.FileDescriptors // a file that it passes on
	}
	return min(l.Programs+l.replaced(), math.MaxInt32/each) * each
}
