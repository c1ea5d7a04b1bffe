//go:build unix && (!linux || 386 || s390x) && !race

package nowait

import "golang.org/x/sys/unix"

// Read receives what has come on a socket. The error is a syscall.Errno: EAGAIN if nothing
// has. At the end of the stream it returns 0 and nil.
func Read(fd uintptr, p []byte) (int, error) {
	n, _, err := unix.Recvfrom(int(fd), p[:min(len(p), Most)], unix.MSG_DONTWAIT)
	return max(n, 0), err
}

// Write sends as much of p as a socket takes. The error is a syscall.Errno: EAGAIN if it takes
// nothing.
func Write(fd uintptr, p []byte) (int, error) {
	n, err := unix.SendmsgN(int(fd), p[:min(len(p), Most)], nil, nil, unix.MSG_DONTWAIT)
	return max(n, 0), err
}

// Quiet reports whether a socket is connected, and nothing has come on it.
func Quiet(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
		if err != unix.EINTR {
			return err == unix.EAGAIN
		}
	}
}
