//go:build linux && !386 && !s390x && !race

package nowait

import (
	"syscall"
	"unsafe"
)

// Read receives what has come on a socket. The error is a syscall.Errno: EAGAIN if nothing
// has. At the end of the stream it returns 0 and nil.
func Read(fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return result(syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(min(len(p), Most)), syscall.MSG_DONTWAIT, 0, 0))
}

// Write sends as much of p as a socket takes. The error is a syscall.Errno: EAGAIN if it takes
// nothing. No signal is raised.
func Write(fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return result(syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(min(len(p), Most)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0))
}

// Quiet reports whether a socket is connected, and nothing has come on it.
func Quiet(fd uintptr) bool {
	var b [1]byte
	for {
		_, err := result(syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1, syscall.MSG_DONTWAIT|syscall.MSG_PEEK, 0, 0))
		if err != syscall.EINTR {
			return err == syscall.EAGAIN
		}
	}
}
