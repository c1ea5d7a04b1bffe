//go:build linux && (386 || s390x || race)

package nowait

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// A message is what it takes to receive bytes with one descriptor.
type message struct{ control [32]byte }

// receive is Read that also receives a descriptor, or -1. The system closes any other: then many
// is true.
func (m *message) receive(fd uintptr, p []byte) (n, passed int, many bool, err error) {
	n, size, flags, _, err := unix.RecvmsgBuffers(int(fd), [][]byte{p}, m.control[:unix.CmsgLen(4)], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return max(n, 0), -1, false, err
	}
	// The race detector learns from a call of package syscall that what was done before a byte was
	// written is done by now.
	syscall.Read(int(fd), nil)
	passed = -1
	if size >= unix.CmsgLen(4) {
		passed = int(int32(binary.NativeEndian.Uint32(m.control[unix.CmsgLen(0):])))
	}
	return n, passed, flags&unix.MSG_CTRUNC != 0, nil
}
