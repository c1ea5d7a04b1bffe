package session

import (
	"log/slog"
	"net"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/fastcgi/upstream"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// newApp returns an App for the address of a listener, which is closed when the test ends.
func newApp(t testing.TB, l upstream.Limits, listener net.Listener) *upstream.App {
	a := &upstream.App{Addresses: []string{"unix:" + listener.Addr().String()}, Limits: l, Log: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() { a.Close() })
	return a
}

// newRequest returns a request of a front-end, without a body.
func newRequest(vars ...string) *cgi.Request {
	return cgitest.NewRequest(cgi.NewEnviron(append(vars, "REQUEST_METHOD=GET")...))
}

// A counter is a sink that keeps nothing.
type counter struct{ n int }

func (c *counter) WriteHead(*cgi.Head) error { return nil }
func (c *counter) Flush() error              { return nil }
func (c *counter) Finish(cgi.Outcome) error  { return nil }

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}
