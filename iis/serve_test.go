package iis

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/client"
)

// A fakePipe is a Listener over a connection in memory.
type fakePipe struct {
	conns    chan net.Conn
	shutdown chan struct{}
	closed   chan struct{}
	once     sync.Once
}

// newFakePipe returns a pipe, and the web server's end of it.
func newFakePipe() (*fakePipe, net.Conn) {
	near, far := net.Pipe()
	p := &fakePipe{conns: make(chan net.Conn, 1), shutdown: make(chan struct{}), closed: make(chan struct{})}
	p.conns <- &fakeConn{near, p}
	return p, far
}

func (p *fakePipe) Accept() (net.Conn, error) {
	select {
	case c, ok := <-p.conns:
		if !ok {
			return nil, io.EOF
		}
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *fakePipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *fakePipe) Addr() net.Addr            { return &net.UnixAddr{} }
func (p *fakePipe) Shutdown() <-chan struct{} { return p.shutdown }

// A fakeConn ends its fakePipe.
type fakeConn struct {
	net.Conn
	p *fakePipe
}

func (c *fakeConn) Close() error {
	err := c.Conn.Close()
	defer func() { recover() }() // closed twice
	close(c.p.conns)
	return err
}

// get makes a request on a connection that IIS keeps.
func get(t *testing.T, c *client.Conn, path string) (string, error) {
	t.Helper()
	env := cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/app", "PATH_INFO=/app"+path, "REQUEST_URI=/app"+path)
	resp, err := c.Do(t.Context(), &client.Request{KeepConn: true, Params: env.All()})
	if err != nil {
		return "", err
	}
	defer resp.Close()
	b, err := io.ReadAll(resp)
	return string(b), err
}

func hello(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "hello")
	return err
}

// TestIdleHour: however long IIS has no request, the connection is kept.
func TestIdleHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, far := newFakePipe()
		s := &Server{App: cgi.AppFunc(hello), Log: slog.New(slog.DiscardHandler)}
		served := make(chan error)
		go func() { served <- s.serveFastCGI(context.Background(), p) }()
		c := client.New(far)
		for range 3 {
			if b, err := get(t, c, "/"); b != "hello" || err != nil {
				t.Fatalf("%q, %v", b, err)
			}
			time.Sleep(time.Hour)
		}
		c.Close()
		if err := <-served; err != nil {
			t.Errorf("after the end of the pipe: %v", err)
		}
	})
}

// TestDrain: the event leaves the request in flight Drain to finish.
func TestDrain(t *testing.T) {
	for _, c := range []struct {
		name       string
		takes      time.Duration
		drain      time.Duration
		want       error
		wantAnswer string
	}{
		{"in time", 20 * time.Second, 0, nil, "hello"},
		{"too late", time.Minute, 0, context.DeadlineExceeded, ""},
		{"too late, own limit", 20 * time.Second, 10 * time.Second, context.DeadlineExceeded, ""},
		{"no limit", time.Hour, -1, nil, "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, far := newFakePipe()
				s := &Server{Drain: c.drain, Log: slog.New(slog.DiscardHandler), App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
					close(p.shutdown)
					select {
					case <-time.After(c.takes):
					case <-r.Context().Done():
						return context.Cause(r.Context())
					}
					return hello(w, r)
				})}
				served := make(chan error)
				go func() { served <- s.serveFastCGI(context.Background(), p) }()
				client := client.New(far)
				b, err := get(t, client, "/")
				if b != c.wantAnswer || (err == nil) != (c.want == nil) {
					t.Errorf("got %q, %v", b, err)
				}
				client.Close()
				if err := <-served; !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("Serve returned %v, want %v", err, c.want)
				}
			})
		})
	}
}

func TestNotStarted(t *testing.T) {
	if err := Serve(nil); err != ErrNotStarted {
		t.Errorf("got %v, want ErrNotStarted", err)
	}
	if IsProgram() || Started() {
		t.Error("IIS has started this test")
	}
	for software, want := range map[string]bool{"Microsoft-IIS/10.0": true, "microsoft-iis/7.5": true, "Microsoft-IIS": false, "Apache/2.4": false, "": false} {
		t.Setenv("GATEWAY_INTERFACE", "CGI/1.1")
		t.Setenv("REQUEST_METHOD", "GET")
		t.Setenv("SERVER_SOFTWARE", software)
		if IsProgram() != want {
			t.Errorf("%q: IsProgram is %v", software, !want)
		}
	}
}

func TestParseHandle(t *testing.T) {
	const top = ^uintptr(0)
	for _, c := range []struct {
		value string
		want  uintptr // 0 for an error
	}{
		{"108", 108},
		{" 108 ", 108},
		{"+108", 108},
		{"4294967292", 4294967292},
		{"-4", top - 3},
		{"18446744073709551612", top - 3},
		{"18446744073709551616", 0},
		{"0", 0},
		{"-1", 0},
		{"18446744073709551615", 0},
		{"0x6c", 0},
		{"", 0},
	} {
		got, err := parseHandle(shutdownVariable, c.value)
		if got != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%q: %d, %v; want %d", c.value, got, err, c.want)
		}
	}
}
