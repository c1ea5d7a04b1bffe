package gatehouse

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"gatehouse/fastcgi"
	"gatehouse/iis"
	"gatehouse/internal/frontend"
	"gatehouse/systemd"
)

// Listen opens a listener as net.Listen does, for a [Server], fastcgi.Server or scgi.Server
// whose shutdown is to lose no request: on Linux, new connections are refused then, and
// those in the backlog served. Other systems do so as far as they can. From any other
// listener no more connections are accepted, as it may be a socket that another process
// has, too; what is in its backlog is left to that process, or reset if there is none.
func Listen(network, address string) (net.Listener, error) {
	l, err := frontend.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// An Endpoint is a listener and the protocol to serve on it.
type Endpoint struct {
	Protocol Protocol
	Listener net.Listener // see Listen

	// Allow lists the TCP peers that may connect; empty means all.
	Allow []netip.Prefix

	// AllowUsers lists the ids of the users whose processes may connect to a unix socket;
	// empty means all.
	AllowUsers []uint32

	// WebServerAddrs lists the addresses of the web server (FCGI_WEB_SERVER_ADDRS) for
	// FastCGI; empty means all.
	WebServerAddrs []netip.Addr

	// HalfClose says that TCP peers shut down their writing side after a request and
	// wait for the response.
	HalfClose bool

	// Module, if not nil, is the module of IIS that connects to the listener, for HTTP. If it
	// has a token, requests without it get 400; when it asks the process to end, Serve
	// drains as if its context were done.
	Module *iis.Module

	// Once says that the listener has only one connection, and that serving ends with it.
	Once bool
}

func (e Endpoint) peers() frontend.Peers {
	return frontend.Peers{Allow: e.Allow, WebServers: e.WebServerAddrs, Users: e.AllowUsers}
}

// Inherit takes over a descriptor that the process was started with, and returns an
// endpoint for it with the protocol from [ProtocolOf]. FCGI_WEB_SERVER_ADDRS in the
// environment applies to descriptor 0 if that is FastCGI.
func Inherit(d systemd.Descriptor) (Endpoint, error) {
	protocol, err := ProtocolOf(d)
	if err != nil {
		return Endpoint{}, err
	}
	if d.Socket.State == systemd.Connected {
		c, err := d.Conn()
		if err != nil {
			return Endpoint{}, err
		}
		return Endpoint{Protocol: protocol, Listener: newOneConn(c), Once: true}, nil
	}
	e := Endpoint{Protocol: protocol}
	if d.FD == 0 && protocol == FastCGI {
		if e.WebServerAddrs, err = WebServerAddrs(); err != nil {
			return Endpoint{}, err
		}
	}
	if e.Listener, err = d.Listener(); err != nil {
		return Endpoint{}, err
	}
	return e, nil
}

// ListenModule opens the endpoint that a module of IIS connects to.
func ListenModule(m *iis.Module) (Endpoint, error) {
	l, err := Listen("tcp", m.Address())
	if err != nil {
		return Endpoint{}, fmt.Errorf("the port that IIS has chosen: %w", err)
	}
	return Endpoint{Protocol: HTTP, Listener: l, Module: m}, nil
}

// WebServerAddrs returns the addresses in the environment variable
// FCGI_WEB_SERVER_ADDRS, or none if it is not set.
func WebServerAddrs() ([]netip.Addr, error) {
	list, err := fastcgi.WebServerAddrs(os.Getenv(fastcgi.WebServerAddrsVariable))
	if err != nil {
		return nil, fmt.Errorf("%w: write addresses separated by commas, or unset it", err)
	}
	return list, nil
}

// Loopback reports whether only this machine can connect, because the listener is a unix
// socket or on a loopback address.
func (e Endpoint) Loopback() bool {
	tcp, ok := e.Listener.Addr().(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// errServed is what a oneConn's Accept returns after its connection.
var errServed = errors.New("the connection has been served")

// A oneConn is a listener with one connection. It is served with a limit of one
// connection, so that Accept is called again only after the connection has ended.
type oneConn struct {
	addr   net.Addr
	mu     sync.Mutex
	conn   net.Conn // nil once accepted
	closed bool
}

func newOneConn(c net.Conn) *oneConn { return &oneConn{addr: c.LocalAddr(), conn: c} }

func (l *oneConn) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch c := l.conn; {
	case l.closed:
		return nil, net.ErrClosed
	case c != nil:
		l.conn = nil
		return c, nil
	}
	return nil, errServed
}

// Close closes the connection if it was not accepted.
func (l *oneConn) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if c := l.conn; c != nil {
		l.conn = nil
		return c.Close()
	}
	return nil
}

func (l *oneConn) Addr() net.Addr { return l.addr }
