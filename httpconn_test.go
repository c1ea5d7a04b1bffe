package gatehouse_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/internal/testkit"
)

// serveHTTP serves HTTP until the test ends, and returns the address.
func serveHTTP(t *testing.T, limits cgi.Limits, log *testkit.Log) net.Addr {
	t.Helper()
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := io.WriteString(w, "hello")
		return err
	})
	l := testkit.Listen(t, "tcp")
	s := &gatehouse.Server{App: app, Limits: limits, Log: log.Logger(),
		Endpoints: []gatehouse.Endpoint{{Protocol: gatehouse.HTTP, Listener: l}}}
	ctx, stop := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-result; err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
	return l.Addr()
}

// largeHead is a request whose head has n bytes and some.
func largeHead(n int) string {
	line := "X: " + strings.Repeat("x", 995) + "\r\n"
	return "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat(line, n/len(line)) + "\r\n"
}

// send sends a request, or a part of one, on a connection of its own.
func send(t *testing.T, addr net.Addr, text string) net.Conn {
	t.Helper()
	c := testkit.Dial(t, addr)
	c.SetDeadline(time.Now().Add(testkit.Patience))
	go io.WriteString(c, text)
	return c
}

// wantStart reads until a response begins as it should.
func wantStart(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got[:n], err, want)
	}
}

// TestHTTPParamsTotal: connections that hoard heads hold no more than the total, and usual
// requests are served beside them.
func TestHTTPParamsTotal(t *testing.T) {
	log, total := new(testkit.Log), spool.NewBudget(1<<20)
	addr := serveHTTP(t, cgi.Limits{ParamsTotal: total}, log)
	hoarder := send(t, addr, strings.TrimSuffix(largeHead(500<<10), "\r\n"))
	testkit.Until(t, "hoarding", func() bool { return total.Used() > 450<<10 })
	second := send(t, addr, strings.TrimSuffix(largeHead(800<<10), "\r\n"))
	wantStart(t, second, "HTTP/1.1 503 Service Unavailable\r\n")
	if rest, _ := io.ReadAll(second); !strings.Contains(string(rest), "Retry-After: ") {
		t.Errorf("the rest is %q", rest)
	}
	second.Close()
	// The lines of a head cost more than their bytes.
	lines := send(t, addr, "GET / HTTP/1.1\r\n"+strings.Repeat("a:\r\n", 10_000))
	wantStart(t, lines, "HTTP/1.1 503 ")
	lines.Close()
	usual := send(t, addr, largeHead(20<<10)+largeHead(20<<10))
	wantStart(t, usual, "HTTP/1.1 200 OK\r\n")
	if used := total.Used(); used > total.Max() {
		t.Errorf("%d bytes are taken of %d", used, total.Max())
	}
	hoarder.Close()
	testkit.Until(t, "giving back the memory", func() bool { return total.Used() == 0 })
	kept := send(t, addr, largeHead(800<<10))
	wantStart(t, kept, "HTTP/1.1 200 OK\r\n")
	testkit.Until(t, "giving back the memory of a kept connection", func() bool { return total.Used() == 0 })
	if n := strings.Count(log.String(), "request refused"); n != 1 || strings.Count(log.String(), "(params_total)") != n {
		t.Errorf("%d lines about refused requests, want the first: %s", n, log)
	}
}

// TestHTTPScarceMemory: once most of the total is taken, heads that are part of it have a
// second to arrive.
func TestHTTPScarceMemory(t *testing.T) {
	log := new(testkit.Log)
	addr := serveHTTP(t, cgi.Limits{ParamsTotal: spool.NewBudget(512 << 10), Idle: time.Hour}, log)
	hoarder := send(t, addr, strings.TrimSuffix(largeHead(430<<10), "\r\n"))
	if got, _ := io.ReadAll(hoarder); len(got) > 0 {
		t.Errorf("the hoarder got %q", got)
	}
	if n := strings.Count(log.String(), "limit=params_total"); n != 1 {
		t.Errorf("%d log lines name the key, want 1: %s", n, log)
	}
}
