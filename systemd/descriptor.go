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

// String names the descriptor for messages.
func (d Descriptor) String() string {
	if d.FD == 0 {
		return "descriptor 0 (standard input)"
	}
	return fmt.Sprintf("descriptor %d (%q)", d.FD, d.Name)
}

// file takes over the descriptor. Descriptor 0 is moved, and replaced by /dev/null.
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

// Listener takes over a listening descriptor and returns a net.Listener for it. The
// descriptor is closed; 0 is replaced by /dev/null, as are 1 and 2 if they are the same
// socket. Closing the listener does not remove a unix socket from the file system, since
// another process created it.
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

// Conn takes over a connected descriptor and returns a net.Conn for it, as Listener does
// for a listening one.
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
