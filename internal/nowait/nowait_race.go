//go:build unix && race

package nowait

import "syscall"

// With the race detector, the calls are those of package syscall, by which it learns that what
// was done before a byte was written is done before that byte is read.

// Read receives what has come on a socket. The error is a syscall.Errno: EAGAIN if nothing
// has. At the end of the stream it returns 0 and nil.
func Read(fd uintptr, p []byte) (int, error) {
	n, err := syscall.Read(int(fd), p[:min(len(p), Most)])
	return max(n, 0), err
}

// Write sends as much of p as a socket takes. The error is a syscall.Errno: EAGAIN if it takes
// nothing.
func Write(fd uintptr, p []byte) (int, error) {
	n, err := syscall.Write(int(fd), p[:min(len(p), Most)])
	return max(n, 0), err
}

// Quiet reports whether a socket is connected, and nothing has come on it.
func Quiet(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return err == syscall.EAGAIN
		}
	}
}

// A Vector reads and writes several buffers.
type Vector struct{}

// Read is Read into each of the buffers, while they are filled.
func (*Vector) Read(fd uintptr, buffers [][]byte) (int, error) { return each(fd, buffers, Read) }

// Write is Write of each of the buffers, while all of it is taken.
func (*Vector) Write(fd uintptr, buffers [][]byte) (int, error) { return each(fd, buffers, Write) }

func each(fd uintptr, buffers [][]byte, call func(uintptr, []byte) (int, error)) (int, error) {
	total := 0
	for _, b := range buffers {
		if len(b) == 0 {
			continue
		}
		n, err := call(fd, b)
		total += n
		if err != nil && total == 0 {
			return 0, err
		}
		if err != nil || n < len(b) {
			break
		}
	}
	return total, nil
}
