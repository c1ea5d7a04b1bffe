package fastcgi_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/yookoala/gofast"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/internal/testkit"
)

// countingListener counts the connections that it accepts.
type countingListener struct {
	net.Listener
	accepted atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

// forGofast starts a server and returns its listener, and what makes clients of
// gofast for it, each with a connection of its own.
//
// Such a client does not look at request ids, so that it can only make one request
// after another, and it panics when it is closed in the middle of one.
func forGofast(t *testing.T, network string, s *fastcgi.Server) (*countingListener, func() gofast.Client) {
	t.Helper()
	l := testkit.Listen(t, network)
	listener := &countingListener{Listener: l}
	s.Log = slog.New(slog.DiscardHandler)
	testkit.Serve(t, s, listener, fastcgi.ErrServerClosed)
	factory := gofast.SimpleClientFactory(gofast.SimpleConnFactory(network, l.Addr().String()))
	return listener, func() gofast.Client {
		c, err := factory()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// gofastRequest makes a request in the role of a Responder.
func gofastRequest(method, query, body string) *gofast.Request {
	r := gofast.NewRequest(nil)
	r.Stdin = io.NopCloser(strings.NewReader(body))
	r.Params = map[string]string{
		"REQUEST_METHOD": method, "QUERY_STRING": query, "CONTENT_LENGTH": strconv.Itoa(len(body)),
		"SCRIPT_NAME": "/page", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_X_LONG": strings.Repeat("x", 200),
	}
	return r
}

// do makes a request and returns the answer. It may be called by any goroutine.
func do(t *testing.T, c gofast.Client, r *gofast.Request) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	answer, err := c.Do(r)
	if err != nil {
		t.Error(err)
		return recorder
	}
	var stderr bytes.Buffer
	if err := answer.WriteTo(recorder, &stderr); err != nil {
		t.Error(err)
	}
	// gofast reports errors there, too; the server sends no STDERR.
	if stderr.Len() > 0 {
		t.Errorf("stderr: %q", stderr.String())
	}
	return recorder
}

// bounce answers with the body, or what the query asks for.
var bounce = cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Method", r.Method)
	switch r.URL.RawQuery {
	case "early":
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case "none":
		w.WriteHeader(http.StatusNoContent)
	default:
		io.Copy(w, r.Body)
	}
}))

// TestGofastOneConnection makes one request after another on a connection.
func TestGofastOneConnection(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			listener, client := forGofast(t, network, &fastcgi.Server{App: bounce})
			c := client()
			for _, n := range []int{0, 1, 7, 1000, 70_000, 1 << 20, 3} {
				body := strings.Repeat("0123456789abcdef", n/16+1)[:n]
				for _, x := range []struct {
					query  string
					status int
					body   string
				}{{"", 200, body}, {"early", 413, ""}, {"none", 204, ""}} {
					got := do(t, c, gofastRequest("POST", x.query, body))
					if got.Code != x.status || got.Body.String() != x.body || got.Header().Get("X-Method") != "POST" {
						t.Errorf("%d bytes, %q: status %d, %d bytes, %v; want %d and %d bytes", n, x.query, got.Code, got.Body.Len(), got.Header(), x.status, len(x.body))
					}
				}
			}
			if n := listener.accepted.Load(); n != 1 {
				t.Errorf("%d connections; want 1", n)
			}
		})
	}
}

// TestGofastParallel has several clients at once.
func TestGofastParallel(t *testing.T) {
	_, client := forGofast(t, "unix", &fastcgi.Server{App: bounce})
	var all sync.WaitGroup
	for i := range 8 {
		c := client()
		all.Go(func() {
			for j := range 20 {
				body := strings.Repeat(fmt.Sprint(i, j), 1000*j)
				if got := do(t, c, gofastRequest("PUT", "", body)); got.Code != 200 || got.Body.String() != body {
					t.Errorf("status %d, %d bytes; want 200 and %d bytes", got.Code, got.Body.Len(), len(body))
				}
			}
		})
	}
	all.Wait()
}

// TestGofastRoles asks for all three roles on one connection.
func TestGofastRoles(t *testing.T) {
	_, client := forGofast(t, "unix", &fastcgi.Server{
		App: bounce,
		Authorizer: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			if r.Env.Get("REMOTE_USER") != "alice" {
				return &cgi.StatusError{Code: 403}
			}
			return w.StartResponse("200 OK", []cgi.Field{cgi.Variable("GROUP", "staff")})
		}),
		Filter: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			file, err := io.ReadAll(r.Data)
			if err != nil {
				return err
			}
			if err := w.StartResponse("200 OK", nil); err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "%s, %d bytes", body, len(file))
			return err
		}),
	})
	c := client()
	for range 3 {
		for user, status := range map[string]int{"alice": 200, "mallory": 403} {
			r := gofastRequest("GET", "", "")
			r.Role = gofast.RoleAuthorizer
			delete(r.Params, "CONTENT_LENGTH")
			r.Params["REMOTE_USER"] = user
			got := do(t, c, r)
			if let := got.Header().Get("Variable-GROUP"); got.Code != status || (let == "staff") != (status == 200) {
				t.Errorf("%s: status %d, group %q; want %d", user, got.Code, let, status)
			}
		}
		for _, n := range []int{0, 10, 200_000} {
			r := gofastRequest("POST", "", "the body")
			r.Role = gofast.RoleFilter
			r.Data = io.NopCloser(strings.NewReader(strings.Repeat("f", n)))
			r.Params["FCGI_DATA_LENGTH"] = strconv.Itoa(n)
			r.Params["FCGI_DATA_LAST_MOD"] = "981173106"
			if got := do(t, c, r); got.Code != 200 || got.Body.String() != fmt.Sprintf("the body, %d bytes", n) {
				t.Errorf("filter of %d bytes: status %d, %q", n, got.Code, got.Body)
			}
		}
		if got := do(t, c, gofastRequest("POST", "", "responder")); got.Body.String() != "responder" {
			t.Errorf("got %q", got.Body)
		}
	}
}
