package admin

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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
	if c, err := net.Dial("unix", first.Addr().String()); err == nil { // it is closed by now
		c.Close()
		t.Error("a listener that is not served any more is open")
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

// TestEventsGoOn: the time limit of a request does not end the events.
func TestEventsGoOn(t *testing.T) {
	l := testkit.Listen(t, "unix")
	server := &http.Server{Handler: &Handler{Source: newGateway()}, ReadTimeout: eventInterval / 4}
	go server.Serve(l)
	defer server.Close()
	c := testkit.Dial(t, l.Addr())
	io.WriteString(c, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	events := bufio.NewScanner(resp.Body)
	events.Buffer(nil, 1<<20)
	for ends := 0; ends < 2; {
		if !events.Scan() {
			t.Fatalf("the events end after %d: %v", ends, events.Err())
		}
		if events.Text() == "" {
			ends++
		}
	}
}

// open opens n connections that send the same, and returns them.
func open(t *testing.T, l net.Listener, n int, text string) (list []net.Conn) {
	t.Helper()
	for range n {
		c := testkit.Dial(t, l.Addr())
		io.WriteString(c, text)
		list = append(list, c)
	}
	return list
}

// states returns how many connections are idle after a request, and how many have one.
func states(s *Server, l net.Listener) (idle, active int) {
	x := s.serving[l].listener
	x.mu.Lock()
	defer x.mu.Unlock()
	for c, since := range x.conns {
		switch {
		case since.IsZero():
			active++
		case c.asked:
			idle++
		}
	}
	return idle, active
}

// TestConnections: a connection with a request keeps its place, and one more is closed at once
// and counted. One that has no request gives its place to another.
func TestConnections(t *testing.T) {
	l := testkit.Listen(t, "unix")
	s, _ := startServer(t, Endpoint{Listener: l})
	conns := open(t, l, maxConnections, "POST /abort HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\nid=1") // one byte is missing
	testkit.Until(t, "all are active", func() bool { _, active := states(s, l); return active == maxConnections })
	if _, _, err := get(t, l, "/healthz"); err == nil {
		t.Error("one more is answered")
	}
	if n := s.Handler.Refused(); n != 1 {
		t.Errorf("%d refused", n)
	}
	for _, c := range conns {
		io.WriteString(c, "3") // its id is 13
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Until(t, "all are idle", func() bool { idle, _ := states(s, l); return idle == maxConnections })
	for range 2 * maxConnections {
		if status, _, err := get(t, l, "/healthz"); status != 200 {
			t.Fatal("beside idle connections", status, err)
		}
	}
}

// TestStalled: clients that send only a part of a request have a moment for the rest, and keep
// nobody away for longer.
func TestStalled(t *testing.T) {
	l := testkit.Listen(t, "unix")
	s, _ := startServer(t, Endpoint{Listener: l})
	open(t, l, maxConnections, "GET / HT")
	x := s.serving[l].listener
	testkit.Until(t, "all have a place", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return len(x.conns) == maxConnections
	})
	x.mu.Lock()
	for c := range x.conns {
		x.conns[c] = time.Now().Add(-newFor)
	}
	x.mu.Unlock()
	for range maxConnections {
		if status, _, err := get(t, l, "/healthz"); status != 200 {
			t.Fatal(status, err)
		}
	}
}

// TestThousand asks a thousand times at once: each client is answered, or told that there are
// too many, or disconnected, and those are counted.
func TestThousand(t *testing.T) {
	l := testkit.Listen(t, "unix")
	s, _ := startServer(t, Endpoint{Listener: l})
	var all sync.WaitGroup
	var answered, told, closed atomic.Uint64
	for range 1000 {
		all.Go(func() {
			switch status, _, err := get(t, l, "/metrics"); {
			case err != nil:
				closed.Add(1)
			case status == 200:
				answered.Add(1)
			case status == 503:
				told.Add(1)
			}
		})
	}
	all.Wait()
	if answered.Load() == 0 || answered.Load()+told.Load()+closed.Load() != 1000 {
		t.Errorf("%d answered, %d told, %d closed", answered.Load(), told.Load(), closed.Load())
	}
	if n := s.Handler.Refused(); n < told.Load() || n > told.Load()+closed.Load() {
		t.Errorf("%d refused, %d told, %d closed", n, told.Load(), closed.Load())
	}
	if status, _, err := get(t, l, "/metrics"); status != 200 {
		t.Error(status, err)
	}
}

// TestAcceptFails: while no connection can be accepted, as there is no descriptor, it tries
// again, and says so.
func TestAcceptFails(t *testing.T) {
	l := &failing{Listener: testkit.Listen(t, "unix"), left: 3, err: os.NewSyscallError("accept4", syscall.ENOBUFS)}
	_, log := startServer(t, Endpoint{Listener: l})
	if status, _, err := get(t, l, "/healthz"); status != 200 {
		t.Error(status, err)
	}
	if n := strings.Count(log.String(), "can be accepted, trying again"); n != 1 {
		t.Errorf("%d lines\n%s", n, log)
	}
}

// A failing is a listener that fails at first.
type failing struct {
	net.Listener
	left int
	err  error
}

func (l *failing) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, l.err
	}
	return l.Listener.Accept()
}

// TestPeersChange: who may connect changes on a listener that stays.
func TestPeersChange(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	s, _ := startServer(t, Endpoint{Listener: l})
	if status, _, err := get(t, l, "/healthz"); status != 200 {
		t.Fatal(status, err)
	}
	s.Serve([]Endpoint{{Listener: l, Refuse: func(net.Conn) error { return errors.New("not today") }}})
	if _, _, err := get(t, l, "/healthz"); err == nil {
		t.Error("a peer that may not connect any more is answered")
	}
}

// TestLeave: what is served elsewhere from now on is not accepted here.
func TestLeave(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	s, _ := startServer(t, Endpoint{Listener: l})
	if !s.Leave(l) || s.Leave(l) {
		t.Error("Leave")
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("it is open")
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
