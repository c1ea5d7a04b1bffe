//go:build unix

package backend

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// A look tells of an idle connection whether it is open, and nothing has come on it: what
// comes unasked could be taken for a response. It allocates for the first use alone.
type look struct {
	raw    syscall.RawConn
	events [1]unix.PollFd
	quiet  bool
	poll   func(fd uintptr)
}

// at reports whether nc, always the same, is quiet.
func (l *look) at(nc net.Conn) bool {
	if l.raw == nil {
		sc, ok := nc.(syscall.Conn)
		if !ok {
			return true
		}
		var err error
		if l.raw, err = sc.SyscallConn(); err != nil {
			return false
		}
		l.poll = func(fd uintptr) {
			l.events[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
			n, err := unix.Poll(l.events[:], 0)
			l.quiet = n == 0 && err == nil || err == unix.EINTR
		}
	}
	l.quiet = false
	return l.raw.Control(l.poll) == nil && l.quiet
}
