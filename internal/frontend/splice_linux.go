package frontend

import (
	"os"

	"golang.org/x/sys/unix"

	"gatehouse/internal/nowait"
)

// SpliceTo is nowait.Conn.SpliceTo. It requires CanSplice.
func (s *Socket) SpliceTo(pipe, max int) (n int, err error) { return s.direct.SpliceTo(pipe, max) }

// SpliceFrom moves n bytes, which must be in the pipe already, to the peer, and blocks as
// Write does. If more is true, the next write follows at once. It requires CanSplice.
func (s *Socket) SpliceFrom(pipe, n int, more bool) (moved int, err error) {
	flags := 0
	if more {
		flags = unix.SPLICE_F_MORE
	}
	rerr := s.raw.Write(func(fd uintptr) bool {
		for moved < n {
			var m int
			if m, err = nowait.Splice(pipe, int(fd), n-moved, flags); err == unix.EAGAIN {
				return false
			}
			if err == nil && m == 0 {
				err = unix.EPIPE
			}
			if err != nil {
				return true
			}
			moved += m
		}
		return true
	})
	switch {
	case rerr != nil:
		return moved, rerr
	case err != nil:
		return moved, os.NewSyscallError("splice", err)
	}
	return moved, nil
}

// WriteNow writes to a pipe without blocking. If the pipe is full, the error is
// ErrPipeFull.
func WriteNow(pipe int, p []byte) (int, error) {
	for {
		n, err := unix.Write(pipe, p)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, ErrPipeFull
		default:
			return 0, os.NewSyscallError("write", err)
		}
	}
}

// CanSplice reports whether SpliceTo and SpliceFrom work on this socket.
func (s *Socket) CanSplice() bool { return s.direct != nil }
