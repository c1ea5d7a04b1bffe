package process

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// platform is what a process is known by on Linux.
type platform struct {
	reaper  *Reaper // or nil
	cgroup  *cgroup // or nil
	cgroups *cgroups
	strays  []stray // what was found to have left the group; under mu
}

// waitPause is the longest time between looks at a program whose end nothing tells.
const waitPause = 20 * time.Millisecond

// awaitExit returns when the leader has ended. It is not reaped yet.
func (p *Process) awaitExit() {
	if fd, err := unix.PidfdOpen(p.pid, unix.PIDFD_NONBLOCK); err == nil {
		f := os.NewFile(uintptr(fd), "pidfd")
		defer f.Close()
		if c, err := f.SyscallConn(); err == nil {
			err = c.Read(func(fd uintptr) bool {
				poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
				n, err := unix.Poll(poll, 0)
				return n > 0 || err != nil && err != unix.EINTR
			})
			if err == nil {
				return
			}
		}
	}
	// Kernels before 5.10 have no such descriptor, and there may be no room for one. A
	// thread that waits in the kernel for each program may be one too many.
	for pause := time.Millisecond; ; pause = min(2*pause, waitPause) {
		var si unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.pid, &si, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		if err == nil && si.Signo != 0 || err != nil && err != unix.EINTR {
			return
		}
		time.Sleep(pause)
	}
}

// reap collects the ended leader.
func (p *Process) reap() Status {
	var ws syscall.WaitStatus
	var used syscall.Rusage
	for {
		_, err := syscall.Wait4(p.pid, &ws, 0, &used)
		if err == syscall.EINTR {
			continue
		}
		p.usage = usageOf(&used)
		return p.statusOf(ws, err)
	}
}

// TryWait reaps the program if it has ended and was not terminated, and reports whether
// it did. It does not wait; Wait must not be called after it has returned true.
func (p *Process) TryWait() bool {
	p.mu.Lock()
	if p.ending || p.reaped {
		p.mu.Unlock()
		return false
	}
	var ws syscall.WaitStatus
	var used syscall.Rusage
	pid, err := syscall.Wait4(p.pid, &ws, syscall.WNOHANG, &used)
	if err == nil && pid != p.pid || err == syscall.EINTR {
		p.mu.Unlock()
		return false
	}
	p.reaped = true
	p.usage = usageOf(&used)
	p.status = p.statusOf(ws, err)
	p.mu.Unlock()
	p.exit()
	return true
}

// usageOf returns what wait(2) has told of the leader and those that it has waited for.
func usageOf(r *syscall.Rusage) Usage {
	return Usage{User: time.Duration(r.Utime.Nano()), System: time.Duration(r.Stime.Nano()), PeakMemory: r.Maxrss << 10}
}

// statusOf returns how the leader ended, by the result of wait(2), and forgets what was
// known of it.
func (p *Process) statusOf(ws syscall.WaitStatus, err error) Status {
	p.reaper.remove(p)
	p.forgetStrays()
	switch {
	case err != nil:
		// Somebody else in this process waits for all children.
		return Status{Signal: "unknown, reaped elsewhere"}
	case ws.Signaled():
		return Status{Signal: ws.Signal().String(),
			OutOfMemory: ws.Signal() == syscall.SIGKILL && !p.ending && p.cgroup != nil && p.cgroup.tookMemoryKill()}
	}
	return Status{Code: ws.ExitStatus()}
}

// release gives back the control group, after all that is left in it was killed if it is
// the program's own.
func (p *Process) release() {
	if p.cgroup != nil {
		p.cgroups.release(p.cgroup)
	}
}

// termGroup signals what has left the group, too. That is looked for first, since it
// cannot be found when the leader has ended.
func (p *Process) termGroup() {
	p.findStrays()
	p.signal(syscall.SIGTERM)
}

// killRounds is how often descendants are looked for that were started meanwhile.
const killRounds = 10

func (p *Process) killGroup() {
	for range killRounds {
		found := p.findStrays()
		p.signal(syscall.SIGKILL)
		if !found {
			break
		}
	}
}

// signal signals the group, the program itself where it has moved to another one, and
// what is known to have left the group. The program has not been reaped, so that its
// number is its own.
func (p *Process) signal(s syscall.Signal) {
	syscall.Kill(-p.pid, s)
	if group, err := syscall.Getpgid(p.pid); err == nil && group != p.pid {
		syscall.Kill(p.pid, s)
	}
	for _, x := range p.strays {
		unix.PidfdSendSignal(x.pidfd, s, nil, 0)
	}
	if p.cgroup != nil && p.cgroup.own {
		p.cgroup.signal(s)
	}
}

func (p *Process) signalLeader(s syscall.Signal) { syscall.Kill(p.pid, s) }

// othersAlive reports whether a process of the group besides its ended leader
// lives, or one that was found to have left it. Where /proc does not tell, it says
// so.
func (p *Process) othersAlive() bool {
	if p.straysAlive() {
		return true
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return true
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		if st, err := parseStat(text); err == nil && st.pgr == p.pid && !st.isDead() {
			return true
		}
	}
	return false
}
