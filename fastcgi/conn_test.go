package fastcgi

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

func TestHello(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			ts := serve(t, network, &Server{App: hello})
			c := ts.dial()
			for range 3 {
				c.send(get(1, record.KeepConn))
				a := c.answer(1)
				if a.stdout != helloAnswer || a.end != (record.End{}) {
					t.Fatalf("got %q, end %+v", a.stdout, a.end)
				}
			}
			c.send(get(1, 0))
			c.answer(1)
			c.closed()
		})
	}
}

func TestBodies(t *testing.T) {
	ts := serve(t, "unix", &Server{App: echo})
	c := ts.dial()
	for _, size := range []int{1, 10, 1000, 16 << 10, 70_000, 1 << 20} {
		body := string(bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size])
		done := make(chan struct{})
		go func() { c.send(post(1, record.KeepConn, body)); close(done) }()
		a := c.answer(1)
		<-done
		if got := bodyOf(t, a); got != body {
			t.Fatalf("body of %d bytes: got %d", size, len(got))
		}
	}
	if len(ts.logs.String()) > 0 {
		t.Error(ts.logs)
	}
}

// commonVariables are those of a request that nginx passes on for a browser.
var commonVariables = []string{"SCRIPT_FILENAME=/srv/www/app", "QUERY_STRING=a=b", "CONTENT_TYPE=", "SCRIPT_NAME=/app", "REQUEST_URI=/app?a=b",
	"DOCUMENT_URI=/app", "DOCUMENT_ROOT=/srv/www", "SERVER_PROTOCOL=HTTP/1.1", "REQUEST_SCHEME=http", "GATEWAY_INTERFACE=CGI/1.1",
	"SERVER_SOFTWARE=nginx/1.22.1", "REMOTE_ADDR=127.0.0.1", "REMOTE_PORT=45678", "SERVER_ADDR=127.0.0.1", "SERVER_PORT=80",
	"SERVER_NAME=www.example.test", "REDIRECT_STATUS=200", "HTTP_HOST=www.example.test", "HTTP_USER_AGENT=Mozilla/5.0 (X11; Linux x86_64)",
	"HTTP_ACCEPT=text/html,application/xhtml+xml", "HTTP_ACCEPT_LANGUAGE=en-US,en;q=0.5", "HTTP_ACCEPT_ENCODING=gzip, deflate", "HTTP_COOKIE=a=1; b=2"}

func BenchmarkHello(b *testing.B) {
	ts := serve(b, "unix", &Server{App: hello})
	req := get(1, record.KeepConn, commonVariables...)
	b.ReportAllocs()
	b.SetParallelism(4)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := ts.dial()
		buf := make([]byte, 4096)
		want := 0
		for pb.Next() {
			c.send(req)
			n := 0
			for {
				m, err := c.Conn.Read(buf)
				if err != nil {
					b.Error(err)
					return
				}
				n += m
				if want == 0 || n >= want {
					want = n
					break
				}
			}
		}
	})
}

// A countConn counts the reads and writes that moved bytes.
type countConn struct {
	net.Conn
	reads, writes *atomic.Int64
}

func (c *countConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.reads.Add(1)
	}
	return n, err
}

func (c *countConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

type countListener struct {
	net.Listener
	reads, writes atomic.Int64
}

func (l *countListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countConn{c, &l.reads, &l.writes}, nil
}

// TestOneReadOneWrite: that is what a small request costs.
func TestOneReadOneWrite(t *testing.T) {
	l := testkit.Listen(t, "unix")
	counted := &countListener{Listener: l}
	s := &Server{App: echo, Log: slog.New(slog.DiscardHandler)}
	testkit.Serve(t, s, counted, ErrServerClosed)
	c := (&testServer{t: t, addr: l.Addr()}).dial()
	for n := int64(1); n <= 20; n++ {
		request := get(1, 1)
		if n%2 == 0 {
			request = post(1, 1, "a small body")
		}
		c.send(request)
		c.answer(1)
		if r, w := counted.reads.Load(), counted.writes.Load(); r != n || w != n {
			t.Fatalf("%d reads and %d writes for %d requests", r, w, n)
		}
	}
}

func TestServerNeedsAnApplication(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	if err := new(Server).Serve(l); err == nil || !strings.Contains(err.Error(), "set App") {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}
