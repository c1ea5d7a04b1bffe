package process

import (
	"errors"
	"os"
	"time"
)

// A Command is what is needed to start a program.
type Command struct {
	Path string   // absolute; outside Confinement.Chroot
	Args []string // with the program's own name as the first
	Dir  string   // where it starts, as the program sees it; "" for where this process is
	Env  []string // "NAME=VALUE"

	// Stdin is what the program reads. If nil, it is a pipe, whose other end is
	// Process.Stdin.
	Stdin *os.File
}

// Descriptors is how many descriptors of this process a program takes at most: at its start,
// both ends of three pipes and of that by which the child says that it did not start, its
// directory, and its control group. While it runs they are five: our end of each pipe, the
// control group, and what tells its end.
const Descriptors = 10

// A Starter starts programs. A [Launcher] is one.
type Starter interface {
	// Start starts the program. The error is an *[Error]. The caller owns the Process,
	// and c again once Start has returned.
	Start(c *Command) (*Process, error)
}

// An Op is what failed on the way to a program.
type Op string

const (
	OpCheck   Op = "check"   // its owner, mode or place is not what the rules ask for
	OpChroot  Op = "chroot"  // it cannot be reached in the chroot
	OpConfine Op = "confine" // it did not start, and its confinement is a likely reason
	OpCgroup  Op = "cgroup"  // there is no control group for it
	OpStart   Op = "start"   // the system did not start it
)

// An Error is why a program was not started.
type Error struct {
	Op   Op
	Path string // of the program
	Err  error  // one line, in the words of an administrator; wraps the system's error
}

func (e *Error) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// ErrInterrupted is returned by reads of an [Output] after its Interrupt.
var ErrInterrupted = errors.New("reading was interrupted")

// What can be wrong with the place of a program.
var (
	ErrOutside   = errors.New("lies outside the roots and the follow directories")
	ErrIrregular = errors.New("is not a regular file")

	errOutsideChroot = errors.New("lies outside the chroot")
)

// busyTries is how often a program that is open for writing is tried again, after pauses
// of 1, 2, 4 … ms: one that is being installed is so for a moment.
const busyTries = 6

// retryBusy reports, after a pause, whether a start that failed with err, the n-th, is to
// be tried again.
func retryBusy(err error, n int) bool {
	if n >= busyTries || !errors.Is(err, ErrBusy) {
		return false
	}
	time.Sleep(time.Millisecond << n)
	return true
}
