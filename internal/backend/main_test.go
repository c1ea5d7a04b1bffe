package backend

import (
	"log/slog"
	"net"
	"testing"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// newPool returns a Pool for listeners, which is closed when the test ends.
func newPool(t *testing.T, l Limits, listeners ...net.Listener) *Pool {
	t.Helper()
	var addresses []string
	for _, l := range listeners {
		addresses = append(addresses, Address{l.Addr().Network(), l.Addr().String()}.String())
	}
	p, err := New(addresses, l, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// connect takes a turn and connects.
func connect(t *testing.T, p *Pool) Turn {
	t.Helper()
	turn, err := p.Enter(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := turn.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return turn
}
