package cgi

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestContradictionsAreLoggedOnce: whatever clients send, the log has a line for each of the
// variables that tell who the client is, and their values are not in it.
func TestContradictionsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	h := &Handler{Log: slog.New(slog.NewTextHandler(&log, nil))}
	ask := func(vars ...string) {
		r := &Request{Env: new(Environ)}
		for _, v := range vars {
			name, value, _ := strings.Cut(v, "=")
			if err := r.Env.Add(name, value); err != nil {
				t.Fatal(err)
			}
		}
		serveQuietly(h, r)
	}
	want := func(lines int, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(log.String(), part) {
				t.Errorf("the log has no %q", part)
			}
		}
		if got := strings.Count(log.String(), "\n"); got != lines || strings.Contains(log.String(), "swordfish") {
			t.Errorf("%d lines; want %d\n%s", got, lines, log.String())
		}
		log.Reset()
	}
	ask("REMOTE_USER=swordfish", "REMOTE_USER=swordfish", "OTHER=1", "OTHER=2", "HTTP_X=a", "HTTP_X=b")
	want(0)
	ask("REMOTE_USER=swordfish", "REMOTE_USER=")
	want(1, "level=WARN", "variable=REMOTE_USER", "get it empty", "let the web server send it once")
	for i := range 1000 {
		ask("REMOTE_USER=", fmt.Sprint("REMOTE_USER=", i))
	}
	want(0)
	ask("REMOTE_ADDR=192.0.2.1", "REMOTE_ADDR=192.0.2.2", "AUTH_TYPE=Basic", "AUTH_TYPE=", "REMOTE_IDENT=a", "REMOTE_IDENT=b")
	want(3, "variable=REMOTE_ADDR", "get one of them", "variable=AUTH_TYPE", "variable=REMOTE_IDENT")
	for i := range 1000 {
		name := fmt.Sprint("SSL_CLIENT_", i)
		ask(name+"=a", name+"=b")
	}
	want(1, "variable=SSL_CLIENT_0")
}

// serveQuietly runs an application that answers, for its request alone.
func serveQuietly(h *Handler, r *Request) {
	h.Run(r, new(textSink), AppFunc(func(w ResponseWriter, _ *Request) error {
		return w.StartResponse("204 No Content", nil)
	}))
}
