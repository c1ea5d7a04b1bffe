package frontend

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// connect connects to the listener from an address that the accept loop knows before.
func (p *Pulse) connect(ctx context.Context, x *probe) (net.Conn, error) {
	to, ok := probeAddress(p.listener.Addr())
	if !ok || p.probed == nil {
		return nil, errors.ErrUnsupported
	}
	var d net.Dialer
	switch to := to.(type) {
	case *net.UnixAddr:
		// Nobody can guess it.
		from := &net.UnixAddr{Net: "unix", Name: "@gatehouse-" + rand.Text()}
		d.LocalAddr = from
		x.from = from.String()
		p.probe.Store(x)
	case *net.TCPAddr:
		// Nobody else can have it. It must be known before the loop can accept.
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var port int
			var err error
			if cerr := raw.Control(func(fd uintptr) { port, err = bind(int(fd), to.IP) }); cerr != nil {
				return cerr
			}
			x.from = net.JoinHostPort(to.IP.String(), strconv.Itoa(port))
			p.probe.Store(x)
			return err
		}
	}
	return d.DialContext(ctx, to.Network(), to.String())
}

// bind binds a socket to a free port of an address of this machine.
func bind(fd int, ip net.IP) (port int, err error) {
	var from unix.Sockaddr
	if ip4 := ip.To4(); ip4 != nil {
		from = &unix.SockaddrInet4{Addr: [4]byte(ip4)}
	} else {
		from = &unix.SockaddrInet6{Addr: [16]byte(ip)}
	}
	if err := unix.Bind(fd, from); err != nil {
		return 0, err
	}
	if from, err = unix.Getsockname(fd); err != nil {
		return 0, err
	}
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		return from.Port, nil
	case *unix.SockaddrInet6:
		return from.Port, nil
	}
	return 0, unix.EAFNOSUPPORT
}

// isQueued reports whether a connection waits on a listening socket.
func isQueued(fd uintptr) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return n > 0, err
}
