//go:build linux && !386 && !s390x && !race

package nowait

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A message is what it takes to receive bytes with one descriptor.
type message struct {
	part    unix.Iovec
	header  unix.Msghdr
	control struct {
		header unix.Cmsghdr
		fd     int32
	}
}

// receive is Read that also receives a descriptor, or -1. The system closes any other: then many
// is true.
func (m *message) receive(fd uintptr, p []byte) (n, passed int, many bool, err error) {
	m.part.Base = &p[0]
	m.part.SetLen(len(p))
	m.header.Iov = &m.part
	m.header.SetIovlen(1)
	m.header.Control = (*byte)(unsafe.Pointer(&m.control))
	m.header.SetControllen(unix.CmsgLen(4))
	n, err = result(syscall.RawSyscall(syscall.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&m.header)), syscall.MSG_DONTWAIT|syscall.MSG_CMSG_CLOEXEC))
	m.part.Base = nil
	if err != nil {
		return n, -1, false, err
	}
	passed = -1
	if int(m.header.Controllen) >= unix.CmsgLen(4) && m.control.header.Level == syscall.SOL_SOCKET && m.control.header.Type == syscall.SCM_RIGHTS {
		passed = int(m.control.fd)
	}
	return n, passed, m.header.Flags&syscall.MSG_CTRUNC != 0, nil
}
