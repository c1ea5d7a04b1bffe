package gatehouse

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/forwarded"
	"gatehouse/internal/frontend"
	"gatehouse/internal/testkit"
)

// TestHTTPConnEndsOnlyIfEmpty has a connection that had a request and is idle, in a drain: a
// request that is in its socket is read.
func TestHTTPConnEndsOnlyIfEmpty(t *testing.T) {
	s := newHTTPServer(newHeld(), new(cgi.Handler), cgi.Limits{}, frontend.Peers{}, forwarded.Proxies{}, slog.New(slog.DiscardHandler))
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	near, far := testkit.Pair(t, "tcp")
	c := newHTTPConn(s, far)
	c.setState(http.StateIdle)
	if _, err := io.WriteString(near, "x"); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "a byte has come", func() bool { return c.Queued() == 1 })
	b := make([]byte, 10)
	if n, err := c.Read(b); n != 1 || err != nil {
		t.Errorf("Read = %d, %v; want the byte", n, err)
	}
	c.setState(http.StateIdle)
	if n, err := c.Read(b); n != 0 || err != io.EOF {
		t.Errorf("Read = %d, %v; want the end", n, err)
	}
}

// TestHTTPKeptConnections ends one that is idle, and one whose request ends meanwhile.
func TestHTTPKeptConnections(t *testing.T) {
	l, app := testkit.Listen(t, "unix"), newHeld()
	g, _ := start(t, app, cgi.Limits{}, Endpoint{Protocol: HTTP, Listener: l})
	const request = "GET / HTTP/1.1\r\nHost: gate\r\n\r\n"
	var conns []net.Conn
	for range 2 {
		c := testkit.Dial(t, l.Addr())
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		testkit.Receive(t, "a request", app.entered)
		conns = append(conns, c)
	}
	app.release <- struct{}{}
	down := make(chan error, 1)
	go func() { down <- g.shutdown(t.Context()) }()
	app.release <- struct{}{}
	for _, c := range conns {
		if b, err := io.ReadAll(c); len(b) == 0 || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	}
	if err := testkit.Receive(t, "the end of shutdown", down); err != nil {
		t.Errorf("shutdown returned %v", err)
	}
}

// TestHTTPPipelined has a request that came together with the one before it, so that nothing of
// it is in the socket. It is in flight, and neither a drain nor Evict ends its connection.
func TestHTTPPipelined(t *testing.T) {
	s := newHTTPServer(newHeld(), new(cgi.Handler), cgi.Limits{}, frontend.Peers{}, forwarded.Proxies{}, slog.New(slog.DiscardHandler))
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, far := testkit.Pair(t, "tcp")
	c := newHTTPConn(s, far)
	c.setState(http.StateIdle)
	c.setState(http.StateActive)
	if _, idle := c.IdleSince(); idle {
		t.Error("idle while a request is in flight")
	}
	c.Evict()
	c.SetReadDeadline(time.Unix(1, 0))
	if n, err := c.Read(make([]byte, 10)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %d, %v; want that the deadline has passed", n, err)
	}
}
