// Package process starts programs, confines them, and owns them until nothing of
// them is left.
//
// A [Launcher] starts them under [Rules]: as which user, in which root directory and
// control group, with which limits. A [Process] is a program that was started, in a
// process group of its own, with a pipe for each of stdout and stderr and no other
// descriptors. Whoever starts one calls Wait or TryWait until it has been reaped:
//
//	launcher, err := process.NewLauncher(process.Rules{}, nil, log)
//	…
//	p, err := launcher.Start(&process.Command{Path: "/bin/date", Args: []string{"date"}, Stdin: null})
//	…
//	go p.Wait()
//	text, err := io.ReadAll(p.Stdout)
//	p.Stdout.Close()
//	<-p.Exited()
//	fmt.Printf("%s%v\n", text, p.Status())
//
// # The group and those who leave it
//
// Terminate ends the whole process group, by TERM and, after a grace, by KILL. On Linux
// it also ends the descendants that have left the group, as long as their parents are
// there to find them by. One that was orphaned on purpose (by a double fork, in a
// session of its own) is no longer tracked, unless [Cgroup].EachProgram is on. A
// [Reaper] reaps what becomes of such orphans.
package process

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Process is a program that was started, the leader of a process group of its own.
// Wait must be called once, unless TryWait has returned true.
type Process struct {
	// Stdin is our end of the pipe that the program reads, or nil if the Command had a
	// file for it. Its owner closes it.
	Stdin *os.File

	// Stdout and Stderr are what the program writes. Their owners close them. Stderr must
	// be opened before it is read while the program lives; Stdout is open.
	Stdout, Stderr *Output

	platform
	pid int

	mu     sync.Mutex
	ending bool      // TERM has been sent, or more
	killAt time.Time // when KILL follows
	killer *time.Timer
	reaped bool // its number may belong to another process

	looking atomic.Bool // somebody is at work in Inspect

	exited chan struct{} // closed once it has been reaped
	status Status        // how it ended, once exited is closed
	usage  Usage         // what it took, likewise
}

// A Usage is what a program has taken, with its descendants that have been waited for. What the
// system does not tell is 0.
type Usage struct {
	User, System time.Duration // processor time
	PeakMemory   int64         // the largest resident set of any of them, in bytes
}

// A Status is how a process ended.
type Status struct {
	Code   int    // exit status, if Signal is ""
	Signal string // name of the signal that ended it

	// OutOfMemory: the system killed it, since its control group had no memory left. It is
	// known only of groups that Cgroup made.
	OutOfMemory bool
}

func (s Status) String() string {
	switch {
	case s.OutOfMemory:
		return "ended by signal: " + s.Signal + ", since its control group had no memory left: raise cgroup_memory, or the limit above it"
	case s.Signal != "":
		return "ended by signal: " + s.Signal
	}
	return fmt.Sprintf("exit status %d", s.Code)
}

// Wait returns when the program has ended and been reaped. If it was terminated,
// nothing is left of its group by then. Its control group has been given back.
func (p *Process) Wait() {
	p.awaitExit()
	p.mu.Lock()
	if p.ending {
		// The others of the group have the rest of the grace. While the leader is not
		// reaped, no new process can get the group's number.
		for time.Now().Before(p.killAt) && p.othersAlive() {
			p.mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			p.mu.Lock()
		}
		p.killGroup()
		p.killer.Stop()
	}
	p.reaped = true
	p.status = p.reap()
	p.mu.Unlock()
	p.exit()
}

// exit announces that the leader has been reaped.
func (p *Process) exit() {
	close(p.exited)
	p.Stdout.writerExited()
	p.Stderr.writerExited()
	p.release()
}

// Terminate ends the whole group: TERM, and KILL after grace, or KILL at once if that
// is zero. It does not wait. If the program has ended, or is being terminated, it does
// nothing and returns false.
func (p *Process) Terminate(grace time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped || p.ending {
		return false
	}
	p.ending = true
	p.killAt = time.Now().Add(min(grace, 1000*time.Hour))
	if grace > 0 {
		p.termGroup()
	}
	p.killer = time.AfterFunc(grace, p.kill)
	return true
}

// Signal sends a signal to the program alone, unless it has been reaped or is being terminated.
func (p *Process) Signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped && !p.ending {
		p.signalLeader(s)
	}
}

func (p *Process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.killGroup()
	}
}

// Exited returns a channel that is closed when the program has been reaped.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// HasExited reports whether the program has been reaped.
func (p *Process) HasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// PID returns the number of the process, and of its group.
func (p *Process) PID() int { return p.pid }

// Status returns how the program ended. It has been reaped.
func (p *Process) Status() Status { return p.status }

// Usage returns what the program took. It has been reaped.
func (p *Process) Usage() Usage { return p.usage }

func (p *Process) closePipes() {
	if p.Stdin != nil {
		p.Stdin.Close()
	}
	for _, out := range []*Output{p.Stdout, p.Stderr} {
		if out != nil {
			out.Close()
		}
	}
}
