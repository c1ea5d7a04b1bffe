package testkit

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// Listen listens on a unix socket in a directory of its own ("unix"), or on a port of
// 127.0.0.1 ("tcp"), until the test ends.
func Listen(t testing.TB, network string) net.Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Dial connects to a, and closes the connection when the test ends.
func Dial(t testing.TB, a net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Pair returns the two ends of a connection: one that has connected, and one that was
// accepted. They are closed when the test ends.
func Pair(t testing.TB, network string) (near, far net.Conn) {
	t.Helper()
	l := Listen(t, network)
	near = Dial(t, l.Addr())
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

// File returns another descriptor of a listener or a connection, and closes it when
// the test ends.
func File(t testing.TB, socket any) *os.File {
	t.Helper()
	f, err := socket.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
