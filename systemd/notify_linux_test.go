package systemd

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// notifierOf returns the Notifier of a process that m manages.
func notifierOf(t *testing.T, m *testkit.ServiceManager) *Notifier {
	t.Helper()
	w := &world{env: map[string]string{"NOTIFY_SOCKET": m.Path, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}}
	n, err := w.process().Notifier()
	if err != nil {
		t.Fatal(err)
	}
	if len(w.env) > 0 {
		t.Errorf("left in the environment: %v", w.env)
	}
	if n.Watchdog() != 30*time.Second {
		t.Errorf("watchdog of %v; want 30 s", n.Watchdog())
	}
	return n
}

func TestNotify(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "notify"), "@gatehouse-" + filepath.Base(t.TempDir()) + t.Name()} {
		m := testkit.NewServiceManager(t, path)
		n := notifierOf(t, m)
		tests := []struct {
			send func() error
			want string
		}{
			{n.Ready, `READY=1`},
			{n.Reloading, `RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*`},
			{n.Stopping, `STOPPING=1`},
			{func() error { return n.Status("12 active\nREADY=1") }, `STATUS=12 active READY=1`},
			{n.Alive, `WATCHDOG=1`},
			{n.Hung, `WATCHDOG=trigger`},
			{func() error { return n.ExtendTimeout(1500 * time.Millisecond) }, `EXTEND_TIMEOUT_USEC=1500000`},
			{func() error { return n.MainPID(7) }, `MAINPID=7`},
			{func() error { return n.Forget("fastcgi") }, `FDSTOREREMOVE=1\nFDNAME=fastcgi`},
		}
		for _, tt := range tests {
			if err := tt.send(); err != nil {
				t.Errorf("%s: %v", tt.want, err)
				continue
			}
			got, files := m.Receive(t)
			if !regexp.MustCompile("^"+tt.want+"$").MatchString(got) || len(files) > 0 {
				t.Errorf("got %q with %d descriptors; want %s", got, len(files), tt.want)
			}
		}
	}
}

// TestHandOver: another process notifies from then on.
func TestHandOver(t *testing.T) {
	m := testkit.NewServiceManager(t, filepath.Join(t.TempDir(), "notify"))
	n := notifierOf(t, m)
	if err := n.HandOver(7); err != nil {
		t.Fatal(err)
	}
	if err := n.Stopping(); err != nil {
		t.Error(err)
	}
	if err := notifierOf(t, m).Alive(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"MAINPID=7", "WATCHDOG=1"} {
		if got, _ := m.Receive(t); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

// TestMonotonicTime: a time before that of the reload is taken for an old message
// (Type=notify-reload).
func TestMonotonicTime(t *testing.T) {
	m := testkit.NewServiceManager(t, "")
	n := notifierOf(t, m)
	var before, after unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_MONOTONIC, &before), n.Reloading(),
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &after)); err != nil {
		t.Fatal(err)
	}
	got, _ := m.Receive(t)
	usec, err := time.ParseDuration(strings.TrimPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") + "us")
	if err != nil || usec < time.Duration(before.Nano()).Truncate(time.Microsecond) || usec > time.Duration(after.Nano()) {
		t.Errorf("got %q, between %v and %v", got, before, after)
	}
}

func TestStore(t *testing.T) {
	m := testkit.NewServiceManager(t, "")
	n := notifierOf(t, m)
	_, f := listen(t, "unix")
	_, g := listen(t, "tcp")
	if err := n.Store("fastcgi", f, g); err != nil {
		t.Fatal(err)
	}
	got, files := m.Receive(t)
	if got != "FDSTORE=1\nFDNAME=fastcgi" || len(files) != 2 {
		t.Fatalf("got %q with %d descriptors", got, len(files))
	}
	for i, network := range []string{"unix", "tcp"} {
		s, err := Inspect(int(files[i].Fd()))
		if s != (Socket{Listening, network}) || err != nil {
			t.Errorf("descriptor %d: got %+v, %v; want a listening socket of %s", i, s, err, network)
		}
	}
	for _, name := range []string{"", "a:b", "a\nb", strings.Repeat("n", 256)} {
		if n.Store(name, f) == nil || n.Forget(name) == nil {
			t.Errorf("name %q: no error", name)
		}
	}
	if n.Store("none") == nil {
		t.Error("no descriptors: no error")
	}
}

func TestBarrier(t *testing.T) {
	m := testkit.NewServiceManager(t, "")
	n := notifierOf(t, m)
	done := make(chan error, 1)
	go func() { done <- n.Barrier(context.Background()) }()
	got, files := m.Receive(t)
	if got != "BARRIER=1" || len(files) != 1 {
		t.Fatalf("got %q with %d descriptors", got, len(files))
	}
	select {
	case err := <-done:
		t.Fatalf("the barrier did not wait: %v", err)
	default:
	}
	files[0].Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Barrier(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want the error of the context", err)
	}
}

// TestNobodyReads: a service manager whose queue is full does not block the process.
func TestNobodyReads(t *testing.T) {
	m := testkit.NewServiceManager(t, "")
	n := notifierOf(t, m)
	var err error
	for range 10_000 { // more than max_dgram_qlen
		if err = n.Alive(); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "nobody read") {
		t.Errorf("got %v; want that nobody read", err)
	}
}

func TestNotifierOf(t *testing.T) {
	tests := []struct {
		env     map[string]string
		watches time.Duration
		none    bool
		err     string
	}{
		{env: map[string]string{}, none: true},
		{env: map[string]string{"NOTIFY_SOCKET": ""}, none: true},
		{env: map[string]string{"WATCHDOG_USEC": "1000"}, none: true},
		{env: map[string]string{"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "1500"}, watches: 1500 * time.Microsecond},
		{env: map[string]string{"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "1500", "WATCHDOG_PID": "43"}},
		{env: map[string]string{"NOTIFY_SOCKET": "run/n"}, err: `NOTIFY_SOCKET is "run/n": it must be an absolute path, or begin with @`},
		{env: map[string]string{"NOTIFY_SOCKET": "@"}, err: `NOTIFY_SOCKET is "@": it must be an absolute path, or begin with @`},
		{env: map[string]string{"NOTIFY_SOCKET": "vsock:2:1"}, err: `NOTIFY_SOCKET is "vsock:2:1": it must be an absolute path, or begin with @`},
		{env: map[string]string{"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"}, err: `WATCHDOG_USEC is "0", not a number of microseconds`},
		{env: map[string]string{"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "9223372036854775807"}, err: `WATCHDOG_USEC is "9223372036854775807", not a number of microseconds`},
		{env: map[string]string{"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "x"}, err: `WATCHDOG_PID is "x", not the id of a process`},
	}
	for _, tt := range tests {
		w := &world{env: tt.env}
		n, err := w.process().Notifier()
		switch {
		case tt.err != "":
			if err == nil || err.Error() != tt.err {
				t.Errorf("got %v; want %s", err, tt.err)
			}
		case err != nil || (n == nil) != tt.none || n.Watchdog() != tt.watches:
			t.Errorf("%v: got %+v, %v", tt.env, n, err)
		}
		if len(w.env) > 0 {
			t.Errorf("left in the environment: %v", w.env)
		}
	}
}

// TestNoServiceManager: without one, nothing is sent, and nothing fails.
func TestNoServiceManager(t *testing.T) {
	var n *Notifier
	if err := errors.Join(n.Ready(), n.Reloading(), n.Status("s"), n.Barrier(t.Context())); err != nil || n.Watchdog() != 0 {
		t.Errorf("got %v", err)
	}
	gone := &Notifier{address: &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "gone")}}
	if err := gone.Ready(); err == nil || !strings.Contains(err.Error(), "NOTIFY_SOCKET") {
		t.Errorf("got %v; want an error that names NOTIFY_SOCKET", err)
	}
}
