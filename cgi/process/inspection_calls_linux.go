package process

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What a system call waits for.
type callKind uint8

const (
	callOther callKind = iota
	callRead           // reads the descriptor that is its first argument
	callWrite
	callPeer // waits for the peer of the descriptor, or a new one
	callLock // waits for a lock on the file
	callDisk
	callChild
	callSleep
	callPoll
	callFutex
	callSignal
	callOpen
)

// calls are system calls in which programs wait, by the numbers of the architecture.
var calls = map[int]struct {
	name string
	kind callKind
}{
	unix.SYS_READ: {"read", callRead}, unix.SYS_READV: {"readv", callRead}, unix.SYS_RECVMSG: {"recvmsg", callRead},
	unix.SYS_WRITE: {"write", callWrite}, unix.SYS_WRITEV: {"writev", callWrite}, unix.SYS_SENDMSG: {"sendmsg", callWrite},
	unix.SYS_CONNECT: {"connect", callPeer}, unix.SYS_ACCEPT4: {"accept4", callPeer},
	unix.SYS_FLOCK: {"flock", callLock}, unix.SYS_FCNTL: {"fcntl", callLock},
	unix.SYS_FSYNC: {"fsync", callDisk}, unix.SYS_FDATASYNC: {"fdatasync", callDisk},
	unix.SYS_WAIT4: {"wait4", callChild}, unix.SYS_WAITID: {"waitid", callChild},
	unix.SYS_NANOSLEEP: {"nanosleep", callSleep}, unix.SYS_CLOCK_NANOSLEEP: {"clock_nanosleep", callSleep},
	unix.SYS_PPOLL: {"ppoll", callPoll}, unix.SYS_PSELECT6: {"pselect6", callPoll}, unix.SYS_EPOLL_PWAIT: {"epoll_pwait", callPoll},
	unix.SYS_OPENAT: {"openat", callOpen},
	unix.SYS_FUTEX:  {"futex", callFutex}, unix.SYS_RT_SIGSUSPEND: {"rt_sigsuspend", callSignal},
}

// A syscallLine is what /proc/PID/syscall tells.
type syscallLine struct {
	number int // -1: none
	name   string
	kind   callKind
	fd     int // the first argument, where that is a descriptor, or -1
}

// parseSyscall parses "NUMBER ARG…", "running" or "-1 …".
func parseSyscall(text []byte) syscallLine {
	c := syscallLine{number: -1, fd: -1}
	f := bytes.Fields(text)
	if len(f) < 2 {
		return c
	}
	n, err := strconv.Atoi(string(f[0]))
	if err != nil || n < 0 {
		return c
	}
	known := calls[n]
	c.number, c.name, c.kind = n, known.name, known.kind
	switch c.kind {
	case callRead, callWrite, callPeer, callLock, callDisk:
		if fd, err := strconv.ParseUint(strings.TrimPrefix(string(f[1]), "0x"), 16, 31); err == nil {
			c.fd = int(fd)
		}
	}
	return c
}

func (c syscallLine) String() string {
	switch {
	case c.number < 0:
		return ""
	case c.name == "":
		return fmt.Sprintf("system call %d", c.number)
	case c.fd >= 0:
		return fmt.Sprintf("%s of descriptor %d", c.name, c.fd)
	}
	return c.name
}

// waitsFor says what a call on a descriptor waits for. The links are those of /proc/PID/fd, of
// the descriptor and of 2.
func (c syscallLine) waitsFor(link, stderr string, e ends) string {
	what := printable(link, 100)
	switch {
	case link == "":
		return ""
	case link == e.stdin.link:
		what = "its stdin, which has the request's body"
	case link == e.stdout.link:
		what = "its stdout, which has the response"
	case link == stderr:
		what = "its stderr"
	case strings.HasPrefix(link, "socket:"):
		what = "a peer over a socket"
	case strings.HasPrefix(link, "pipe:"):
		what = "another process over a pipe"
	}
	switch c.kind {
	case callRead:
		return "waits to read from " + what
	case callWrite:
		return "waits to write to " + what
	case callPeer:
		return "waits for " + what
	case callLock:
		return "waits for a lock on " + what
	case callDisk:
		return "waits for " + what + " to be on the disk"
	}
	return ""
}

// channels are what processes wait for in functions of the kernel whose names contain these,
// where the system call is not known, or tells no more.
var channels = []struct{ part, waits string }{
	{"do_wait", "waits for a child"},
	{"sigsuspend", "waits for a signal, as shells do for their children"},
	{"nanosleep", "sleeps because it asked to (sleep)"},
	{"pipe_read", "waits to read from a pipe"}, {"pipe_wait_readable", "waits to read from a pipe"},
	{"pipe_write", "waits to write to a pipe"}, {"pipe_wait_writable", "waits to write to a pipe"},
	{"futex", "waits for a lock, or another thread"},
	{"lock_inode", "waits for a lock on a file"}, {"posix_lock", "waits for a lock on a file"},
	{"poll", "waits for one of several descriptors, or a time"}, {"select", "waits for one of several descriptors, or a time"},
	{"unix_stream", "waits for a peer over a socket"}, {"sk_wait", "waits for a peer over a socket"}, {"inet_", "waits for a peer over a socket"},
	{"nfs", "waits for a network file system"}, {"rpc_", "waits for a network file system"}, {"fuse", "waits for a file system (FUSE)"},
}

// explain says what the process waits for, where its descriptors have not told.
func (x *Inspected) explain(parent bool) {
	if x.Waits != "" || x.State == "R" {
		return
	}
	for _, c := range channels {
		if strings.Contains(x.Channel, c.part) {
			x.Waits = c.waits
			return
		}
	}
	for _, c := range calls {
		if c.name == "" || c.name != x.Call {
			continue
		}
		switch c.kind {
		case callChild:
			x.Waits = "waits for a child"
		case callSleep:
			x.Waits = "sleeps because it asked to (sleep)"
		case callPoll:
			x.Waits = "waits for one of several descriptors, or a time"
		case callOpen:
			x.Waits = "waits for a file to open: a FIFO, or one of a file system that does not respond"
		case callSignal:
			x.Waits = "waits for a signal, as shells do for their children"
		case callFutex:
			x.Waits = "waits for a lock, or another thread"
		}
	}
	if x.Waits == "" && x.Channel == "" && parent && x.State == "S" {
		x.Waits = "has children, and may wait for them"
	}
}
