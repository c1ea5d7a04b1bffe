package upstream

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
	"gatehouse/internal/testkit/peer"
)

// echo responds with the body, and with its length in the header.
var echo = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := w.StartResponse("200 OK", []cgi.Field{{Name: "X-Length", Value: r.Env.Get("CONTENT_LENGTH")}}); err != nil {
		return err
	}
	_, err = w.Write(body)
	return err
})

// TestBodies passes bodies of all kinds on, and back, on connections that are kept and that
// are not.
func TestBodies(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for _, keep := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s/keep=%d", network, keep), func(t *testing.T) {
				a := newApp(t, Limits{Keep: keep}, serve(t, network, echo))
				for _, n := range []int{0, 1, 8 << 10, 8<<10 + 1, 100_000, 3 << 20} {
					for _, known := range []bool{true, false} {
						var body io.Reader = strings.NewReader(peer.Text(n))
						if !known {
							body = io.MultiReader(body)
						}
						got, log := run(t, a, newRequest("POST", body))
						wantOK(t, got, log, peer.Text(n))
						if want := fmt.Sprint(n); n > 0 && got.Field("X-Length") != want {
							t.Errorf("CONTENT_LENGTH %q, want %s", got.Field("X-Length"), want)
						}
					}
				}
			})
		}
	}
}

// A contextSource makes the context of a request.
type contextSource struct{ context.Context }

func (s contextSource) RequestContext() context.Context { return s }

// TestContext: the context of a request is made only when the response takes long, and then
// ends the request.
func TestContext(t *testing.T) {
	slow := make(chan struct{})
	a := newApp(t, Limits{Keep: 1}, serve(t, "unix", cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.Env.Get("QUERY_STRING") == "slow" {
			close(slow)
			<-r.Context().Done()
		}
		return w.StartResponse("200 OK", nil)
	})))
	// However slow the machine is, one of many is served before the context is made.
	if !testkit.Poll(func() bool {
		r := newRequest("GET", nil)
		r.SetContextSource(contextSource{t.Context()})
		got, log := run(t, a, r)
		wantOK(t, got, log, "")
		return !r.HasContext()
	}) {
		t.Error("each small request has made its context")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-slow
		cancel(cgi.ErrShutdown)
	}()
	r := newRequest("GET", nil, "QUERY_STRING=slow")
	r.SetContextSource(contextSource{ctx})
	if got, _ := run(t, a, r); got.Head.Code != 503 {
		t.Errorf("status %d, want 503", got.Head.Code)
	}
}

// TestStatusTruncates: an application that says of a response that it could not finish it is
// believed, and its connection is kept.
func TestStatusTruncates(t *testing.T) {
	for _, truncates := range []bool{false, true} {
		t.Run(fmt.Sprint(truncates), func(t *testing.T) {
			text, connections := peer.Text(100_000), 0
			a := newApp(t, Limits{Keep: 1}, peer.New(t, "unix", func(c *peer.Conn) {
				connections++
				for {
					if _, _, err := c.Receive(); err != nil {
						return
					}
					c.Send(c.Stdout(peer.Head+text), c.End(1, 0))
				}
			}))
			var own testkit.Log
			a.StatusTruncates, a.Log = truncates, own.Logger()
			for range 2 {
				got, log := run(t, a, newRequest("GET", nil))
				want, line := cgi.Complete, "application ended a request with a status"
				if truncates {
					want, line = cgi.Truncated, "it could not finish its response, and ended it with status 1"
				}
				if got.Outcome.End != want || got.Body.String() != text || !strings.Contains(own.String()+log.String(), line) {
					t.Errorf("%v with %d bytes\n%s", got.Outcome, got.Body.Len(), own.String()+log.String())
				}
			}
			if connections != 1 {
				t.Errorf("%d connections", connections)
			}
		})
	}
}
