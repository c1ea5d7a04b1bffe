//go:build !linux && !windows

package process

import (
	"os"
	"runtime"
	"syscall"
)

// platform is what a process is known by where it has no descriptor of its own.
type platform struct {
	proc  *os.Process
	state *os.ProcessState
}

// awaitExit reaps the leader at once: the group's number is not kept until the
// others have ended, so that they get no grace after their leader's end.
func (p *Process) awaitExit() { p.state, _ = p.proc.Wait() }

// TryWait leaves it to Wait.
func (p *Process) TryWait() bool { return false }

func (p *Process) reap() Status {
	switch {
	case p.state == nil:
		return Status{Signal: "unknown, reaped elsewhere"}
	}
	p.usage = usageOf(p.state)
	switch {
	case !p.state.Exited():
		return Status{Signal: p.state.String()}
	}
	return Status{Code: p.state.ExitCode()}
}

func usageOf(s *os.ProcessState) Usage {
	u := Usage{User: s.UserTime(), System: s.SystemTime()}
	if r, ok := s.SysUsage().(*syscall.Rusage); ok {
		u.PeakMemory = int64(r.Maxrss)
		if runtime.GOOS != "darwin" { // which counts bytes
			u.PeakMemory <<= 10
		}
	}
	return u
}

func (p *Process) othersAlive() bool { return false }

// release has nothing to give back.
func (p *Process) release() {}

// Exiting is not known here, until the program has been reaped.
func (p *Process) Exiting() (exiting, known bool) { return p.HasExited(), p.HasExited() }
