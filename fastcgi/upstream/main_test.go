package upstream

import (
	"io"
	"log/slog"
	"net"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/fastcgi"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// newApp returns an App for the addresses of listeners, which is closed when the test ends.
func newApp(t testing.TB, l Limits, listeners ...net.Listener) *App {
	t.Helper()
	a := &App{Limits: l, Log: slog.New(slog.DiscardHandler)}
	for _, l := range listeners {
		a.Addresses = append(a.Addresses, address(l))
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func address(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return l.Addr().String()
}

// serve serves an App by FastCGI.
func serve(t testing.TB, network string, app cgi.App) net.Listener {
	t.Helper()
	l := testkit.Listen(t, network)
	testkit.Serve(t, &fastcgi.Server{App: app, Authorizer: app, Filter: app, Log: slog.New(slog.DiscardHandler)}, l, fastcgi.ErrServerClosed)
	return l
}

// A client is a request with its body, which is of unknown length if the body has no Len.
func newRequest(method string, body io.Reader, vars ...string) *cgi.Request {
	r := cgitest.NewRequest(cgi.NewEnviron(append(vars, "REQUEST_METHOD="+method)...))
	if body == nil {
		return r
	}
	r.Body, r.ContentLength = body, -1
	if known, ok := body.(interface{ Len() int }); ok {
		r.ContentLength = int64(known.Len())
	}
	return r
}

// run runs an App for a request.
func run(t testing.TB, app cgi.App, r *cgi.Request) (*cgitest.Recorder, *testkit.Log) {
	t.Helper()
	var got cgitest.Recorder
	var log testkit.Log
	(&cgi.Handler{Log: log.Logger()}).Run(r, &got, app)
	return &got, &log
}

// wantOK fails the test unless the response is complete, with that body.
func wantOK(t testing.TB, got *cgitest.Recorder, log *testkit.Log, body string) {
	t.Helper()
	if got.Head.Code != 200 || got.Body.String() != body || got.Outcome.End != cgi.Complete {
		t.Errorf("status %d, %d bytes %.60q, %v; want %d bytes %.60q\n%s", got.Head.Code, got.Body.Len(), got.Body.String(), got.Outcome.End, len(body), body, log)
	}
}
