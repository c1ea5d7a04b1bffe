package scgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/cgi"
)

// request returns the bytes of a request with the given variables ("NAME=value")
// behind CONTENT_LENGTH and SCGI.
func request(body string, vars ...string) []byte {
	return append(head(append([]string{"CONTENT_LENGTH=" + strconv.Itoa(len(body)), "SCGI=1"}, vars...)...), body...)
}

// head returns the netstring of the given variables.
func head(vars ...string) []byte {
	var block []byte
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		block = append(append(block, name...), 0)
		block = append(append(block, value...), 0)
	}
	return AppendNetstring(nil, block)
}

// A testServer is a server on a socket of its own.
type testServer struct {
	*Server
	network string
	addr    net.Addr
	log     logBuffer
	done    chan error
}

// serve starts a server on a socket of the network ("unix" or "tcp"), and closes
// it at the end of the test.
func serve(t testing.TB, network string, s *Server) *testServer {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	ts := &testServer{Server: s, network: network, addr: l.Addr(), done: make(chan error, 1)}
	if s.Log == nil {
		s.Log = slog.New(slog.NewTextHandler(&ts.log, nil))
	}
	go func() { ts.done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ts.done; err != ErrServerClosed {
			t.Errorf("Serve returned %v, want ErrServerClosed", err)
		}
	})
	return ts
}

// A client is a test's end of a connection.
type client struct {
	t testing.TB
	net.Conn
}

func (ts *testServer) dial(t testing.TB) *client {
	t.Helper()
	c, err := net.Dial(ts.network, ts.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{t, c}
}

// send writes the parts, each in a write of its own.
func (c *client) send(parts ...[]byte) *client {
	c.t.Helper()
	for _, p := range parts {
		if _, err := c.Write(p); err != nil {
			c.t.Fatalf("write: %v", err)
		}
	}
	return c
}

func (c *client) closeWrite() *client {
	c.t.Helper()
	if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// answer reads to the end, which must be clean.
func (c *client) answer() string {
	c.t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		c.t.Fatalf("reading the answer: %v, after %q", err, b)
	}
	return string(b)
}

// do sends a request and returns the answer.
func (ts *testServer) do(t testing.TB, parts ...[]byte) string {
	t.Helper()
	c := ts.dial(t)
	defer c.Close()
	return c.send(parts...).answer()
}

// wantStatus checks the first line of an answer.
func wantStatus(t testing.TB, answer, status string) {
	t.Helper()
	line, _, _ := strings.Cut(answer, "\r\n")
	if want := "Status: " + status; line != want {
		t.Errorf("the answer begins with %q, want %q", line, want)
	}
}

// wantBody checks the body of an answer.
func wantBody(t testing.TB, answer, body string) {
	t.Helper()
	if _, got, _ := strings.Cut(answer, "\r\n\r\n"); got != body {
		t.Errorf("body %.300q, want %.300q", got, body)
	}
}

// each runs a test on both kinds of socket, beside the other tests.
func each(t *testing.T, f func(t *testing.T, network string)) {
	t.Parallel()
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			f(t, network)
		})
	}
}

// A logBuffer keeps what a server logs.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// oneLine checks that the log is one line, with all the given parts.
func (l *logBuffer) oneLine(t testing.TB, parts ...string) {
	t.Helper()
	s := l.String()
	if strings.Count(s, "\n") != 1 {
		t.Errorf("log is not one line: %s", s)
	}
	for _, p := range parts {
		if !strings.Contains(s, p) {
			t.Errorf("log has no %q: %s", p, s)
		}
	}
}

// patience bounds what a test waits for. It is no measure of anything.
const patience = time.Minute

// longer runs a test with a limit, and with longer ones while it reports that the limit
// has come too early: the machine may be slow, but not that slow.
func longer(t *testing.T, limit time.Duration, test func(t *testing.T, limit time.Duration) (early bool)) {
	for again := true; again; limit *= 4 {
		again = false
		t.Run(limit.String(), func(t *testing.T) {
			again = test(t, limit)
			if again && limit > patience/4 {
				t.Error("the limit has come too early")
				again = false
			}
		})
	}
}

// receive waits for a value.
func receive[T any](t testing.TB, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%s: nothing happened", what)
	}
	return v
}

// text answers with a text.
func text(w cgi.ResponseWriter, s string) error {
	if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, s)
	return err
}

// hello answers with a few bytes.
var hello = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error { return text(w, "hello") })

// echo answers with the variables and the body, and what ended it.
var echo = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	b, err := io.ReadAll(r.Body)
	var short string
	if errors.Is(err, io.ErrUnexpectedEOF) {
		short, err = "unexpected EOF", nil
	}
	if err != nil {
		return err
	}
	return text(w, fmt.Sprintf("%q %d %q %s", r.Env.Strings(), r.ContentLength, b, short))
})

func echoed(body, short string, length int, vars ...string) string {
	return fmt.Sprintf("%q %d %q %s", vars, length, body, short)
}
