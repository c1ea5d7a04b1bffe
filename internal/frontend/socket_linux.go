package frontend

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"gatehouse/internal/nowait"
)

// ReadFirst waits for bytes and reads them into a pooled buffer. It holds no buffer while
// it waits. The caller owns the buffer.
func (s *Socket) ReadFirst() (*Buffer, int, error) {
	if s.raw == nil {
		return s.readHeld()
	}
	s.window = BufferSize
	return s.first(0)
}

// ReadFew is ReadFirst for at most n bytes. Where the system cannot leave the rest in the
// socket, it may read more.
func (s *Socket) ReadFew(n int) (*Buffer, int, error) {
	if s.raw == nil {
		return s.readHeld()
	}
	s.window = n
	return s.first(0)
}

// PeekFirst is ReadFirst, except that the bytes stay in the socket. It requires CanPeek.
func (s *Socket) PeekFirst() (*Buffer, int, error) {
	if s.raw == nil {
		return nil, 0, os.ErrInvalid
	}
	s.window = BufferSize
	return s.first(unix.MSG_PEEK)
}

func (s *Socket) first(flags int) (*Buffer, int, error) {
	if s.await == nil {
		s.await = s.tryRead
	}
	s.flags = flags
	if err := s.raw.Read(s.await); err != nil {
		return nil, 0, err
	}
	b, n, err := s.buf, s.n, s.err
	s.buf = nil
	return b, n, err
}

// tryRead reads once, and reports false if there is nothing to read yet.
func (s *Socket) tryRead(fd uintptr) bool {
	b := GetBuffer()
	for {
		n, err := s.readNow(int(fd), b[:s.window])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			PutBuffer(b)
			return false
		case err != nil:
			PutBuffer(b)
			s.buf, s.n, s.err = nil, 0, os.NewSyscallError("read", err)
		case n == 0:
			PutBuffer(b)
			s.buf, s.n, s.err = nil, 0, io.EOF
		default:
			s.buf, s.n, s.err = b, n, nil
		}
		return true
	}
}

func (s *Socket) readNow(fd int, p []byte) (int, error) {
	if s.flags == 0 {
		return nowait.Read(uintptr(fd), p)
	}
	n, _, err := unix.Recvfrom(fd, p, s.flags)
	return n, err
}

func (s *Socket) readHeld() (*Buffer, int, error) {
	b := GetBuffer()
	n, err := s.Read(b[:])
	if n == 0 {
		PutBuffer(b)
		return nil, 0, err
	}
	return b, n, nil
}

// Peek waits for bytes and copies them to p, but leaves them in the socket. It does not
// wait until p is full.
func (s *Socket) Peek(p []byte) (n int, err error) {
	if s.raw == nil {
		return 0, os.ErrInvalid
	}
	rerr := s.raw.Read(func(fd uintptr) bool {
		for {
			n, _, err = unix.Recvfrom(int(fd), p, unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if err == unix.EINTR {
				continue
			}
			return err != unix.EAGAIN
		}
	})
	switch {
	case rerr != nil:
		return 0, rerr
	case err != nil:
		return 0, os.NewSyscallError("recv", err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Queued returns how many bytes can be read without waiting.
func (s *Socket) Queued() int {
	n := 0
	if s.raw != nil {
		s.raw.Control(func(fd uintptr) {
			if v, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil {
				n = v
			}
		})
	}
	return n
}

// PeekQueued returns up to n bytes, and up to 512 KiB, that can be read without waiting,
// but leaves them in the socket.
func (s *Socket) PeekQueued(n int) []byte {
	p := make([]byte, max(0, min(n, 512<<10)))
	got := 0
	if s.raw != nil {
		s.raw.Control(func(fd uintptr) {
			if m, _, err := unix.Recvfrom(int(fd), p, unix.MSG_PEEK|unix.MSG_DONTWAIT); err == nil {
				got = m
			}
		})
	}
	return p[:got]
}

// CanPeek reports whether Peek works on this socket.
func (s *Socket) CanPeek() bool { return s.raw != nil }

// CanWatch reports whether WaitGone notices that the peer disconnects.
func (s *Socket) CanWatch() bool { return s.raw != nil }

// Gone reports whether the peer has disconnected, even if there is unread data.
func (s *Socket) Gone() bool {
	gone := false
	if s.raw != nil {
		s.raw.Control(func(fd uintptr) { gone = s.hungUp(fd) })
	}
	return gone
}

func (s *Socket) hungUp(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	if n, err := unix.Poll(fds, 0); n <= 0 || err != nil {
		return false
	}
	want := int16(unix.POLLHUP | unix.POLLERR | unix.POLLNVAL)
	if !s.Unix && !s.HalfClose {
		want |= unix.POLLRDHUP
	}
	return fds[0].Revents&want != 0
}

// WaitGone waits until the peer disconnects, and then returns nil, or until Kick. It
// reads nothing.
func (s *Socket) WaitGone() error {
	if s.raw == nil {
		return s.waitKick()
	}
	return s.raw.Read(s.hungUp)
}

// Unsent returns how many written bytes the peer has not received, or -1 if unknown.
func (s *Socket) Unsent() int {
	n := -1
	if s.raw != nil {
		s.raw.Control(func(fd uintptr) {
			if v, err := unix.IoctlGetInt(int(fd), unix.TIOCOUTQ); err == nil {
				n = v
			}
		})
	}
	return n
}
