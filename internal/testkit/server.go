package testkit

import (
	"errors"
	"net"
	"testing"
)

// A Server serves a listener until it is closed.
type Server interface {
	Serve(net.Listener) error
	Close() error
}

// Serve has s serve l until the test ends. Then it closes s, and Serve must return the
// error closed.
func Serve(t testing.TB, s Server, l net.Listener, closed error) {
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := Receive(t, "the end of Serve", served); !errors.Is(err, closed) {
			t.Errorf("Serve returned %v, want %v", err, closed)
		}
	})
}
