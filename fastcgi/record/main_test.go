package record

import (
	"testing"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// mustPanic fails t unless f panics.
func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}
