//go:build unix

package nowait

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// A Conn is a connection that is read and written by calls that return at once. It waits
// between them as package net does, and holds to the same deadlines. Only one goroutine at a time
// may read.
type Conn struct {
	net.Conn
	raw syscall.RawConn

	in       input
	out      output
	splicing splicing
}

// An input is a Read or WriteRead under way.
type input struct {
	try func(fd uintptr) bool // created when needed
	b   []byte                // to be written first
	p   []byte
	n   int
	err error

	files *files // nil: none is received
}

// An output is a Write under way.
type output struct {
	mu  sync.Mutex            // is held by it
	try func(fd uintptr) bool // created when needed
	b   []byte
	err error

	tryAll  func(fd uintptr) bool // created when needed
	n       int64
	buffers net.Buffers
	vector  *Vector
}

// vectors holds those of no Conn: one that waits needs none.
var vectors = sync.Pool{New: func() any { return new(Vector) }}

// New returns a Conn over nc, or nil if nc is neither a unix nor a TCP socket.
func New(nc net.Conn) *Conn {
	var sc syscall.Conn
	switch nc := nc.(type) {
	case *net.UnixConn:
		sc = nc
	case *net.TCPConn:
		sc = nc
	default:
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return &Conn{Conn: nc, raw: raw}
}

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	_, n, err := c.WriteRead(nil, p)
	return n, err
}

// ReadNow is Read that does not wait: if nothing has come, the error is os.ErrDeadlineExceeded.
func (c *Conn) ReadNow(p []byte) (int, error) {
	in := input{p: p}
	done := false
	err := c.raw.Control(func(fd uintptr) { done = in.step(fd) })
	switch {
	case err == nil && !done:
		return 0, os.ErrDeadlineExceeded
	case err == nil:
		err = in.err
	}
	if err != nil && err != io.EOF {
		err = c.wrap("read", err)
	}
	return in.n, err
}

// WriteRead writes b and waits for bytes, which it reads into p: one call where a Write and a
// Read would be two and the Read would mostly find that nothing has come yet. It is both a
// Read and a Write.
//
// If the socket does not take all of b at once, it returns how much it took, and no error. If
// the deadline for reading passes before anything was written, nothing is written, and if it
// passes later nothing is read.
func (c *Conn) WriteRead(b, p []byte) (written, read int, err error) {
	in := &c.in
	if in.try == nil {
		in.try = in.step
	}
	in.b, in.p, in.n, in.err = b, p, 0, nil
	err = c.raw.Read(in.try)
	written, read = len(b)-len(in.b), in.n
	if err == nil {
		err = in.err
	}
	if err != nil && err != io.EOF {
		err = c.wrap("read", err)
		if in.err != nil && len(in.b) > 0 {
			err = c.wrap("write", in.err)
		}
	}
	in.b, in.p = nil, nil
	return written, read, err
}

// step reports whether there is nothing to wait for.
func (in *input) step(fd uintptr) bool {
	if len(in.b) > 0 {
		var whole bool
		if in.b, whole, in.err = write(fd, in.b); !whole {
			return true
		}
		return false
	}
	for {
		var n int
		var err error
		if in.files != nil {
			n, err = in.files.read(fd, in.p)
		} else {
			n, err = Read(fd, in.p)
		}
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return false
		case err != nil:
			in.err = os.NewSyscallError("recv", err)
		case n == 0 && len(in.p) > 0:
			in.err = io.EOF
		default:
			in.n = n
		}
		return true
	}
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	out := &c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.try == nil {
		out.try = out.step
	}
	out.b, out.err = b, nil
	err := c.raw.Write(out.try)
	n := len(b) - len(out.b)
	if err == nil {
		err = out.err
	}
	out.b = nil
	if err != nil {
		err = c.wrap("write", err)
	}
	return n, err
}

// step reports whether there is nothing to wait for.
func (out *output) step(fd uintptr) bool {
	var whole bool
	out.b, whole, out.err = write(fd, out.b)
	return whole || out.err != nil
}

// WriteBuffers is Write of several buffers. Like net.Buffers.WriteTo, it consumes them.
func (c *Conn) WriteBuffers(buffers *net.Buffers) (n int64, err error) {
	out := &c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.tryAll == nil {
		out.tryAll = out.stepAll
	}
	out.buffers, out.n, out.err = *buffers, 0, nil
	out.vector = vectors.Get().(*Vector)
	err = c.raw.Write(out.tryAll)
	vectors.Put(out.vector)
	out.vector = nil
	if err == nil {
		err = out.err
	}
	*buffers, out.buffers = out.buffers, nil
	if err != nil {
		err = c.wrap("write", err)
	}
	return out.n, err
}

// stepAll reports whether there is nothing to wait for.
func (out *output) stepAll(fd uintptr) bool {
	for len(out.buffers) > 0 {
		n, err := out.vector.Write(fd, out.buffers)
		out.n += int64(n)
		for n > 0 || len(out.buffers) > 0 && len(out.buffers[0]) == 0 {
			if b := out.buffers[0]; len(b) > n {
				out.buffers[0] = b[n:]
				break
			}
			n -= len(out.buffers[0])
			out.buffers[0] = nil
			out.buffers = out.buffers[1:]
		}
		switch {
		case err == nil || err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return false
		default:
			out.err = os.NewSyscallError("send", err)
			return true
		}
	}
	return true
}

// write writes what the socket takes of b, and returns the rest.
func write(fd uintptr, b []byte) (rest []byte, whole bool, err error) {
	for len(b) > 0 {
		n, err := Write(fd, b)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return b, false, nil
		case err != nil:
			return b, false, os.NewSyscallError("send", err)
		}
		b = b[n:]
	}
	return nil, true, nil
}

// wrap makes the error that package net would return.
func (c *Conn) wrap(op string, err error) error {
	if e := (*net.OpError)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
