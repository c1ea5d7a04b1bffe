//go:build unix

package cgi

import (
	"os"
	"syscall"
	"time"
)

// lingerTime bounds how long a program that has responded waits for the rest of its body.
const lingerTime = 2 * time.Second

// drainSocket reads and discards n bytes from a socket, or all up to its end if n is
// negative, for at most lingerTime.
func drainSocket(f *os.File, n int64) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	var buf [32 << 10]byte
	end := time.Now().Add(lingerTime)
	_ = conn.Control(func(fd uintptr) {
		for n != 0 {
			left := time.Until(end)
			if left < time.Millisecond {
				return
			}
			t := syscall.NsecToTimeval(int64(left))
			if syscall.SetsockoptTimeval(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &t) != nil {
				return
			}
			p := buf[:]
			if n > 0 {
				p = p[:min(n, int64(len(p)))]
			}
			m, err := syscall.Read(int(fd), p)
			if err == syscall.EINTR {
				continue
			}
			if m <= 0 || err != nil {
				return
			}
			if n > 0 {
				n -= int64(m)
			}
		}
	})
}
