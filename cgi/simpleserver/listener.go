package simpleserver

import (
	"errors"
	"net"
	"sync"

	"gatehouse/cgi"
)

// A listener carries the variables of its requests to the connections it accepts.
type listener struct {
	net.Listener
	base *cgi.Environ
	one  *oneConn // nil unless it is HandleOne's
}

// errServed ends the serving of HandleOne.
var errServed = errors.New("the connection has been served")

// A oneConn is the state of a listener that accepts one connection.
type oneConn struct {
	accepted bool          // a connection has been accepted; belongs to Accept
	served   chan struct{} // closed when that connection has ended
	closed   chan struct{} // closed when the server is closed
	once     sync.Once
}

// HandleOne accepts one connection on l, serves it, and returns: handle_request of
// Python's socketserver. If l is nil, it is the listener of Listen or MakeServer. l
// stays open, unless Shutdown or Close is called meanwhile, when HandleOne returns
// ErrServerClosed. A bad request gets its response and a line in the log, and is not an
// error.
func (s *Server) HandleOne(l net.Listener) error {
	if err := s.prepare(); err != nil {
		return err
	}
	if l == nil {
		var err error
		if l, err = s.listen(); err != nil {
			return err
		}
	}
	one := &oneConn{served: make(chan struct{}), closed: make(chan struct{})}
	err := s.acceptor.Serve(&listener{Listener: l, base: s.baseEnviron(l), one: one})
	if err == errServed {
		return nil
	}
	return err
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	if l.one == nil {
		return l.Listener.Accept()
	}
	if l.one.accepted {
		select {
		case <-l.one.served:
			return nil, errServed
		case <-l.one.closed:
			return nil, net.ErrClosed
		}
	}
	c, err := l.Listener.Accept()
	l.one.accepted = err == nil
	return c, err
}

// Close implements net.Listener. After HandleOne has served its connection, the
// underlying listener stays open.
func (l *listener) Close() error {
	if l.one == nil {
		return l.Listener.Close()
	}
	select {
	case <-l.one.served:
		return nil
	default:
	}
	l.one.once.Do(func() { close(l.one.closed) })
	return l.Listener.Close()
}

// connClosed notes that a connection of the listener has ended.
func (l *listener) connClosed() {
	if l.one != nil {
		close(l.one.served)
	}
}
