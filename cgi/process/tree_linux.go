package process

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A stat is what /proc/PID/stat tells.
type stat struct {
	state       byte
	parent, pgr int
	flags       uint64
	ticks       int64 // of CPU time, with that of the children that it has waited for
}

var errStat = errors.New("bad stat")

func readStat(pid int) (st stat, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return st, err
	}
	return parseStat(text)
}

// parseStat parses "pid (name) state ppid pgrp …", where name may hold anything.
func parseStat(text []byte) (st stat, err error) {
	f := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(f) < 15 {
		return st, errStat
	}
	st.state = f[0][0]
	if st.parent, err = strconv.Atoi(string(f[1])); err != nil {
		return st, err
	}
	if st.pgr, err = strconv.Atoi(string(f[2])); err != nil {
		return st, err
	}
	if st.flags, err = strconv.ParseUint(string(f[6]), 10, 64); err != nil {
		return st, err
	}
	for _, x := range f[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(string(x), 10, 64)
		if err != nil {
			return st, err
		}
		st.ticks += n
	}
	return st, nil
}

func (st stat) isDead() bool { return st.state == 'Z' || st.state == 'X' }

// flagExiting is PF_EXITING: a thread has it before its files are closed.
const flagExiting = 4

// exiting reports whether the thread has begun to exit. That is not known of a thread
// without any flags: gVisor tells none.
func (st stat) exiting() (exiting, known bool) {
	return st.isDead() || st.flags&flagExiting != 0, st.isDead() || st.flags != 0
}

// Exiting reports whether the program has ended, or is about to: whether all its threads
// have begun to exit, which they do before their end of a pipe is closed. It is known
// where /proc shows the program to this process, and its flags.
func (p *Process) Exiting() (exiting, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return true, true
	}
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(p.pid) + "/task/*/stat")
	if err != nil || len(threads) == 0 {
		return false, false
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended meanwhile
		}
		st, perr := parseStat(text)
		if err != nil || perr != nil {
			return false, false
		}
		if exiting, known := st.exiting(); !exiting {
			return false, known
		}
	}
	return true, true
}

// maxTree bounds how many descendants of a program are looked at.
const maxTree = 4096

// childrenOf returns the children of a thread, by its directory in /proc.
func childrenOf(task string) (pids []int) {
	text, err := os.ReadFile(task + "/children")
	if err != nil {
		return nil
	}
	for _, f := range bytes.Fields(text) {
		if pid, err := strconv.Atoi(string(f)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// children returns the children of a process.
func children(pid int) (pids []int) {
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*")
	for _, task := range tasks {
		pids = append(pids, childrenOf(task)...)
	}
	return pids
}

// descendants calls visit for the descendants of a process, until it returns
// false.
func descendants(pid int, visit func(pid, parent int) bool) {
	queue := []int{pid}
	for i := 0; i < len(queue) && len(queue) < maxTree; i++ {
		for _, child := range children(queue[i]) {
			if !visit(child, queue[i]) {
				return
			}
			queue = append(queue, child)
		}
	}
}

// A stray is a descendant of a program that has left its process group.
type stray struct{ pid, pidfd int }

// alive reports whether it has not ended.
func (s stray) alive() bool {
	poll := []unix.PollFd{{Fd: int32(s.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return n == 0 && err == nil
}

// openStray returns a process whose parent is known. It is the right one if it
// still is its child once it is held.
func openStray(pid, parent int) (stray, bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return stray{}, false
	}
	s := stray{pid, fd}
	if st, err := readStat(pid); err != nil || st.parent != parent || !s.alive() {
		unix.Close(fd)
		return stray{}, false
	}
	return s, true
}

// findStrays finds what has left the group, and reports whether there was something
// new. It finds the descendants of the leader while that lives, and those of what it
// has found before.
func (p *Process) findStrays() (found bool) {
	known := make(map[int]bool, len(p.strays))
	for _, x := range p.strays {
		known[x.pid] = true
	}
	visit := func(pid, parent int) bool {
		if known[pid] {
			return true
		}
		if group, err := unix.Getpgid(pid); err != nil || group == p.pid {
			return true
		}
		if x, ok := openStray(pid, parent); ok {
			known[pid], found = true, true
			p.strays = append(p.strays, x)
		}
		return len(p.strays) < maxTree
	}
	descendants(p.pid, visit)
	for i := 0; i < len(p.strays); i++ {
		x := p.strays[i]
		descendants(x.pid, func(pid, parent int) bool {
			// If x lives, the number is its own, and what was read about it, too.
			return x.alive() && visit(pid, parent)
		})
	}
	return found
}

// straysAlive reports whether what has left the group lives.
func (p *Process) straysAlive() bool {
	for _, x := range p.strays {
		if x.alive() {
			return true
		}
	}
	return false
}

// forgetStrays closes what is known of them.
func (p *Process) forgetStrays() {
	for _, x := range p.strays {
		unix.Close(x.pidfd)
	}
	p.strays = nil
}

// clockTicks is the unit of CPU times in /proc on all of Linux's architectures that Go
// knows (USER_HZ), in a second.
const clockTicks = 100

// KnowsCPUTime says whether CPUTime knows anything on this system.
const KnowsCPUTime = true

// CPUTime returns the CPU time of the program and its descendants: of its control
// group if it has one of its own, else of what lives or was waited for. It is zero once
// the program has been reaped.
func (p *Process) CPUTime() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return 0
	}
	if p.cgroup != nil && p.cgroup.own {
		if used, ok := p.cgroup.cpuTime(); ok {
			return used
		}
	}
	var ticks int64
	add := func(pid int) {
		if st, err := readStat(pid); err == nil {
			ticks += st.ticks
		}
	}
	add(p.pid)
	descendants(p.pid, func(pid, _ int) bool { add(pid); return true })
	return time.Duration(ticks) * (time.Second / clockTicks)
}

// Memory returns the resident memory of the program itself, in bytes. It is zero once the
// program has been reaped.
func (p *Process) Memory() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return 0
	}
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/statm")
	if fields := bytes.Fields(text); len(fields) > 1 {
		pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}
