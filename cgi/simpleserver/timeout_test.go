package simpleserver

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
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
			release, back := make(chan struct{}), make(chan error, 1)
			ts := start(t, &Server{
				Handler: &cgi.Handler{RunTime: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)},
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
			switch {
			case name == "sent" && err == nil:
				t.Errorf("the answer looks complete: %q", b)
			case name != "sent" && (err != nil || !strings.HasPrefix(string(b), "HTTP/1.0 504 Gateway Timeout\r\n")):
				t.Errorf("got %q, %v", b, err)
			}
			closed := make(chan error, 1)
			go func() { closed <- ts.Close() }()
			close(release)
			if err := <-back; err == nil || !strings.Contains(err.Error(), "(RunTime)") {
				t.Errorf("a late Write returned %v", err)
			}
			<-closed
		})
	}
}
