package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// A Descriptor is an inherited descriptor.
type Descriptor struct {
	FD     int
	Name   string // FileDescriptorName=; "unknown" if none was given
	Socket Socket
}

// String names the descriptor for a message.
func (d Descriptor) String() string {
	if d.FD == 0 {
		return "descriptor 0 (standard input)"
	}
	return fmt.Sprintf("descriptor %d (%q)", d.FD, d.Name)
}

// file takes the descriptor out of its place.
func (d Descriptor) file() (*os.File, error) {
	fd := d.FD
	if fd == 0 {
		var err error
		if fd, err = takeStandard(); err != nil {
			return nil, fmt.Errorf("inherited %v: %w", d, err)
		}
	}
	return os.NewFile(uintptr(fd), d.Name), nil
}

// Listener makes a net.Listener of a listening descriptor, which it takes over:
// the number is free afterwards, and 0 is /dev/null, as are 1 and 2 where they were
// the same socket. Closing it removes no unix socket from the file system: that
// belongs to whoever made it.
func (d Descriptor) Listener() (net.Listener, error) {
	if d.Socket.State != Listening {
		return nil, fmt.Errorf("inherited %v is %v, not a listening one", d, d.Socket.State)
	}
	f, err := d.file()
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("inherited %v: %w", d, err)
	}
	return l, nil
}

// Conn makes a net.Conn of a connected descriptor, as Listener does for a
// listening one.
func (d Descriptor) Conn() (net.Conn, error) {
	if d.Socket.State != Connected {
		return nil, fmt.Errorf("inherited %v is %v, not a connected one", d, d.Socket.State)
	}
	f, err := d.file()
	if err != nil {
		return nil, err
	}
	c, err := net.FileConn(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("inherited %v: %w", d, err)
	}
	return c, nil
}
