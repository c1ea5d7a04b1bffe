package scgi

import (
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestRunTime: an application that is over its time limit holds up neither the answer
// nor the end of its connection, but Close waits for it.
func TestRunTime(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		for name, tt := range map[string]struct {
			request []byte
			sent    bool // the answer has begun
		}{
			"no body":     {request("", "QUERY_STRING="), false},
			"unread body": {request(strings.Repeat("x", 300_000)), false},
			"half a body": {append(head("CONTENT_LENGTH=10", "SCGI=1", "QUERY_STRING=read"), "half"...), false},
			"sent":        {request("", "QUERY_STRING=sent"), true},
		} {
			t.Run(name, func(t *testing.T) {
				release, back := make(chan struct{}), make(chan error, 1)
				s := &Server{Handler: &cgi.Handler{RunTime: 20 * time.Millisecond}, Limits: cgi.Limits{Linger: 50 * time.Millisecond}}
				var log testkit.Log
				s.Handler.Log = log.Logger()
				s.App = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
					switch r.Env.Get("QUERY_STRING") {
					case "read":
						io.Copy(io.Discard, r.Body)
					case "sent":
						w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Length", Value: "10"}})
						io.WriteString(w, "part")
						w.Flush()
					}
					<-release
					_, err := w.Write([]byte("late"))
					back <- err
					return err
				})
				srv := serve(t, network, s)
				c := srv.dial(t)
				c.SetDeadline(time.Now().Add(testkit.Patience))
				c.send(tt.request)
				if name == "half a body" && network == "unix" {
					c.closeWrite()
				}
				b, err := io.ReadAll(c)
				switch {
				case tt.sent && network == "tcp" && err == nil, tt.sent && !strings.HasSuffix(string(b), "part"):
					t.Errorf("the answer looks complete: %q, %v", b, err)
				case !tt.sent && err != nil:
					t.Errorf("%v after %q", err, b)
				case !tt.sent:
					wantStatus(t, string(b), "504 Gateway Timeout")
				}
				closed := make(chan error, 1)
				go func() { closed <- srv.Close() }()
				close(release)
				if err := testkit.Receive(t, "the return of the application", back); err == nil || !strings.Contains(err.Error(), "(RunTime)") {
					t.Errorf("a late Write returned %v", err)
				}
				testkit.Receive(t, "the end of Close", closed)
				oneLine(t, &log, "(RunTime)")
			})
		}
	})
}
