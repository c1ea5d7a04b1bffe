package frontend

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// spliceFlags keep splice from blocking: the runtime's poller waits for the socket, and
// the caller for the pipe.
const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// SpliceTo waits for bytes and moves up to max of them to a pipe, without copying them
// to this process. It does not wait for the pipe: the error is ErrPipeFull if the
// pipe is full, and EPIPE if it has no reader. It requires CanSplice, and nobody else may
// write to the pipe.
func (s *Socket) SpliceTo(pipe, max int) (n int, err error) {
	rerr := s.raw.Read(func(fd uintptr) bool {
		for hadRoom := false; ; hadRoom = true {
			n, err = splice(int(fd), pipe, max, 0)
			switch {
			case err != unix.EAGAIN:
				return true
			case full(pipe):
				err = ErrPipeFull
				return true
			case hadRoom:
				return false
			}
			// The pipe may have been emptied in between. Try once more, since the poller
			// does not report bytes that were in the socket before.
		}
	})
	switch {
	case rerr != nil:
		return 0, rerr
	case err != nil && err != ErrPipeFull:
		return 0, os.NewSyscallError("splice", err)
	case err == nil && n == 0:
		return 0, io.EOF
	}
	return n, err
}

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
			if m, err = splice(pipe, int(fd), n-moved, flags); err == unix.EAGAIN {
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
func (s *Socket) CanSplice() bool { return s.raw != nil }

func splice(from, to, n, flags int) (int, error) {
	for {
		m, err := unix.Splice(from, nil, to, nil, n, spliceFlags|flags)
		if err != unix.EINTR {
			return max(int(m), 0), err // it is -1 with an error
		}
	}
}

// full reports whether a pipe is full or has no reader.
func full(pipe int) bool {
	fds := []unix.PollFd{{Fd: int32(pipe), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	return err != nil || n == 0 || fds[0].Revents&unix.POLLOUT == 0
}
