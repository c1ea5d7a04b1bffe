//go:build unix

package backend

import (
	"net"
	"syscall"

	"gatehouse/internal/nowait"
)

// A look tells of an idle connection whether it is open, and nothing has come on it: what
// comes unasked could be taken for a response. It allocates for the first use alone.
type look struct {
	raw   syscall.RawConn
	quiet bool
	see   func(fd uintptr)
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
		l.see = func(fd uintptr) { l.quiet = nowait.Quiet(fd) }
	}
	l.quiet = false
	return l.raw.Control(l.see) == nil && l.quiet
}
