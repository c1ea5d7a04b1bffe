package pool

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/process"
	"gatehouse/internal/testkit"
)

// TestCrash: a process that ends costs the request that it has, and no other: 502, or a
// truncated response.
func TestCrash(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	os.WriteFile(count, nil, 0o600)
	a, log := newApp(t, Limits{Programs: 2}, "fastcgi", "POOL_COUNT="+count)
	for i, do := range []string{"", "crash", "", "break", ""} {
		got := serve(a, "body", "DO="+do, fmt.Sprintf("N=%d", i))
		switch do {
		case "crash":
			if got.Head.Code != 502 {
				t.Errorf("%v", got)
			}
		case "break":
			if got.Head.Code != 200 || got.Outcome.End != cgi.Truncated {
				t.Errorf("%v", got.Outcome)
			}
		default:
			result(t, got)
		}
	}
	if text, _ := os.ReadFile(count); string(text) != "0\n1\n2\n3\n4\n" {
		t.Errorf("served:\n%s", text)
	}
	testkit.Until(t, "the log of both ends", func() bool { return strings.Count(log.String(), "signal: killed") == 2 })
}

// TestOrphan: a child of a process that has ended, which holds its connection, does not hold up
// the request.
func TestOrphan(t *testing.T) {
	l := testkit.Listen(t, "unix")
	a, log := newApp(t, Limits{}, "fastcgi")
	r := cgitest.NewRequest(cgi.NewEnviron("REQUEST_METHOD=GET", "DO=orphan", "AT="+l.Addr().String()))
	var got cgitest.Recorder
	(&cgi.Handler{Log: log.Logger()}).Run(r, &got, a)
	if got.Head.Code != 502 || !strings.Contains(log.String(), "a child that it has left holds the connection open") {
		t.Errorf("%v", got)
	}
	held, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	held.Close()
	result(t, serve(a, ""))
}

// TestOwnEnd: a process that ends by itself after some requests costs none, and none is served twice.
func TestOwnEnd(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	os.WriteFile(count, nil, 0o600)
	a, _ := newApp(t, Limits{Programs: 2, QueueWait: -1}, "fastcgi", "POOL_LAST=7", "POOL_COUNT="+count)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 25 {
				if _, _, rest := result(t, serve(a, "body", fmt.Sprintf("N=%d.%d", i, j))); rest != "4 " {
					t.Errorf("%q", rest)
				}
			}
		})
	}
	all.Wait()
	text, _ := os.ReadFile(count)
	seen := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if seen[line] {
			t.Errorf("served twice: %s", line)
		}
		seen[line] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d of 100 served", len(seen))
	}
}

// TestClosesConnection: a program that keeps no connection is served as well, by the same process.
func TestClosesConnection(t *testing.T) {
	a, _ := newApp(t, Limits{Programs: 1, QueueWait: -1}, "fastcgi")
	for i := 1; i <= 5; i++ {
		if _, count, _ := result(t, serve(a, "", "DO=close")); count != i {
			t.Errorf("request %d is the process's %d.", i, count)
		}
	}
}

// TestClientLeaves: a process whose client has left goes on, and gets no request until it has ended that.
func TestClientLeaves(t *testing.T) {
	a, log := newApp(t, Limits{Programs: 2, QueueWait: -1}, "fastcgi")
	l := testkit.Listen(t, "unix")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		serveContext(ctx, a, "", "DO=hold", "AT="+l.Addr().String())
	}()
	held := accept(t, l)
	cancel(cgi.ErrAborted)
	testkit.Receive(t, "the end of the request", done)
	other, _, _ := result(t, serve(a, ""))
	held.Close()
	testkit.Until(t, "the process to be free", func() bool {
		pid, count, _ := result(t, serve(a, ""))
		return pid != other && count == 2 || func() bool { // the one used last comes first
			a.processes.mu.Lock()
			defer a.processes.mu.Unlock()
			free, _ := a.processes.idle[0].link.free(a.processes.idle[0].conn)
			return len(a.processes.idle) == 2 && free
		}()
	})
	if strings.Contains(log.String(), "has ended") {
		t.Error("a process has ended")
	}
}

// TestNothingLeft: no descriptor is left behind, no file, and no process that ignores TERM.
func TestNothingLeft(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	fds := testkit.Descriptors(t)
	reaper, err := process.NewReaper()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := newApp(t, Limits{Programs: 3, Grace: -1}, "fastcgi")
	a.Reaper = reaper
	l := testkit.Listen(t, "unix")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { serve(a, "", "DO=hold", "AT="+l.Addr().String()) })
	}
	held := []net.Conn{accept(t, l), accept(t, l), accept(t, l)}
	if names, _ := os.ReadDir(dir); len(names) > 0 {
		t.Errorf("left while they run: %v", names)
	}
	a.Close()
	all.Wait()
	for _, c := range held {
		c.SetReadDeadline(time.Now().Add(testkit.Patience))
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a process lives: %v", err)
		}
		c.Close()
	}
	l.Close()
	reaper.Close()
	if now := testkit.Descriptors(t); now > fds {
		t.Errorf("%d descriptors, before %d", now, fds)
	}
}
