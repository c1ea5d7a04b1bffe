package gatehouse

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
	"gatehouse/scgi"
)

// say responds with a word.
func say(word string) cgi.App {
	return cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err := io.WriteString(w, word)
		return err
	})
}

// keptRequest is a request in each protocol that lets the connection be kept, if it can be.
var keptRequest = map[Protocol]string{
	HTTP: "GET / HTTP/1.1\r\nHost: gate\r\n\r\n",
	SCGI: string(scgi.AppendNetstring(nil, []byte("CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00SCRIPT_NAME\x00/\x00"))),
	FastCGI: string(record.AppendRecord(record.AppendRecord(record.AppendRecord(
		record.AppendBegin(nil, 1, record.Responder, record.KeepConn),
		record.Params, 1, []byte("\x0e\x03REQUEST_METHODGET\x0b\x01SCRIPT_NAME/")), record.Params, 1, nil), record.Stdin, 1, nil)),
}

// ask sends a request on c, and reads until word has come, and what ends a FastCGI response.
func ask(t *testing.T, c net.Conn, p Protocol, word string) {
	t.Helper()
	if _, err := io.WriteString(c, keptRequest[p]); err != nil {
		t.Fatal(err)
	}
	expect(t, c, p, word)
}

func expect(t *testing.T, c net.Conn, p Protocol, word string) {
	t.Helper()
	end := word
	if p == FastCGI {
		end = string(record.AppendEndRequest(nil, 1, 0, record.RequestComplete))
	}
	var got []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(got), end); {
		n, err := c.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			t.Fatalf("%s: got %q, %v; want %q", p, got, err, word)
		}
	}
	if !strings.Contains(string(got), word) {
		t.Fatalf("%s: got %q, want %q", p, got, word)
	}
}

// serve runs a Server in the background until the end of the test.
func serve(t *testing.T, s *Server) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening, left := make(chan struct{}), len(s.Endpoints)
	s.Listening = func(net.Addr) {
		if left--; left == 0 {
			close(listening)
		}
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	testkit.Receive(t, "listening", listening)
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return testkit.Receive(t, "the end of Serve", done)
	}
	t.Cleanup(func() { stop() })
	return stop
}

// TestReconfigure: kept connections go on with the new App, a request in flight has the old
// one to its end, and then ended is closed.
func TestReconfigure(t *testing.T) {
	for _, p := range []Protocol{FastCGI, SCGI, HTTP} {
		t.Run(string(p), func(t *testing.T) {
			logs := new(testkit.Log)
			old := newHeld()
			var asked atomic.Bool
			first := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				if asked.Swap(true) {
					return old.ServeCGI(w, r)
				}
				return say("one").ServeCGI(w, r)
			})
			e := Endpoint{Protocol: p, Listener: testkit.Listen(t, "unix")}
			s := &Server{App: first, Endpoints: []Endpoint{e}, Log: logs.Logger()}
			stop := serve(t, s)
			kept := testkit.Dial(t, e.Listener.Addr())
			ask(t, kept, p, "one")

			inFlight := testkit.Dial(t, e.Listener.Addr())
			if _, err := io.WriteString(inFlight, keptRequest[p]); err != nil {
				t.Fatal(err)
			}
			testkit.Receive(t, "a request", old.entered)
			ended, err := s.Reconfigure(&Server{App: say("two"), Endpoints: []Endpoint{e}, Limits: cgi.Limits{ParamsBytes: 5000}})
			if err != nil {
				t.Fatal(err)
			}
			if p == SCGI {
				kept = testkit.Dial(t, e.Listener.Addr())
			}
			ask(t, kept, p, "two")
			fresh := testkit.Dial(t, e.Listener.Addr())
			ask(t, fresh, p, "two")
			select {
			case <-ended:
				t.Fatal("ended is closed while a request has the old App")
			default:
			}
			close(old.release)
			expect(t, inFlight, p, "done")
			testkit.Receive(t, "the end of the old App's requests", ended)
			if err := stop(); err != nil {
				t.Error(err)
			}
			if _, err := s.Reconfigure(&Server{App: say("three")}); err != http.ErrServerClosed {
				t.Errorf("Reconfigure after Serve: %v", err)
			}
		})
	}
}

// TestReconfigureEndpoints: an endpoint that is new is served, one that is gone is not, but its
// requests end; and what cannot be done changes nothing.
func TestReconfigureEndpoints(t *testing.T) {
	logs := new(testkit.Log)
	app := newHeld()
	endpoint := func(p Protocol) Endpoint { return Endpoint{Protocol: p, Listener: testkit.Listen(t, "unix")} }
	gone, stays, fresh := endpoint(HTTP), endpoint(HTTP), endpoint(SCGI)
	s := &Server{App: app, Endpoints: []Endpoint{gone, stays}, Log: logs.Logger()}
	stop := serve(t, s)
	inFlight := testkit.Dial(t, gone.Listener.Addr())
	if _, err := io.WriteString(inFlight, keptRequest[HTTP]); err != nil {
		t.Fatal(err)
	}
	testkit.Receive(t, "a request", app.entered)

	for _, x := range []struct {
		next *Server
		want string
	}{
		{&Server{Endpoints: s.Endpoints}, "gatehouse: the server has no application: set App"},
		{&Server{App: app, Endpoints: []Endpoint{{Protocol: "ftp", Listener: gone.Listener}}}, "its protocol is \"ftp\""},
		{&Server{App: app, Endpoints: []Endpoint{{Protocol: SCGI, Listener: gone.Listener}}}, "the protocol of a listener that is served cannot be changed"},
	} {
		if _, err := s.Reconfigure(x.next); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("Reconfigure: %v, want %q", err, x.want)
		}
	}

	ended, err := s.Reconfigure(&Server{App: say("two"), Endpoints: []Endpoint{stays, fresh}})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Endpoint{stays, fresh} {
		ask(t, testkit.Dial(t, e.Listener.Addr()), e.Protocol, "two")
	}
	testkit.Until(t, "the listener that is gone to be closed", func() bool {
		c, err := net.Dial("unix", gone.Listener.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case <-ended:
		t.Error("ended is closed while a request has the old App")
	default:
	}
	close(app.release)
	expect(t, inFlight, HTTP, "done")
	testkit.Receive(t, "the end of the old App's requests", ended)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(logs.String(), "no longer listening"); n != 1 {
		t.Errorf("%d lines about the listener that is gone:\n%s", n, logs)
	}
}

// TestReconfigureDrain: Serve drains what Reconfigure has left draining, and cuts it off.
func TestReconfigureDrain(t *testing.T) {
	app := newHeld()
	e := Endpoint{Protocol: HTTP, Listener: testkit.Listen(t, "unix")}
	s := &Server{App: app, Endpoints: []Endpoint{e}, Log: new(testkit.Log).Logger()}
	stop := serve(t, s)
	c := testkit.Dial(t, e.Listener.Addr())
	if _, err := io.WriteString(c, keptRequest[HTTP]); err != nil {
		t.Fatal(err)
	}
	testkit.Receive(t, "a request", app.entered)
	ended, err := s.Reconfigure(&Server{App: say("two"), Drain: 1, Endpoints: []Endpoint{{Protocol: HTTP, Listener: testkit.Listen(t, "unix")}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != context.DeadlineExceeded {
		t.Errorf("Serve returned %v", err)
	}
	testkit.Receive(t, "the end of the old App's requests", ended)
}

// TestReconfigurePeers: who may connect applies to new connections.
func TestReconfigurePeers(t *testing.T) {
	e := Endpoint{Protocol: FastCGI, Listener: testkit.Listen(t, "tcp")}
	s := &Server{App: say("one"), Endpoints: []Endpoint{e}, Log: new(testkit.Log).Logger()}
	serve(t, s)
	kept := testkit.Dial(t, e.Listener.Addr())
	ask(t, kept, FastCGI, "one")
	closed := e
	closed.WebServerAddrs = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	if _, err := s.Reconfigure(&Server{App: say("two"), Endpoints: []Endpoint{closed}}); err != nil {
		t.Fatal(err)
	}
	ask(t, kept, FastCGI, "two")
	refused := testkit.Dial(t, e.Listener.Addr())
	if n, err := refused.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("Read = %d, %v; want an end", n, err)
	}
}
