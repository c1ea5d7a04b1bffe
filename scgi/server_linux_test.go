package scgi

import (
	"context"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestServerOptions: what concerns connections is as in package fastcgi: the context of
// a connection, the users of a unix socket, and the log as text.
func TestServerOptions(t *testing.T) {
	type key struct{}
	me := uint32(os.Getuid())
	for _, users := range [][]uint32{{me}, {me + 1}} {
		l := testkit.Listen(t, "unix")
		logs := new(testkit.Log)
		s := &Server{
			AllowUsers:  users,
			ErrorLog:    log.New(logs, "app: ", log.Lmsgprefix),
			ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, key{}, "conn") },
			App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				return text(w, r.Context().Value(key{}).(string))
			}),
		}
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		c := testkit.Dial(t, l.Addr())
		c.Write(request(""))
		b, _ := io.ReadAll(c)
		c.Close()
		s.Close()
		<-done
		if users[0] == me {
			wantBody(t, string(b), "conn")
			continue
		}
		if len(b) > 0 {
			t.Errorf("got %q", b)
		}
		oneLine(t, logs, `app: level=WARN msg="peer refused"`, "(allow_users)")
	}
}

func TestNoBaseContext(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	s := &Server{App: hello, BaseContext: func(net.Listener) context.Context { return nil }}
	if err := s.Serve(l); err == nil || !strings.Contains(err.Error(), "BaseContext returned no context") {
		t.Errorf("Serve returned %v", err)
	}
	s.Close()
}
