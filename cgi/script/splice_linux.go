package script

import "golang.org/x/sys/unix"

// hasRoom reports whether a pipe takes bytes, or has no reader.
func hasRoom(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	return n > 0 || err != nil && err != unix.EINTR
}
