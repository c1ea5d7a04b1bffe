//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// patience is how long a side may take for anything before its row fails.
const patience = 30 * time.Second

// A poller watches non-blocking sockets for one goroutine. The load shares the
// processors with what it measures, so it avoids Go's network poller, and Go's scheduler
// around system calls that cannot block.
type poller struct {
	fd     int
	events [256]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() { unix.Close(p.fd) }

// watch makes wait report events of a socket, under the number i.
func (p *poller) watch(op, fd, i int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(i)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("epoll_ctl: %w", errno)
	}
	return nil
}

// wait waits for events and returns them.
func (p *poller) wait() ([]unix.EpollEvent, error) {
	for {
		n, err := unix.EpollWait(p.fd, p.events[:], int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("epoll_wait: %w", err)
		}
		if n == 0 {
			return nil, fmt.Errorf("no response for %v", patience)
		}
		return p.events[:n], nil
	}
}

// connect opens a connection to a unix socket. If block is true, calls on it block for
// at most patience.
func connect(path string, block bool) (int, error) {
	kind := unix.SOCK_STREAM | unix.SOCK_CLOEXEC
	if !block {
		kind |= unix.SOCK_NONBLOCK
	}
	fd, err := unix.Socket(unix.AF_UNIX, kind, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if block {
		t := unix.NsecToTimeval(patience.Nanoseconds())
		err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &t), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &t))
	}
	address := &unix.SockaddrUnix{Name: path}
	for start := time.Now(); err == nil; {
		err = unix.Connect(fd, address)
		switch {
		case err == nil:
			return fd, nil
		case err == unix.EINTR:
			err = nil
		case err == unix.EAGAIN && time.Since(start) < patience: // the backlog is full
			time.Sleep(time.Millisecond)
			err = nil
		}
	}
	unix.Close(fd)
	return -1, fmt.Errorf("connect: %w", err)
}

// recv reads what is available on a non-blocking socket, 0 bytes if there is nothing.
func recv(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return transferred(n, errno, "read")
}

// send writes as much as a non-blocking socket accepts.
func send(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return transferred(n, errno, "write")
}

func transferred(n uintptr, errno unix.Errno, call string) (int, error) {
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0, nil
	case errno != 0:
		return 0, fmt.Errorf("%s: %w", call, errno)
	case n == 0 && call == "read":
		return 0, io.ErrUnexpectedEOF
	}
	return int(n), nil
}

// A blocking is a blocking socket as a reader and writer.
type blocking int

func (s blocking) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), b)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, fmt.Errorf("no response for %v", patience)
		case err != nil:
			return 0, fmt.Errorf("read: %w", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (s blocking) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		n, err := unix.Write(int(s), b[written:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return written, fmt.Errorf("nothing was read for %v", patience)
		case err != nil:
			return written, fmt.Errorf("write: %w", err)
		default:
			written += n
		}
	}
	return written, nil
}

func (s blocking) Close() error { return unix.Close(int(s)) }
