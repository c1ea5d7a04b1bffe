package fastcgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// Every exported name of net/http/fcgi is here, with the same type, so that a program
// changes its import and compiles.
func TestNamesOfNetHTTPFcgi(t *testing.T) {
	theirs := testkit.Exported(t, filepath.Join(testkit.GoRoot(t), "src/net/http/fcgi"))
	ours := testkit.Exported(t, ".")
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if ours[name] != theirs[name] {
			t.Errorf("%s is %q, want %q", name, ours[name], theirs[name])
		}
	}
	for name, want := range map[string]string{"Serve": "func(net.Listener, http.Handler)(error)", "ErrConnClosed": "var"} {
		if theirs[name] != want {
			t.Errorf("%s of net/http/fcgi reads %q, want %q", name, theirs[name], want)
		}
	}
	var _ = []error{ErrRequestAborted, ErrConnClosed} // their types
}

// serveHandler has Serve run h on a unix socket, until the test ends.
func serveHandler(t testing.TB, h http.Handler) *testServer {
	t.Helper()
	l := testkit.Listen(t, "unix")
	served := make(chan error, 1)
	go func() { served <- Serve(l, h) }()
	t.Cleanup(func() {
		l.Close()
		if err := testkit.Receive(t, "the end of Serve", served); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return &testServer{t: t, addr: l.Addr()}
}

func TestServeDefaultMux(t *testing.T) {
	old := http.DefaultServeMux
	http.DefaultServeMux = http.NewServeMux()
	t.Cleanup(func() { http.DefaultServeMux = old })
	http.HandleFunc("/found", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "found") })
	c := serveHandler(t, nil).dial()
	c.send(get(1, 0, "SCRIPT_NAME=/found"))
	if a := c.answer(1); bodyOf(t, a) != "found" {
		t.Errorf("got %q", a.stdout)
	}
}

// setStdin makes f the standard input for the test.
func setStdin(t *testing.T, f *os.File) {
	old := os.Stdin
	os.Stdin = f
	t.Cleanup(func() { os.Stdin = old; f.Close() })
}

func TestServeStdinThatDoesNotListen(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	setStdin(t, null)
	if err := Serve(nil, nil); err == nil || !strings.Contains(err.Error(), "is no listening socket") {
		t.Errorf("Serve returned %v", err)
	}
}

func TestProcessEnv(t *testing.T) {
	ts := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), key{}, 1))
		defer cancel()
		for _, r := range []*http.Request{r, r.WithContext(ctx), r.Clone(ctx)} {
			env := ProcessEnv(r)
			if env["REQUEST_ID"] == "" {
				fmt.Fprint(w, "no id ")
			}
			delete(env, "REQUEST_ID")
			for _, name := range slices.Sorted(maps.Keys(env)) {
				fmt.Fprintf(w, "%s=%s ", name, env[name])
			}
		}
		fmt.Fprint(w, ProcessEnv(r.WithContext(context.Background())) == nil)
	}))
	c := ts.dial()
	c.send(get(1, 0, "CONTENT_TYPE=", "HTTPS=on", "PATH_INFO=/x", "QUERY_STRING=", "REMOTE_ADDR=192.0.2.1", "REMOTE_HOST=h", "REMOTE_PORT=1",
		"REQUEST_URI=/x", "SCRIPT_NAME=", "SERVER_PROTOCOL=HTTP/1.1", "HTTP_HOST=h", "HTTP_X=1", "REMOTE_USER=joe", "SERVER_NAME=", "SSL_PROTOCOL=TLSv1.3"))
	want := strings.Repeat("REMOTE_USER=joe SERVER_NAME= SSL_PROTOCOL=TLSv1.3 ", 3) + "true"
	if a := c.answer(1); bodyOf(t, a) != want {
		t.Errorf("got %q, want %q", a.stdout, want)
	}
}

// A goroutine that the handler leaves behind may ask for the variables.
func TestProcessEnvAfterTheHandler(t *testing.T) {
	asked := make(chan map[string]string)
	ts := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		go func() {
			for len(ProcessEnv(r)) > 0 {
			}
			asked <- ProcessEnv(r)
		}()
	}))
	c := ts.dial()
	for range 50 {
		c.send(get(1, 1, "REMOTE_USER=joe"))
		c.answer(1)
		if m := testkit.Receive(t, "the end of the variables", asked); m != nil {
			t.Errorf("got %v", m)
		}
	}
}

// Reads of a body say how the web server gave the request up.
func TestBodyOfARequestThatIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		tell   func(c *client)
		closed bool
	}{
		{"ABORT_REQUEST", func(c *client) { c.send(abort(1)) }, false},
		{"a close", func(c *client) { c.Close() }, true},
		{"a close within a record", func(c *client) { c.send(stdin(1, "1234")[:10]); c.Close() }, true},
		{"a malformed record", func(c *client) { c.send(raw(9, 5, 1, "", 0, 0)) }, true},
	} {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(c.name+" "+network, func(t *testing.T) {
				started := make(chan struct{})
				type end struct{ err, cause error }
				ended := make(chan end, 1)
				ts := serve(t, network, &Server{App: cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(started)
					_, err := io.Copy(io.Discard, r.Body)
					<-r.Context().Done()
					ended <- end{err, context.Cause(r.Context())}
				}))})
				cl := ts.dial()
				cl.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=100"), stdin(1, "part"))
				testkit.Receive(t, "the request", started)
				c.tell(cl)
				e := testkit.Receive(t, "the end of the body", ended)
				for _, err := range []error{e.err, e.cause} {
					if !errors.Is(err, cgi.ErrAborted) || errors.Is(err, ErrConnClosed) != c.closed || errors.Is(err, ErrRequestAborted) == c.closed {
						t.Errorf("got %v", err)
					}
				}
				if c.closed != (e.err == ErrConnClosed) || c.closed == (e.err == ErrRequestAborted) { // as programs compare them
					t.Errorf("Read returned %v", e.err)
				}
				if !c.closed {
					if a := cl.answer(1); a.end.ProtocolStatus != record.RequestComplete {
						t.Errorf("got %+v", a)
					}
				}
			})
		}
	}
}

// A peer that ends its sending within a body may still wait for the answer.
func TestBodyOfAHalfClosedConnection(t *testing.T) {
	ts := serve(t, "unix", &Server{App: cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, err == ErrConnClosed, errors.Is(err, io.ErrUnexpectedEOF), r.Context().Err())
	}))})
	c := ts.dial()
	c.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=100"), stdin(1, "part"))
	c.Conn.(*net.UnixConn).CloseWrite()
	if a := c.answer(1); bodyOf(t, a) != "true true <nil>" {
		t.Errorf("got %q", a.stdout)
	}
}

// What it waits for may be the page for an application that returns the error of its body.
func TestApplicationOfAHalfClosedConnection(t *testing.T) {
	failed := make(chan error, 1)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		failed <- err
		return err
	})})
	c := ts.dial()
	c.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=100"), stdin(1, "part"))
	c.Conn.(*net.UnixConn).CloseWrite()
	if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 500 ") {
		t.Errorf("got %q", a.stdout)
	}
	err := testkit.Receive(t, "the end of the body", failed)
	if !errors.Is(err, ErrConnClosed) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, cgi.ErrAborted) {
		t.Errorf("got %v", err)
	}
}
