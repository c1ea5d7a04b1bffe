package gatehouse

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// held is an application that begins a response and waits.
type held struct {
	entered chan struct{} // gets a value for each request
	release chan struct{}
}

func newHeld() *held { return &held{make(chan struct{}, 10), make(chan struct{})} }

func (h *held) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := w.StartResponse("200 OK", nil); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	ctx := r.Context()
	h.entered <- struct{}{}
	select {
	case <-h.release:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	_, err := io.WriteString(w, "done")
	return err
}

// start starts a group and ends it with the test.
func start(t *testing.T, app cgi.App, limits cgi.Limits, endpoints ...Endpoint) (*group, *testkit.Log) {
	t.Helper()
	logs := new(testkit.Log)
	s := &Server{App: app, Limits: limits, Log: logs.Logger()}
	g := s.start(endpoints)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		g.shutdown(ctx)
	})
	return g, logs
}

// send writes a request for HTTP.
func send(t *testing.T, a net.Addr) net.Conn {
	t.Helper()
	c := testkit.Dial(t, a)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return c
}

// readResponse reads an HTTP response.
func readResponse(c net.Conn) (string, error) {
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// TestHTTPConnections has room for one connection: the second is served after
// the first has ended, and not before.
func TestHTTPConnections(t *testing.T) {
	l, app := testkit.Listen(t, "tcp"), newHeld()
	start(t, app, cgi.Limits{Connections: 1}, Endpoint{Protocol: HTTP, Listener: l})
	first := send(t, l.Addr())
	<-app.entered
	second := send(t, l.Addr())
	select {
	case <-app.entered:
		t.Fatal("two requests are in flight")
	default:
	}
	app.release <- struct{}{}
	if got, err := readResponse(first); got != "done" || err != nil {
		t.Errorf("first: %q, %v", got, err)
	}
	<-app.entered
	app.release <- struct{}{}
	if got, err := readResponse(second); got != "done" || err != nil {
		t.Errorf("second: %q, %v", got, err)
	}
}

func TestAllow(t *testing.T) {
	for _, p := range []Protocol{HTTP, FastCGI, SCGI} {
		l := testkit.Listen(t, "tcp")
		_, logs := start(t, newHeld(), cgi.Limits{}, Endpoint{Protocol: p, Listener: l,
			Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		c := send(t, l.Addr())
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("%s: a peer that is not allowed got %q", p, b)
		}
		if !strings.Contains(logs.String(), "peer refused") {
			t.Errorf("%s: log %q", p, logs)
		}
	}
}

// TestShutdownCutsOff ends a request over HTTP that does not end by itself.
func TestShutdownCutsOff(t *testing.T) {
	l, app := testkit.Listen(t, "tcp"), newHeld()
	g, _ := start(t, app, cgi.Limits{}, Endpoint{Protocol: HTTP, Listener: l})
	c := send(t, l.Addr())
	<-app.entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown returned %v", err)
	}
	if got, err := readResponse(c); err == nil {
		t.Errorf("the client took %q for a complete response", got)
	}
	select {
	case <-g.served:
	default:
		t.Error("an endpoint is still served")
	}
}

// TestShutdownUnused has connections that no request was sent on.
func TestShutdownUnused(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	g, _ := start(t, newHeld(), cgi.Limits{}, Endpoint{Protocol: HTTP, Listener: l})
	for range 3 {
		testkit.Dial(t, l.Addr())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g.shutdown(ctx)
}

// TestOnce serves one connection of each protocol, and no second one.
func TestOnce(t *testing.T) {
	for _, p := range []Protocol{HTTP, SCGI, FastCGI} {
		t.Run(string(p), func(t *testing.T) {
			c, s := testkit.Pair(t, "unix")
			g, _ := start(t, newHeld(), cgi.Limits{}, Endpoint{Protocol: p, Listener: newOneConn(s), Once: true})
			select {
			case <-g.served:
				t.Error("the end came before that of the connection")
			default:
			}
			c.Close()
			<-g.served
			select {
			case err := <-g.failed:
				t.Errorf("failed: %v", err)
			default:
			}
		})
	}
}

// A brokenListener fails.
type brokenListener struct{ net.Listener }

var errBroken = errors.New("broken")

func (brokenListener) Accept() (net.Conn, error) { return nil, errBroken }

func TestFailed(t *testing.T) {
	for _, p := range []Protocol{HTTP, SCGI, FastCGI} {
		l := testkit.Listen(t, "tcp")
		g, _ := start(t, newHeld(), cgi.Limits{}, Endpoint{Protocol: p, Listener: brokenListener{l}})
		err := <-g.failed
		if !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), string(p)+" on "+l.Addr().String()) {
			t.Errorf("%s: got %v", p, err)
		}
	}
}

// TestUnknownProtocol: nothing is served, and the listeners are closed.
func TestUnknownProtocol(t *testing.T) {
	good, bad := testkit.Listen(t, "tcp"), testkit.Listen(t, "tcp")
	s := &Server{App: newHeld(), Endpoints: []Endpoint{{Protocol: HTTP, Listener: good}, {Protocol: "https", Listener: bad}}}
	err := s.Serve(t.Context())
	if err == nil || !strings.Contains(err.Error(), bad.Addr().String()+`: its protocol is "https"`) {
		t.Errorf("error %v", err)
	}
	for _, l := range []net.Listener{good, bad} {
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept returned %v", err)
		}
	}
}

func TestOneConnUnused(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	l := newOneConn(a)
	l.Close()
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection stays open: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept returned %v", err)
	}
}

func TestLoopback(t *testing.T) {
	local := testkit.Listen(t, "tcp")
	defer local.Close()
	public, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	if !(Endpoint{Listener: local}).Loopback() || (Endpoint{Listener: public}).Loopback() {
		t.Error("loopback is not told apart")
	}
}

// TestGeneralOptions has a request that no application gets, and whose end is in dispute.
func TestGeneralOptions(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	start(t, newHeld(), cgi.Limits{}, Endpoint{Protocol: HTTP, Listener: l})
	c := testkit.Dial(t, l.Addr())
	io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: gate\r\n\r\n"+
		"OPTIONS * HTTP/1.1\r\nHost: gate\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
		"OPTIONS * HTTP/1.1\r\nHost: gate\r\n\r\n")
	b, _ := io.ReadAll(c)
	if n := strings.Count(string(b), "HTTP/1.1 200 OK\r\n"); n != 2 {
		t.Errorf("%d responses, want 2, to the second of which the connection ends: %q", n, b)
	}
}

// TestFloods: peers that are refused or make no sense are a line and a number.
func TestFloods(t *testing.T) {
	const n = 50
	nobody := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, x := range []struct {
		protocol Protocol
		allow    []netip.Prefix
		sent     string
		want     string
	}{
		{HTTP, nobody, "", "peer refused"},
		{HTTP, nil, "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 8<<10) + "\r\n\r\n", "limit=params_bytes"},
		{FastCGI, nil, "\x07 is no version", "malformed FastCGI"},
		{SCGI, nil, "x:", "its variables are malformed"},
	} {
		l := testkit.Listen(t, "tcp")
		g, logs := start(t, newHeld(), cgi.Limits{ParamsBytes: 1 << 10}, Endpoint{Protocol: x.protocol, Listener: l, Allow: x.allow})
		logs.Reset()
		for range n {
			c := testkit.Dial(t, l.Addr())
			io.WriteString(c, x.sent)
			io.Copy(io.Discard, c)
			c.Close()
		}
		if err := g.shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		lines, events := 0, 0
		for line := range strings.Lines(logs.String()) {
			times := 1
			if _, number, ok := strings.Cut(line, "times="); ok {
				times, _ = strconv.Atoi(strings.TrimSpace(number))
			}
			lines++
			events += times
			if !strings.Contains(line, x.want) {
				t.Errorf("%s: odd line %s", x.protocol, line)
			}
		}
		if lines > n/2 || events != n {
			t.Errorf("%s: %d lines about %d connections, want %d:\n%s", x.protocol, lines, events, n, logs)
		}
	}
}

// TestSharedTotals: the endpoints of a server share its totals.
func TestSharedTotals(t *testing.T) {
	s := &Server{App: newHeld(), Endpoints: []Endpoint{
		{Protocol: HTTP, Listener: testkit.Listen(t, "tcp")}, {Protocol: HTTP, Listener: testkit.Listen(t, "tcp")}}}
	g := s.start(s.Endpoints)
	defer g.shutdown(t.Context())
	one, two := g.fronts[0].frontEnd.(*httpServer).current.Get().limits, g.fronts[1].frontEnd.(*httpServer).current.Get().limits
	if one.ParamsTotal != two.ParamsTotal || one.Spool != two.Spool {
		t.Error("two endpoints have totals of their own")
	}
}
