package admin

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// startServer serves on one listener, which it returns.
func startServer(t *testing.T, e Endpoint) (*Server, *testkit.Log) {
	t.Helper()
	log := new(testkit.Log)
	s := &Server{Handler: &Handler{Source: newGateway(), History: new(History)}, Log: log.Logger()}
	s.Serve([]Endpoint{e})
	t.Cleanup(s.Close)
	return s, log
}

// get makes a request on a connection of its own.
func get(t *testing.T, l net.Listener, path string) (status int, body string, err error) {
	t.Helper()
	c, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// TestServe: listeners come and go; what stays is not interrupted.
func TestServe(t *testing.T) {
	first, second := testkit.Listen(t, "unix"), testkit.Listen(t, "tcp")
	s, _ := startServer(t, Endpoint{Listener: first})
	if status, body, err := get(t, first, "/healthz"); status != 200 || body != "ok\n" {
		t.Fatal(status, body, err)
	}
	s.Serve([]Endpoint{{Listener: first}, {Listener: second, Metrics: true}})
	for _, l := range []net.Listener{first, second} {
		if status, _, err := get(t, l, "/metrics"); status != 200 {
			t.Error(status, err)
		}
	}
	if status, _, _ := get(t, second, "/"); status != 404 {
		t.Errorf("the page on a listener for metrics: %d", status)
	}
	s.Serve([]Endpoint{{Listener: second, Metrics: true}})
	if _, _, err := get(t, first, "/healthz"); err == nil {
		t.Error("a listener that is not served any more answers")
	}
	if status, _, err := get(t, second, "/metrics"); status != 200 {
		t.Error(status, err)
	}
}

// TestEvents: an open page gets the state as events, and ends with the server.
func TestEvents(t *testing.T) {
	l := testkit.Listen(t, "unix")
	s, _ := startServer(t, Endpoint{Listener: l})
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	events := bufio.NewScanner(resp.Body)
	events.Buffer(nil, 1<<20)
	found, lines := false, 0
	for events.Scan() && events.Text() != "" {
		lines++
		if !strings.HasPrefix(events.Text(), "data: ") {
			t.Fatalf("line %q", events.Text())
		}
		found = found || strings.Contains(events.Text(), `id="inflight"`)
	}
	if !found || lines < 20 {
		t.Errorf("%d lines, the table of requests is there: %v", lines, found)
	}
	s.Serve(nil)
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Log("the stream ended properly")
	}
}

// TestStalled: clients that send nothing, or open the page and take nothing, leave room for
// others, up to the number of connections; beyond it they are closed at once, and counted.
func TestStalled(t *testing.T) {
	l := testkit.Listen(t, "unix")
	s, _ := startServer(t, Endpoint{Listener: l})
	for range maxConnections {
		c, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET / HT")
	}
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("one more is answered")
	}
	if s.Handler.Refused() != 1 {
		t.Errorf("%d refused", s.Handler.Refused())
	}
}

// TestRefusedPeers: who may not connect is told nothing, and logged once in a while.
func TestRefusedPeers(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	s, log := startServer(t, Endpoint{Listener: l, Refuse: func(net.Conn) error { return errors.New("not today") }})
	for range 3 {
		if _, _, err := get(t, l, "/healthz"); err == nil {
			t.Error("it is answered")
		}
	}
	testkit.Until(t, "all are counted", func() bool { return s.Handler.Refused() == 3 })
	if n := strings.Count(log.String(), "not today"); n != 1 {
		t.Errorf("%d lines\n%s", n, log)
	}
}
