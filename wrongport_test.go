package gatehouse_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// strangers are the first messages of peers, by what they speak, and how the response to each
// begins. An empty response is one in the language of the listener.
func strangers(t *testing.T) map[string]struct{ sent, response string } {
	capture := func(name string) string {
		b, err := os.ReadFile(filepath.Join("cgi/testdata/captures", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const page, cgiPage, records = "HTTP/1.1 400 Bad Request\r\n", "Status: 502 Bad Gateway\r\n", "\x01\x07\x00\x01"
	return map[string]struct{ sent, response string }{
		"FastCGI":            {capture("nginx-fastcgi-get.bin"), records},
		"SCGI":               {capture("nginx-scgi-get.bin"), cgiPage},
		"uwsgi":              {capture("nginx-uwsgi-get.bin"), cgiPage},
		"HTTP":               {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", page},
		"TLS":                {"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + strings.Repeat("\n\x00", 97), page},
		"the PROXY protocol": {"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\nGET / HTTP/1.1\r\n\r\n", page},
	}
}

// TestWrongPort: a peer that speaks another protocol than the listener gets a response in its
// own language, no application sees its request, and the log has a line that says what to do.
func TestWrongPort(t *testing.T) {
	own := map[gatehouse.Protocol]string{gatehouse.FastCGI: "FastCGI", gatehouse.SCGI: "SCGI", gatehouse.HTTP: "HTTP"}
	for protocol, name := range own {
		for _, network := range []string{"unix", "tcp"} {
			for speaks, tt := range strangers(t) {
				if speaks == name {
					continue
				}
				t.Run(fmt.Sprint(protocol, "/", network, "/", speaks), func(t *testing.T) {
					log := new(testkit.Log)
					addr, stop := serveEndpoint(t, protocol, network, log)
					c := testkit.Dial(t, addr)
					c.SetDeadline(time.Now().Add(testkit.Patience))
					if _, err := io.WriteString(c, tt.sent); err != nil {
						t.Fatal(err)
					}
					c.(interface{ CloseWrite() error }).CloseWrite()
					got, err := io.ReadAll(c)
					if err != nil || !strings.HasPrefix(string(got), tt.response) {
						t.Errorf("got %q, %v; want %q", got, err, tt.response)
					}
					if !strings.Contains(string(got), speaks+" came to a") {
						t.Errorf("the response does not say what has come: %q", got)
					}
					stop()
					lines := refusals(log)
					if len(lines) != 1 || !strings.Contains(lines[0], speaks+" came to a") ||
						!strings.Contains(lines[0], "listener="+addr.String()) || !strings.Contains(lines[0], "remedy=") {
						t.Errorf("the log has %q", lines)
					}
				})
			}
		}
	}
}

// TestWrongPortWithoutRequest: a peer that has begun no request, as HAProxy begins with a question
// over FastCGI, gets no response, and the log has its line.
func TestWrongPortWithoutRequest(t *testing.T) {
	for _, protocol := range []gatehouse.Protocol{gatehouse.SCGI, gatehouse.HTTP} {
		for _, network := range []string{"unix", "tcp"} {
			log := new(testkit.Log)
			addr, stop := serveEndpoint(t, protocol, network, log)
			c := testkit.Dial(t, addr)
			c.SetDeadline(time.Now().Add(testkit.Patience))
			io.WriteString(c, "\x01\x09\x00\x00\x00\x11\x07\x00\x0f\x00FCGI_MPXS_CONNS\x00\x00\x00\x00\x00\x00\x00")
			c.(interface{ CloseWrite() error }).CloseWrite()
			if got, err := io.ReadAll(c); err != nil || len(got) > 0 {
				t.Errorf("%s, %s: got %q, %v", protocol, network, got, err)
			}
			stop()
			if lines := refusals(log); len(lines) != 1 || !strings.Contains(lines[0], "FastCGI came to an ") {
				t.Errorf("%s, %s: the log has %q", protocol, network, lines)
			}
		}
	}
}

// TestWrongPortInPieces: over HTTP, bytes that come one by one are recognised as well.
func TestWrongPortInPieces(t *testing.T) {
	for speaks, tt := range strangers(t) {
		if speaks == "HTTP" {
			continue
		}
		t.Run(speaks, func(t *testing.T) {
			log := new(testkit.Log)
			addr, stop := serveEndpoint(t, gatehouse.HTTP, "tcp", log)
			c := testkit.Dial(t, addr)
			c.SetDeadline(time.Now().Add(testkit.Patience))
			for i := range 16 {
				if _, err := io.WriteString(c, tt.sent[i:i+1]); err != nil {
					break // it has been recognised
				}
			}
			c.(*net.TCPConn).CloseWrite()
			got, _ := io.ReadAll(c)
			stop()
			if lines := refusals(log); len(lines) != 1 || !strings.Contains(lines[0], speaks+" came to a") {
				t.Errorf("the log has %q, the peer %q", lines, got)
			}
		})
	}
}

// TestWrongPortFlood: peers that come again and again have one line, and a number.
func TestWrongPortFlood(t *testing.T) {
	const n = 50
	for _, protocol := range []gatehouse.Protocol{gatehouse.FastCGI, gatehouse.SCGI, gatehouse.HTTP} {
		log := new(testkit.Log)
		addr, stop := serveEndpoint(t, protocol, "tcp", log)
		for range n {
			c := testkit.Dial(t, addr)
			c.SetDeadline(time.Now().Add(testkit.Patience))
			io.WriteString(c, "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\x00\x00\x00\x00\x00")
			c.(*net.TCPConn).CloseWrite()
			io.ReadAll(c)
			c.Close()
		}
		stop()
		lines := refusals(log)
		if len(lines) < 2 || len(lines) > 5 || !strings.Contains(lines[1], "times=") {
			t.Errorf("%s: %d lines for %d connections: %q", protocol, len(lines), n, lines)
		}
	}
}

// serveEndpoint serves a protocol with an application that no request may reach, until stop.
func serveEndpoint(t *testing.T, protocol gatehouse.Protocol, network string, log *testkit.Log) (addr net.Addr, stop func()) {
	t.Helper()
	l := testkit.Listen(t, network)
	s := &gatehouse.Server{Log: log.Logger(), Endpoints: []gatehouse.Endpoint{{Protocol: protocol, Listener: l}},
		App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			t.Errorf("the application was run with %q", r.Env.Strings())
			return nil
		})}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx) }()
	return l.Addr(), func() {
		cancel()
		if err := testkit.Receive(t, "the end of Serve", result); err != nil {
			t.Errorf("Serve returned %v", err)
		}
	}
}

// refusals returns the warnings in a log.
func refusals(log *testkit.Log) (lines []string) {
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "level=WARN") {
			lines = append(lines, line)
		}
	}
	return lines
}
