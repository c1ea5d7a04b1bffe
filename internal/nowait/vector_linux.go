//go:build linux && !386 && !s390x && !race

package nowait

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxParts is how many buffers one call takes.
const maxParts = 17

// A Vector reads and writes several buffers in one call. Its zero value is ready.
type Vector struct {
	parts  [maxParts]unix.Iovec
	header unix.Msghdr
}

// Read is Read into the first 17 buffers.
func (v *Vector) Read(fd uintptr, buffers [][]byte) (int, error) {
	return v.call(syscall.SYS_RECVMSG, fd, buffers, syscall.MSG_DONTWAIT)
}

// Write is Write of the first 17 buffers.
func (v *Vector) Write(fd uintptr, buffers [][]byte) (int, error) {
	return v.call(syscall.SYS_SENDMSG, fd, buffers, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func (v *Vector) call(trap, fd uintptr, buffers [][]byte, flags uintptr) (int, error) {
	used := 0
	for _, b := range buffers {
		if len(b) == 0 {
			continue
		}
		if used == maxParts {
			break
		}
		v.parts[used].Base = &b[0]
		v.parts[used].SetLen(len(b))
		used++
	}
	v.header.Iov = &v.parts[0]
	v.header.SetIovlen(used)
	n, err := result(syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&v.header)), flags))
	clear(v.parts[:used])
	return n, err
}
