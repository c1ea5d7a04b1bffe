package fastcgi

import (
	"errors"
	"log/slog"
	"net"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// TestCloseWhileRequestArrives: a request that was read, but not begun, when the server
// closed the connection never runs. Nobody would cancel it.
func TestCloseWhileRequestArrives(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hooked := &hookListener{Listener: l, conns: make(chan *hookConn, 1)}
	s := &Server{Log: slog.New(slog.DiscardHandler), App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		t.Error("the request ran")
		return hello(w, r)
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(hooked) }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, Conn: nc, r: record.NewReader(nc)}
	defer c.Close()
	got, hold := make(chan struct{}), make(chan struct{})
	(<-hooked.conns).afterRead.Store(&afterRead{got: got, hold: hold})
	c.send(get(1, 1))
	wait(t, "the request", got)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	c.closed()
	close(hold)
	if err := wait(t, "Close", closed); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
}
