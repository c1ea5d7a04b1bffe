package script

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// platform is what a process is known by on Linux.
type platform struct {
	reaper  *Reaper // or nil
	cgroup  *cgroup // or nil
	cgroups *cgroups
	strays  []stray // what was found to have left the group; under mu
}

// start starts a program with default signal dispositions and no descriptors but
// its three. All pipes are close-on-exec from their beginning, and our ends do not
// block.
func start(c *command) (started *process, err error) {
	p := &process{exited: make(chan struct{})}
	var child [3]int // the program's ends
	opened := 0
	defer func() {
		for _, fd := range child[:opened] {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
		if err != nil {
			p.closePipes()
		}
	}()
	var stdin int
	if c.stdin != nil {
		stdin, child[0] = int(c.stdin.Fd()), -1
	} else {
		r, w, err := pipe(1)
		if err != nil {
			return nil, err
		}
		stdin, child[0] = r, r
		p.stdin = os.NewFile(uintptr(w), "stdin")
	}
	opened++
	for _, out := range []**outPipe{&p.stdout, &p.stderr} {
		r, w, err := pipe(none)
		if err != nil {
			return nil, err
		}
		child[opened] = w
		opened++
		*out = newOutPipe(r)
	}
	p.stdout.open()
	files := [3]uintptr{uintptr(stdin), uintptr(child[1]), uintptr(child[2])}
	var begun uint64
	if c.reaper != nil {
		begun = c.reaper.begin()
	}
	if c.confined == nil {
		p.pid, err = syscall.ForkExec(c.path, c.argv(), &syscall.ProcAttr{
			Dir:   c.dir,
			Env:   c.env,
			Files: files[:],
			Sys:   &syscall.SysProcAttr{Setpgid: true},
		})
	} else {
		p.pid, err = c.confined.start(c, files)
	}
	if c.reaper != nil {
		var known *process
		if err == nil {
			known, p.reaper = p, c.reaper
		}
		c.reaper.end(begun, known)
	}
	if err != nil {
		return nil, err
	}
	if d := c.confined; d != nil {
		p.cgroup, p.cgroups, d.cgroup = d.cgroup, d.cgroups, nil
	}
	return p, nil
}

// none is no end of a pipe.
const none = -1

// pipe returns a pipe whose end number ours, if it is one, does not block.
func pipe(ours int) (r, w int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, os.NewSyscallError("pipe2", err)
	}
	if ours == none {
		return fds[0], fds[1], nil
	}
	if _, err := unix.FcntlInt(uintptr(fds[ours]), unix.F_SETFL, unix.O_NONBLOCK); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return -1, -1, os.NewSyscallError("fcntl", err)
	}
	return fds[0], fds[1], nil
}

func (p *process) closePipes() {
	if p.stdin != nil {
		p.stdin.Close()
	}
	for _, out := range []*outPipe{p.stdout, p.stderr} {
		if out != nil {
			out.close()
		}
	}
}

// awaitExit returns when the leader has ended. It is not reaped yet.
func (p *process) awaitExit() {
	// Kernels before 5.10 have no such descriptor, and a thread waits.
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
	for unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// reap collects the ended leader.
func (p *process) reap() status {
	var ws syscall.WaitStatus
	for {
		_, err := syscall.Wait4(p.pid, &ws, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		return p.reaped(ws, err)
	}
}

// tryReap collects the leader if it has ended, and was left to end by itself.
func (p *process) tryReap() bool {
	p.mu.Lock()
	if p.ending || p.gone {
		p.mu.Unlock()
		return false
	}
	var ws syscall.WaitStatus
	pid, err := syscall.Wait4(p.pid, &ws, syscall.WNOHANG, nil)
	if err == nil && pid != p.pid || err == syscall.EINTR {
		p.mu.Unlock()
		return false
	}
	p.gone = true
	p.status = p.reaped(ws, err)
	p.mu.Unlock()
	close(p.exited)
	p.release()
	return true
}

// reaped returns how the leader ended, which wait has told.
func (p *process) reaped(ws syscall.WaitStatus, err error) status {
	if p.reaper != nil {
		p.reaper.remove(p)
	}
	p.forgetStrays()
	switch {
	case err != nil:
		// Somebody else in this process waits for all children.
		return status{signal: "unknown, reaped elsewhere"}
	case ws.Signaled():
		return status{signal: ws.Signal().String()}
	}
	return status{code: ws.ExitStatus()}
}

// release gives back the control group, after all that is left in it was killed if it is
// the program's own.
func (p *process) release() {
	if p.cgroup != nil {
		p.cgroups.give(p.cgroup)
	}
}

// termGroup signals what has left the group, too. That is looked for first, since it
// cannot be found when the leader has ended.
func (p *process) termGroup() {
	p.findStrays()
	p.signal(syscall.SIGTERM)
}

// killRounds is how often descendants are looked for that were started meanwhile.
const killRounds = 10

func (p *process) killGroup() {
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
func (p *process) signal(s syscall.Signal) {
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

// othersAlive reports whether a process of the group besides its ended leader
// lives, or one that was found to have left it. Where /proc does not tell, it says
// so.
func (p *process) othersAlive() bool {
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
		if st, err := parseStat(text); err == nil && st.pgr == p.pid && !st.ended() {
			return true
		}
	}
	return false
}
