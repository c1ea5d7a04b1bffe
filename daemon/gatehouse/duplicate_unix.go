//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// duplicate returns f under another descriptor, so that a write that nobody reads is an error. To
// descriptors 1 and 2 it would end the process by SIGPIPE.
func duplicate(f *os.File) *os.File {
	c, err := f.SyscallConn()
	if err != nil {
		return f
	}
	other := -1
	_ = c.Control(func(fd uintptr) { other, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) })
	if err != nil || other < 0 {
		return f
	}
	return os.NewFile(uintptr(other), f.Name())
}
