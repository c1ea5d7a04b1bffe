package gatehouse_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// loopback is what a test's client is a proxy in.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// tellClient is an application that responds with what it knows of the client.
var tellClient = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := w.StartResponse("200 OK", nil); err != nil {
		return err
	}
	e := r.Env
	_, err := fmt.Fprintf(w, "%s %s %s https=%s port=%s for=%s", e.Get("REMOTE_ADDR"), e.Get("REMOTE_HOST"), e.Get("REQUEST_SCHEME"),
		e.Get("HTTPS"), e.Get("SERVER_PORT"), e.Get("HTTP_X_FORWARDED_FOR"))
	return err
})

// tellHandler is the same as a http.Handler.
var tellHandler = cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	fmt.Fprintf(w, "%s tls=%v for=%s", host, r.TLS != nil, r.Header.Get("X-Forwarded-For"))
}))

// serveProxied serves HTTP with s until the test ends.
func serveProxied(t *testing.T, network string, s *gatehouse.Server, log *testkit.Log) (l net.Listener) {
	t.Helper()
	l = testkit.Listen(t, network)
	s.Log, s.Endpoints = log.Logger(), []gatehouse.Endpoint{{Protocol: gatehouse.HTTP, Listener: l}}
	ctx, stop := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := testkit.Receive(t, "the end of Serve", result); err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
	return l
}

// exchange sends a request for example.org with further fields, and returns the response's
// status and body.
func exchange(t *testing.T, c net.Conn, fields string) (status int, body string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: example.org\r\n"+fields+"\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestTrustedProxies(t *testing.T) {
	const forged = "X-Forwarded-For: 203.0.113.9, 192.0.2.7\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n"
	tests := []struct {
		name    string
		network string
		trusted bool
		fields  string
		app     string // response of tellClient; PORT stands for the listener's
		handler string // response of tellHandler
		log     string // in the log; empty for no warning
	}{
		{"nobody is trusted", "tcp", false, "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.7;proto=https\r\n",
			"127.0.0.1 127.0.0.1 http https= port=PORT for=192.0.2.7", "127.0.0.1 tls=false for=192.0.2.7", ""},
		{"trusted", "tcp", true, "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n",
			"192.0.2.7 192.0.2.7 https https=on port=443 for=192.0.2.7", "192.0.2.7 tls=true for=192.0.2.7", ""},
		{"forged", "tcp", true, forged,
			"192.0.2.7 192.0.2.7 http https= port=80 for=203.0.113.9, 192.0.2.7", "192.0.2.7 tls=false for=203.0.113.9, 192.0.2.7", ""},
		{"Forwarded", "tcp", true, "Forwarded: for=203.0.113.9;proto=https\r\nForwarded: for=\"[2001:db8::7]:4711\";proto=https\r\n",
			"2001:db8::7 2001:db8::7 https https=on port=443 for=", "2001:db8::7 tls=true for=", ""},
		{"nothing sent", "tcp", true, "", "127.0.0.1 127.0.0.1 http https= port=PORT for=", "127.0.0.1 tls=false for=", ""},
		{"with underscores", "tcp", true, "X_Forwarded_For: 192.0.2.7\r\nX_Forwarded_Proto: https\r\n",
			"127.0.0.1 127.0.0.1 http https= port=PORT for=", "127.0.0.1 tls=false for=", ""},
		{"malformed", "tcp", true, "X-Forwarded-For: nonsense\r\nX-Forwarded-Proto: ssl\r\n",
			"127.0.0.1 127.0.0.1 http https= port=PORT for=nonsense", "127.0.0.1 tls=false for=nonsense", `X-Forwarded-For: \"nonsense\" is not an address`},
		{"disagreement", "tcp", true, "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=203.0.113.9\r\n",
			"400", "400", "about the client: 192.0.2.7 in X-Forwarded-For, 203.0.113.9 in Forwarded"},
		{"unix socket", "unix", true, "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n",
			"192.0.2.7 192.0.2.7 https https=on port=443 for=192.0.2.7", "192.0.2.7 tls=true for=192.0.2.7", ""},
		{"unix socket, not trusted", "unix", false, "X-Forwarded-For: 192.0.2.7\r\n",
			"unix:  http https= port=80 for=192.0.2.7", "unix tls=false for=192.0.2.7", ""},
	}
	for _, tt := range tests {
		for _, kind := range []string{"app", "handler"} {
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				log, s, want := new(testkit.Log), &gatehouse.Server{App: tellClient}, tt.app
				if kind == "handler" {
					s.App, want = tellHandler, tt.handler
				}
				if tt.trusted {
					s.TrustedProxies, s.TrustUnixProxies = loopback, tt.network == "unix"
				}
				l := serveProxied(t, tt.network, s, log)
				if tcp, ok := l.Addr().(*net.TCPAddr); ok {
					want = strings.ReplaceAll(want, "PORT", fmt.Sprint(tcp.Port))
				}
				status, body := exchange(t, testkit.Dial(t, l.Addr()), tt.fields)
				if want == "400" {
					if status != http.StatusBadRequest || !strings.Contains(body, tt.log) {
						t.Errorf("got %d, %q", status, body)
					}
				} else if status != http.StatusOK || !strings.HasPrefix(body, want) || kind == "app" && body != want {
					t.Errorf("got %d, %q; want %q", status, body, want)
				}
				if lines := refusals(log); (len(lines) > 0) != (tt.log != "") || tt.log != "" && !strings.Contains(lines[0], tt.log) {
					t.Errorf("the log has %q", lines)
				}
			})
		}
	}
}

// TestTrustedProxiesReconfigured: whom the server trusts changes with Reconfigure, also on a
// connection that is kept.
func TestTrustedProxiesReconfigured(t *testing.T) {
	log, s := new(testkit.Log), &gatehouse.Server{App: tellClient, TrustedProxies: loopback}
	l := serveProxied(t, "tcp", s, log)
	c := testkit.Dial(t, l.Addr())
	const fields = "X-Forwarded-For: 192.0.2.7\r\n"
	for i, want := range []string{"192.0.2.7 ", "127.0.0.1 ", "192.0.2.7 "} {
		if i > 0 {
			next := &gatehouse.Server{App: tellClient}
			if i == 2 {
				next.TrustedProxies = loopback
			}
			if _, err := s.Reconfigure(next); err != nil {
				t.Fatal(err)
			}
		}
		if _, body := exchange(t, c, fields); !strings.HasPrefix(body, want) {
			t.Errorf("after %d changes: %q; want %q", i, body, want)
		}
	}
}

// TestTrustedProxiesFlood: malformed fields have one line and a number.
func TestTrustedProxiesFlood(t *testing.T) {
	const n = 40
	log, s := new(testkit.Log), &gatehouse.Server{App: tellClient, TrustedProxies: loopback}
	l := serveProxied(t, "tcp", s, log)
	c := testkit.Dial(t, l.Addr())
	for range n {
		exchange(t, c, "X-Forwarded-For: nonsense\r\n")
	}
	if lines := refusals(log); len(lines) == 0 || len(lines) > 5 {
		t.Errorf("%d lines for %d requests", len(lines), n)
	}
}
