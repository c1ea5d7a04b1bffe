package fastcgi

import (
	"errors"
	"log/slog"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// TestCloseWhileRequestArrives: a request that was read, but not begun, when the server
// closed the connection never runs. Nobody would cancel it.
func TestCloseWhileRequestArrives(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	hooked := &hookListener{Listener: l, conns: make(chan *hookConn, 1)}
	s := &Server{Log: slog.New(slog.DiscardHandler), App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		t.Error("the request ran")
		return hello(w, r)
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(hooked) }()
	c := (&testServer{t: t, addr: l.Addr()}).dial()
	got, hold := make(chan struct{}), make(chan struct{})
	(<-hooked.conns).afterRead.Store(&afterRead{got: got, hold: hold})
	c.send(get(1, 1))
	testkit.Receive(t, "the request", got)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	c.closed()
	close(hold)
	if err := testkit.Receive(t, "Close", closed); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
}

// TestLateVariables: PARAMS that come after their end, while the request ends, touch
// neither it nor the one that takes its place in the pool. The race detector sees it
// if they do.
func TestLateVariables(t *testing.T) {
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if _, ok := r.Env.Lookup("LATE"); ok {
			t.Error("another request's variable has arrived")
		}
		return hello(w, r)
	})})
	late := record.AppendStream(nil, record.Params, 2, record.AppendPair(nil, "LATE", "1"))
	for range 2 {
		c := ts.dial()
		for range 1000 {
			c.send(get(2, 1), late, late, late, late, raw(1, 4, 2, "", 0, 0))
			if a := c.answer(2); a.stdout != helloAnswer {
				t.Fatalf("got %q", a.stdout)
			}
		}
	}
}
