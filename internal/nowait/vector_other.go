//go:build unix && (!linux || 386 || s390x) && !race

package nowait

import "golang.org/x/sys/unix"

// maxParts is how many buffers one call takes.
const maxParts = 17

// A Vector reads and writes several buffers in one call. Its zero value is ready.
type Vector struct{}

// Read is Read into the first 17 buffers.
func (*Vector) Read(fd uintptr, buffers [][]byte) (int, error) {
	n, _, _, _, err := unix.RecvmsgBuffers(int(fd), buffers[:min(len(buffers), maxParts)], nil, unix.MSG_DONTWAIT)
	return max(n, 0), err
}

// Write is Write of the first 17 buffers.
func (*Vector) Write(fd uintptr, buffers [][]byte) (int, error) {
	n, err := unix.SendmsgBuffers(int(fd), buffers[:min(len(buffers), maxParts)], nil, nil, unix.MSG_DONTWAIT)
	return max(n, 0), err
}
