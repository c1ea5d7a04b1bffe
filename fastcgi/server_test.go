package fastcgi

import (
	"context"
	"errors"
	"log"
	"net"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestServerContexts: a request's context has what BaseContext and ConnContext put
// there, which are called once for the listener and once for each connection.
func TestServerContexts(t *testing.T) {
	type key string
	var bases, conns int
	s := &Server{
		BaseContext: func(l net.Listener) context.Context {
			bases++
			return context.WithValue(context.Background(), key("base"), l.Addr().Network())
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			conns++
			return context.WithValue(ctx, key("conn"), c.LocalAddr().Network())
		},
	}
	s.App = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		ctx := r.Context()
		w.StartResponse("200 OK", nil)
		_, err := w.Write([]byte(ctx.Value(key("base")).(string) + " " + ctx.Value(key("conn")).(string)))
		return err
	})
	ts := serve(t, "tcp", s)
	for range 2 {
		c := ts.dial()
		for range 2 {
			c.send(get(1, 1))
			if got := bodyOf(t, c.answer(1)); got != "tcp tcp" {
				t.Errorf("got %q", got)
			}
		}
		c.Close()
	}
	ts.Close()
	if bases != 1 || conns != 2 {
		t.Errorf("BaseContext was called %d times, ConnContext %d times; want 1 and 2", bases, conns)
	}
}

func TestServerWithoutContext(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	s := &Server{App: hello, BaseContext: func(net.Listener) context.Context { return nil }}
	if err := s.Serve(l); err == nil || !strings.Contains(err.Error(), "BaseContext returned no context") {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
	s.Close()

	ts := serve(t, "tcp", &Server{App: hello, ConnContext: func(context.Context, net.Conn) context.Context { return nil }})
	ts.dial().closed()
	ts.Close()
	if log := ts.logs.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "ConnContext returned no context") {
		t.Errorf("want one log line:\n%s", log)
	}
}

// TestErrorLog: the lines of the connections and of the requests go there where there
// is no Log.
func TestErrorLog(t *testing.T) {
	logs := new(testkit.Log)
	l := testkit.Listen(t, "tcp")
	s := &Server{ErrorLog: log.New(logs, "app: ", log.Lmsgprefix), App: cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error {
		return errors.New("gone wrong")
	})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	ts := &testServer{Server: s, t: t, addr: l.Addr()}
	c := ts.dial()
	c.send(get(1, 1))
	c.answer(1)
	c.send([]byte("GET / HTTP/1.1\r\n\r\n"))
	c.closed()
	s.Close()
	<-done
	lines := strings.Split(strings.TrimSuffix(logs.String(), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `app: level=ERROR msg="request failed"`) || !strings.HasSuffix(lines[0], `error="gone wrong"`) ||
		!strings.HasPrefix(lines[1], `app: level=WARN msg="connection closed: malformed FastCGI" peer=127.0.0.1:`) {
		t.Errorf("got %q", lines)
	}
}
