//go:build unix

package fastcgi

import (
	"os"

	"golang.org/x/sys/unix"
)

// listens reports whether f is a listening socket.
func listens(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	raw.Control(func(fd uintptr) {
		n, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	})
	return n != 0
}
