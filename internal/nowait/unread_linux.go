package nowait

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Unread reports whether the other end of a unix socket has not read all that was sent.
func Unread(fd uintptr) bool {
	var n int32
	_, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, fd, unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	return errno == 0 && n > 0
}
