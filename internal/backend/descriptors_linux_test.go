package backend

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestNoDescriptors: where this process has no descriptor for a connection, the response is 503
// with the remedy, and no address is to blame for it.
func TestNoDescriptors(t *testing.T) {
	if !testkit.Alone(t, nil) {
		return
	}
	p := newPool(t, Limits{}, testkit.Listen(t, "unix"), testkit.Listen(t, "tcp"))
	turn, err := p.Enter(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer turn.Leave()
	var old unix.Rlimit
	if err := errors.Join(unix.Getrlimit(unix.RLIMIT_NOFILE, &old), unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: old.Max})); err != nil {
		t.Fatal(err)
	}
	err = turn.Connect(t.Context())
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	var se *cgi.StatusError
	if !errors.As(err, &se) || se.Code != http.StatusServiceUnavailable || se.RetryAfter <= 0 ||
		!errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "LimitNOFILE=") {
		t.Errorf("Connect = %v; want 503 with the remedy", err)
	}
	for _, target := range p.targets {
		if target.failures > 0 {
			t.Errorf("%s counts %d failures", target.name, target.failures)
		}
	}
}

// TestDescriptors counts the connections in use, each with its pipe, and the idle ones of each
// address.
func TestDescriptors(t *testing.T) {
	for want, l := range map[int]Limits{3 * 128: {}, 3*10 + 2*3: {Connections: 10, Keep: 3}, 1<<31 - 1: {Connections: -1, Keep: -1}} {
		if got := newPool(t, l, testkit.Listen(t, "unix"), testkit.Listen(t, "unix")).Descriptors(); got != want {
			t.Errorf("%+v: %d descriptors, want %d", l, got, want)
		}
	}
}
