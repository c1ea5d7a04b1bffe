package fastcgi

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestNoDelay: a small record that is flushed leaves at once, and does not wait for
// the acknowledgement of the one before it (Nagle's algorithm).
func TestNoDelay(t *testing.T) {
	delay := make(chan int, 1)
	l := testkit.Listen(t, "tcp")
	accepted := &rememberingListener{Listener: l, conns: make(chan net.Conn, 1)}
	s := &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		raw, err := (<-accepted.conns).(*net.TCPConn).SyscallConn()
		if err != nil {
			return err
		}
		err = raw.Control(func(fd uintptr) {
			n, _ := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
			delay <- n
		})
		if err != nil {
			return err
		}
		return hello(w, r)
	})}
	testkit.Serve(t, s, accepted, ErrServerClosed)
	c := (&testServer{Server: s, t: t, addr: l.Addr()}).dial()
	c.send(get(1, 0))
	c.answer(1)
	if n := testkit.Receive(t, "the request", delay); n == 0 {
		t.Error("TCP_NODELAY is off")
	}
}

// A rememberingListener passes on what it accepts.
type rememberingListener struct {
	net.Listener
	conns chan net.Conn
}

func (l *rememberingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.conns <- c
	}
	return c, err
}
