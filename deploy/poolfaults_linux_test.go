package deploy_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// poolFaults are what a program that is kept does, and what comes of it.
var poolFaults = []struct {
	path   string
	status int
	log    string
}{
	{"/bad/dies", http.StatusBadGateway, "signal: killed"},
	{"/bad/hangs", http.StatusGatewayTimeout, "first_byte of 10s is over"},
	{"/bad/ignores-term", http.StatusGatewayTimeout, "first_byte of 10s is over"},
	{"/bad/leaks", http.StatusBadGateway, "Out of memory"},
	{"/bad/bomb", http.StatusGatewayTimeout, "first_byte of 10s is over"},
	{"/bad/session", http.StatusGatewayTimeout, "first_byte of 10s is over"},
}

// TestPoolFaults: processes that are killed, hang, leak, or fork without end, under load. Each costs
// the request that it has, what it has started is ended with it, and others are served, by the
// same application and by another one.
func TestPoolFaults(t *testing.T) {
	const uid = 54321
	if err := errors.Join(os.MkdirAll("/run/upstream", 0o755), os.Chown("/run/upstream", uid, uid)); err != nil {
		t.Fatal(err)
	}
	install(t, "testdata/pool/faults.pl", "/srv/faults.pl", 0o644)
	install(t, "testdata/pool/faults.toml", "/etc/gatehouse/faults.toml", 0o644)
	log := startLogged(t, "faults", fmt.Sprintf(`exec setpriv --reuid=%d --regid=%[1]d --clear-groups gatehouse serve --config /etc/gatehouse/faults.toml 2>"$LOG"`, uid),
		nil, "/run/upstream/fastcgi.sock")
	startNginx(t, "testdata/upstream/nginx.conf")
	for _, path := range []string{"/good/x", "/bad/x"} {
		wantPage(t, path, "text/plain", "ok")
	}

	var clients, attackers sync.WaitGroup
	stop := make(chan struct{})
	for _, path := range []string{"/good/x", "/good/x", "/bad/x", "/bad/x"} {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				request, err := http.NewRequest("POST", "http://localhost"+path, strings.NewReader("body"))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := fetch(t, request); err != nil || got.body != "ok" {
					t.Errorf("%s: request %d: %v, %d %.100q", path, n, err, got.status, got.body)
					return
				}
			}
		})
	}
	for range 2 {
		for _, f := range poolFaults {
			attackers.Go(func() {
				request, err := http.NewRequest("GET", "http://localhost"+f.path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := fetch(t, request); err != nil || got.status != f.status {
					t.Errorf("%s: %v, %d %.100q, want %d", f.path, err, got.status, got.body, f.status)
				}
			})
		}
		attackers.Wait()
	}
	close(stop)
	clients.Wait()
	for _, f := range poolFaults {
		if !testkit.Poll(func() bool { return strings.Contains(log(), f.log) }) {
			t.Errorf("%s: the log has no %q:\n%s", f.path, f.log, log())
		}
	}
	const kept = 1 + 2 + 8 // gatehouse, and minimum of each application
	testkit.Until(t, "the end of what the programs have started", func() bool { return processesOf(uid) == kept })
}

// processesOf returns how many processes a user has.
func processesOf(uid uint32) (n int) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		var st syscall.Stat_t
		if syscall.Stat(p, &st) == nil && st.Uid == uid {
			n++
		}
	}
	return n
}
