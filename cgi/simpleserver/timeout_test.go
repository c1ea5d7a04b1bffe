package simpleserver

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestRunTime: an application that is over its time limit holds up neither the answer
// nor the end of its connection, but Close waits for it.
func TestRunTime(t *testing.T) {
	for name, request := range map[string]string{
		"no body":     "GET / HTTP/1.0\r\n\r\n",
		"half a body": "POST /?read HTTP/1.0\r\nContent-Length: 10\r\n\r\nhalf",
		"sent":        "GET /?sent HTTP/1.0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Longer(t, 20*time.Millisecond, func(t *testing.T, limit time.Duration) bool {
				return runOver(t, limit, request, name == "sent")
			})
		})
	}
}

// runOver makes one request of an application that runs for longer than the limit. It
// reports whether that was over before the answer had begun which sent asks for.
func runOver(t *testing.T, limit time.Duration, request string, sent bool) (early bool) {
	release, back := make(chan struct{}), make(chan error, 1)
	ts := start(t, &Server{
		Handler: &cgi.Handler{RunTime: limit, Log: slog.New(slog.DiscardHandler)},
		Limits:  cgi.Limits{Linger: 20 * time.Millisecond},
		App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			switch r.Env.Get("QUERY_STRING") {
			case "read":
				io.Copy(io.Discard, r.Body)
			case "sent":
				w.StartResponse("200 OK", nil)
				io.WriteString(w, "part")
				w.Flush()
			}
			<-release
			_, err := w.Write([]byte("late"))
			back <- err
			return err
		}),
	})
	c, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, request)
	b, err := io.ReadAll(c)
	page := err == nil && strings.HasPrefix(string(b), "HTTP/1.0 504 Gateway Timeout\r\n")
	early = sent && page
	switch {
	case early:
	case sent && err == nil:
		t.Errorf("the answer looks complete: %q", b)
	case !sent && !page:
		t.Errorf("got %q, %v", b, err)
	}
	closed := make(chan error, 1)
	go func() { closed <- ts.Close() }()
	close(release)
	if err := <-back; err == nil || !strings.Contains(err.Error(), "(RunTime)") {
		t.Errorf("a late Write returned %v", err)
	}
	<-closed
	return early
}
