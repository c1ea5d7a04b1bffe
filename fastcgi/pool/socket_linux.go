package pool

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// supported is why an App cannot be had on this system.
var supported error

// backlog is how many connections wait at a socket: one, unless the program has closed that.
const backlog = 16

// A socket is a unix socket that a process listens on. Its name was removed as soon as it was
// bound: it is reached by its descriptor alone.
type socket struct {
	place *os.File // O_PATH
}

// listen returns a socket, and its listening end for the process. A file in a directory of
// its own, and not an abstract name, because those are open to every user of the machine.
func listen() (s socket, end *os.File, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return s, nil, os.NewSyscallError("socket", err)
	}
	end = os.NewFile(uintptr(fd), "socket")
	defer func() {
		if err != nil {
			end.Close()
		}
	}()
	dir, err := os.MkdirTemp("", "gatehouse-")
	if err != nil {
		return s, nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "s")
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		return s, nil, fmt.Errorf("%s: %w", name, os.NewSyscallError("bind", err))
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return s, nil, os.NewSyscallError("listen", err)
	}
	place, err := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return s, nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	s.place = os.NewFile(uintptr(place), "socket")
	return s, end, nil
}

// dial connects to the process.
func (s socket) dial() (*net.UnixConn, error) {
	name := "/proc/self/fd/" + strconv.Itoa(int(s.place.Fd()))
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
}

func (s socket) close() { s.place.Close() }
