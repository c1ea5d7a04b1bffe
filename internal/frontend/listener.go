package frontend

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// How long TCP connections may take to be established once new ones are refused: any, and
// those that are known to be half open.
const (
	handshake     = 50 * time.Millisecond
	longHandshake = time.Second
)

// A Listener is a listener of this process's own: it bound the socket, and no other
// process has it. Only such a socket may be told to refuse connections: what is done to one
// that was passed here is done to all who have it.
type Listener struct {
	net.Listener
	shared  atomic.Bool
	refused atomic.Pointer[time.Time] // since when; nil: connections are not refused
}

// Listen is net.Listen for a Listener. TCP is not MPTCP, which cannot refuse connections.
func Listen(network, address string) (*Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return Own(l), nil
}

// Own returns a Listener for l.
func Own(l net.Listener) *Listener { return &Listener{Listener: l} }

// Share says that another process has the socket, too, from now on: Refuse leaves the
// connections that are queued on it to that process, and Close leaves a unix socket in
// the file system. Unshare says that no other process has it any more.
func (l *Listener) Share() {
	l.shared.Store(true)
	if u, ok := l.Listener.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
}

// Unshare undoes Share, but for the unix socket in the file system.
func (l *Listener) Unshare() { l.shared.Store(false) }

// Shared reports whether another process has the socket, too.
func (l *Listener) Shared() bool { return l.shared.Load() }

// Refuse has the system refuse new connections. Accept goes on to return those that are
// queued, and then [net.ErrClosed]. Refuse reports whether it does: it does not on a
// shared socket.
//
// On Linux nothing that a client has connected is lost. Other systems, and Linux for MPTCP,
// cannot refuse connections on a socket that is open: there Accept goes on for a moment, and
// what comes when the socket is closed is lost.
func (l *Listener) Refuse() bool {
	d, ok := l.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok || l.Shared() {
		return false
	}
	err := l.control(refuse)
	now := time.Now()
	end := now.Add(handshake)
	if err == nil {
		l.refused.Store(&now)
		if l.Addr().Network() == "unix" {
			end = past // a connection on such a socket is never half open
		}
	}
	return d.SetDeadline(end) == nil
}

// Accept accepts a connection.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return c, err
	}
	since := l.refused.Load()
	if since == nil {
		return nil, net.ErrClosed
	}
	// A deadline that has passed keeps net from looking, and connections may have waited
	// here for long.
	for {
		// Looked for first: one that is established meanwhile is accepted.
		more := time.Since(*since) < longHandshake && halfOpen(l.Addr())
		err = l.control(func(fd uintptr) (err error) {
			c, err = acceptQueued(fd)
			return err
		})
		switch {
		case err == nil:
			return c, nil
		case err != errNoneQueued:
			return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: err}
		case !more:
			return nil, net.ErrClosed
		}
		time.Sleep(handshake / 10)
	}
}

// errNoneQueued says that no connection is queued.
var errNoneQueued = errors.New("no connection is queued")

// SyscallConn implements [syscall.Conn].
func (l *Listener) SyscallConn() (syscall.RawConn, error) {
	s, ok := l.Listener.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.SyscallConn()
}

// control calls f with the descriptor.
func (l *Listener) control(f func(fd uintptr) error) error { return control(l, f) }

// control calls f with the descriptor of a listener.
func control(l net.Listener, f func(fd uintptr) error) error {
	s, ok := l.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = f(fd) }); cerr != nil {
		return cerr
	}
	return err
}
