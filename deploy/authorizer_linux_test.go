package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
)

// guard is an Authorizer that does what the query says.
var guard = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	if r.Role != cgi.Authorizer {
		return fmt.Errorf("the role is %v; want an authorizer", r.Role)
	}
	switch r.Env.Get("QUERY_STRING") {
	case "page=variable&n=1":
		return w.StartResponse("200 OK", []cgi.Field{cgi.Variable("GUARD", "let in")})
	case "page=variable&n=2":
		if err := w.StartResponse("403 Forbidden", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err := w.Write([]byte("no entry\n"))
		return err
	}
	return errors.New("the test's authorizer fails")
})

// serveGuard serves guard as mod_fcgid starts it.
func serveGuard() error {
	l, err := net.FileListener(os.Stdin)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := &fastcgi.Server{Authorizer: guard}
	ended := make(chan error, 1)
	context.AfterFunc(ctx, func() { ended <- s.Shutdown(context.Background()) })
	if err := s.Serve(l); !errors.Is(err, fastcgi.ErrServerClosed) {
		return err
	}
	return <-ended
}

// TestAuthorizer: lighttpd and mod_fcgid ask an Authorizer, let in whom it lets in,
// with the variable that it sets, and nobody else.
func TestAuthorizer(t *testing.T) {
	startExercise(t, newExercise(), exerciseSocket, exercisePort)
	for _, f := range []struct {
		front
		denied int    // the status that the client gets
		text   string // how the page begins that comes with it
	}{
		{front{"lighttpd", startLighttpd, "testdata/fastcgi/authorizer-lighttpd.conf"}, http.StatusForbidden, "no entry\n"},
		// It has an answer of its own, whatever the Authorizer says.
		{front{"mod_fcgid", startGuard, "testdata/fastcgi/authorizer-apache.conf"}, http.StatusUnauthorized, "<!DOCTYPE"},
	} {
		t.Run(f.name, func(t *testing.T) {
			f.start(t, f.file)
			for range 10 {
				if got := exercisePage(t, "GET", "/guarded", "variable", 1, ""); got.status != http.StatusOK || got.body != "let in" {
					t.Errorf("status %d, body %q; want 200 and what the authorizer says", got.status, got.body)
				}
				if got := exercisePage(t, "GET", "/guarded", "variable", 2, ""); got.status != f.denied || !strings.HasPrefix(got.body, f.text) {
					t.Errorf("status %d, body %q; want %d and %q", got.status, got.body, f.denied, f.text)
				}
				if got := exercisePage(t, "GET", "/guarded", "variable", 3, ""); got.status < 400 {
					t.Errorf("status %d, body %q; want an error", got.status, got.body)
				}
			}
		})
	}
}

func startGuard(t *testing.T, file string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	install(t, self, "/usr/local/lib/fcgi-bin/guard", 0o755)
	startFcgidApache(t, file)
}
