package simpleserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
)

// A buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// noon is the time of all tests.
var noon = time.Date(2006, 6, 5, 12, 0, 0, 0, time.UTC)

// A testServer is a server on a loopback socket of its own.
type testServer struct {
	*Server
	t           testing.TB
	addr        string
	access, log buffer
	done        chan error
}

// start starts a server, which is closed at the end of the test.
func start(t testing.TB, s *Server) *testServer {
	t.Helper()
	ts := &testServer{Server: s, t: t, done: make(chan error, 1)}
	if s.AccessLog == nil {
		s.AccessLog = &ts.access
	}
	if s.ErrorLog == nil {
		s.ErrorLog = &ts.log
	}
	if s.Software == "" {
		s.Software = "Test/1.0 Go"
	}
	if s.now == nil {
		s.now = func() time.Time { return noon }
	}
	s.HalfClose = true
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ts.addr = l.Addr().String()
	go func() { ts.done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ts.done; err != ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
	return ts
}

func (ts *testServer) dial() *net.TCPConn {
	ts.t.Helper()
	c, err := net.Dial("tcp", ts.addr)
	if err != nil {
		ts.t.Fatal(err)
	}
	ts.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// ask sends a request and the end of the stream, and returns all that comes back.
func (ts *testServer) ask(request string) string {
	ts.t.Helper()
	out, err := askAt(ts.addr, request)
	if err != nil {
		ts.t.Fatal(err)
	}
	return out
}

func askAt(addr, request string) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil && !isReset(err) {
		return "", err
	}
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	return string(b), err
}

// patience bounds what a test waits for. No test that passes depends on it.
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

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// answer is an App that answers with a body and the fields of wsgiref's hello_app.
func answer(body func(r *cgi.Request) string) cgi.App {
	return cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		text := body(r)
		if err := w.StartResponse("200 OK", helloFields); err != nil {
			return err
		}
		_, err := io.WriteString(w, text)
		return err
	})
}

var helloFields = []cgi.Field{{Name: "Content-Type", Value: "text/plain"}, {Name: "Date", Value: "Mon, 05 Jun 2006 18:49:54 GMT"}}

var hello = answer(func(*cgi.Request) string { return "Hello, world!" })

// bodyOf returns what follows the head of an answer.
func bodyOf(out string) string {
	_, body, _ := strings.Cut(out, "\r\n\r\n")
	return body
}

func statusOf(out string) string {
	line, _, _ := strings.Cut(out, "\r\n")
	return line
}
