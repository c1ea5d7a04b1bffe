package conform_test

import (
	"io"
	"log/slog"
	"net/http"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/conform"
	"gatehouse/internal/testkit"
)

// unseen are what cannot be observed from outside.
var unseen = map[string]bool{
	"F18": true, "F20c": true, "F26": true, "F27": true, "F30": true, "F32": true,
}

// The server of package fastcgi conforms to every clause, in every role, with a handler
// that reads its body and one that does not, and a long response.
func TestOwnServer(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for name, handle := range map[string]func(w http.ResponseWriter, r *http.Request){
			"echo": func(w http.ResponseWriter, r *http.Request) {
				io.Copy(w, r.Body)
				w.Write(make([]byte, 100<<10))
			},
			"unread": func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 100<<10)) },
		} {
			t.Run(network+" "+name, func(t *testing.T) {
				t.Parallel()
				l := testkit.Listen(t, network)
				log := slog.New(slog.DiscardHandler)
				app := cgi.FromHTTP(http.HandlerFunc(handle))
				s := &fastcgi.Server{App: app, Authorizer: app, Filter: app, Handler: &cgi.Handler{Log: log}, Log: log}
				testkit.Serve(t, s, l, fastcgi.ErrServerClosed)
				target := conform.Target{Network: network, Address: l.Addr().String(), Timeout: testkit.Patience}
				r, err := target.Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, res := range r.Results {
					want := conform.Pass
					if unseen[res.ID] {
						want = conform.NotApplicable
					}
					if res.Outcome != want {
						t.Errorf("%s %s: %s: %s", res.ID, res.Clause, res.Outcome, res.Seen)
					}
				}
			})
		}
	}
}
