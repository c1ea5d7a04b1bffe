package fastcgi

import (
	"io"
	"testing"

	"gatehouse/internal/frontend"
	"gatehouse/internal/testkit"
)

// TestDrained: in a drain, a connection that is idle is at its end if nothing has come on
// it, neither into its socket nor into its buffer, and if it has had a request.
func TestDrained(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	if err := ts.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	near, far := testkit.Pair(t, "unix")
	c := &conn{srv: ts.Server, sock: frontend.NewSocket(far)}
	c.in.sock = c.sock
	check := func(when string, want bool) {
		t.Helper()
		if c.drained() != want {
			t.Errorf("%s: drained is %v", when, !want)
		}
	}
	check("before the first request", false)
	c.progress.served = 1
	check("after it", true)
	if _, err := io.WriteString(near, "x"); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "a byte has come", func() bool { return c.sock.Queued() == 1 })
	check("with a byte in the socket", false)
	if err := c.in.fill(); err != nil {
		t.Fatal(err)
	}
	check("with a byte in the buffer", false)
	c.in.r = c.in.w
	check("with the byte taken", true)
	c.in.open = true
	check("within a record", false)
}
