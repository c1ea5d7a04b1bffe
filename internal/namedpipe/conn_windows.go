package namedpipe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// A Conn is one end of a named pipe.
type Conn struct {
	file *os.File
	addr Addr
}

// NewConn makes a connection of an overlapped handle of a pipe, which it owns from then on,
// also if it returns an error. Nothing else of this process may have bound the pipe to a
// completion port.
func NewConn(h windows.Handle, name string) (*Conn, error) {
	f := os.NewFile(uintptr(h), name)
	if f == nil {
		return nil, fmt.Errorf("pipe %s: the handle is not valid", name)
	}
	// Without deadlines nobody could end a Read that waits.
	if err := f.SetDeadline(time.Time{}); err != nil {
		f.Close()
		return nil, fmt.Errorf("pipe %s: it is not overlapped (FILE_FLAG_OVERLAPPED): %w", name, err)
	}
	return &Conn{f, Addr(name)}, nil
}

// Dial opens the client end of a pipe, which must be waiting for it.
func Dial(name string) (*Conn, error) {
	p, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(p, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_OVERLAPPED|windows.SECURITY_SQOS_PRESENT|windows.SECURITY_ANONYMOUS, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return NewConn(h, name)
}

// Read implements net.Conn. The error is io.EOF once the other end is closed, or has been
// disconnected, and what it had written has been read.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	if n == 0 && (errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_PIPE_NOT_CONNECTED)) {
		err = io.EOF
	}
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) { return c.file.Write(p) }

// Close implements net.Conn.
func (c *Conn) Close() error { return c.file.Close() }

// LocalAddr implements net.Conn. It is an Addr.
func (c *Conn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr implements net.Conn. It is an Addr.
func (c *Conn) RemoteAddr() net.Addr { return c.addr }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.file.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }
