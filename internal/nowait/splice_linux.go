package nowait

import (
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A splicing is a SpliceTo under way.
type splicing struct {
	try    func(fd uintptr) bool // created when needed
	pipe   int
	max, n int
	err    error
}

// SpliceTo waits for bytes and moves up to max of them to a pipe, without copying them
// to this process. It does not wait for the pipe: the error is ErrPipeFull if the
// pipe is full, and EPIPE if it has no reader. Nobody else may write to the pipe. It is a Read.
func (c *Conn) SpliceTo(pipe, max int) (n int, err error) {
	s := &c.splicing
	if s.try == nil {
		s.try = s.step
	}
	s.pipe, s.max, s.n, s.err = pipe, max, 0, nil
	err = c.raw.Read(s.try)
	if err == nil {
		err = s.err
	}
	switch {
	case err == ErrPipeFull:
		return 0, err
	case err != nil:
		return 0, c.wrap("read", err)
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// step reports whether there is nothing to wait for.
func (s *splicing) step(fd uintptr) bool {
	for hadRoom := false; ; hadRoom = true {
		var err error
		s.n, err = Splice(int(fd), s.pipe, s.max, 0)
		switch {
		case err == nil:
			return true
		case err != syscall.EAGAIN:
			s.err = os.NewSyscallError("splice", err)
			return true
		case full(s.pipe):
			s.err = ErrPipeFull
			return true
		case hadRoom:
			return false
		}
		// The pipe may have been emptied in between. Try once more, since the poller
		// does not report bytes that were in the socket before.
	}
}

// Queued returns how many bytes can be read without waiting.
func (c *Conn) Queued() (n int) {
	c.raw.Control(func(fd uintptr) { n = queued(fd) })
	return n
}

// queued returns how many bytes are in a socket or a pipe.
func queued(fd uintptr) int {
	var n int32
	_, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, fd, unix.TIOCINQ, uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return 0
	}
	return int(n)
}

// Splice moves up to n bytes between a pipe and a socket. Neither is waited for: the error is
// a syscall.Errno, EAGAIN if there is nothing to move, or no room.
func Splice(from, to, n, flags int) (int, error) {
	for {
		n, err := result(syscall.RawSyscall6(syscall.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n),
			unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK|uintptr(flags)))
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// full reports whether a pipe is full or has no reader.
func full(pipe int) bool {
	fd := unix.PollFd{Fd: int32(pipe), Events: unix.POLLOUT}
	var now unix.Timespec
	n, err := result(syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fd)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0))
	return err != nil || n == 0 || fd.Revents&unix.POLLOUT == 0
}

func result(n, _ uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
