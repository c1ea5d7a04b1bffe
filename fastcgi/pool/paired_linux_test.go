package pool

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/nowait"
	"gatehouse/internal/testkit"
)

// newPaired returns an App of the test's own paired program.
func newPaired(t testing.TB, l Limits, env ...string) (*App, *testkit.Log) {
	a, log := newApp(t, l, "paired", env...)
	a.Paired, a.Preamble, a.Name = true, []byte(testPreamble), "the program"
	return a, log
}

// TestPaired: a paired process serves one request after the other, and ends when its connection does.
func TestPaired(t *testing.T) {
	a, log := newPaired(t, Limits{Programs: 2, QueueWait: -1}, "X=a")
	first := 0
	for i, do := range []string{"", "behind", "", "after", ""} {
		pid, count, rest := result(t, serve(a, strings.Repeat("b", i*5000), "ENV=X", "DO="+do))
		if first == 0 {
			first = pid
		}
		if want := fmt.Sprint(i*5000, " a"); pid != first || count != i+1 || rest != want {
			t.Errorf("request %d: process %d, count %d, %q, want %q", i, pid, count, rest, want)
		}
	}
	a.Close()
	if err := syscall.Kill(first, 0); err != syscall.ESRCH {
		t.Errorf("the process lives: %v", err)
	}
	if log.String() != "" {
		t.Error("it is logged")
	}
}

// TestPairedClientLeaves: a process whose client has left ends that request, and serves the next.
func TestPairedClientLeaves(t *testing.T) {
	a, log := newPaired(t, Limits{Programs: 1, QueueWait: -1})
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
	next := make(chan int)
	go func() {
		_, count, _ := result(t, serve(a, ""))
		next <- count
	}()
	held.Close()
	if count := testkit.Receive(t, "the next response", next); count != 2 {
		t.Errorf("request %d", count)
	}
	if log.String() != "" {
		t.Error("it is logged")
	}
}

// quiet reports whether nothing has come from the first process that is idle.
func (a *App) quiet() (quiet bool) {
	a.processes.mu.Lock()
	defer a.processes.mu.Unlock()
	a.processes.idle[0].conn.raw.Control(func(fd uintptr) { quiet = nowait.Quiet(fd) })
	return quiet
}

// TestPairedFailures: what a process does wrong costs its own request at most, is logged, and
// another one takes its place.
func TestPairedFailures(t *testing.T) {
	for _, tt := range []struct {
		do   string
		code int
		log  string
	}{
		{"crash", 502, "signal: killed"},
		{"crashclose", 200, "signal: killed"},
		{"crashidle", 200, "signal: killed"},
		{"garbage", 502, "record version is not 1"},
		{"otherid", 502, "no such request"},
		{"twice", 200, "more management records than it had requests"},
		{"refree", 200, "more management records than it had requests"},
		{"noend", 504, "silence of "},
	} {
		t.Run(tt.do, func(t *testing.T) {
			testkit.Longer(t, 50*time.Millisecond, func(t *testing.T, limit time.Duration) (early bool) {
				l := Limits{Programs: 1, QueueWait: -1, Grace: -1}
				if tt.do == "noend" {
					l.Silence = limit
				}
				a, log := newPaired(t, l)
				gate := testkit.Listen(t, "unix")
				first := serve(a, "")
				if early = first.Head.Code == 504; early {
					return early
				}
				before, _, _ := result(t, first)
				if got := serve(a, "", "DO="+tt.do, "AT="+gate.Addr().String()); got.Head.Code != tt.code && !(tt.do == "noend" && got.Outcome.End == cgi.Truncated) {
					t.Errorf("%v, %v", got, got.Outcome)
				}
				if tt.do == "refree" { // which is seen when it is used again
					accept(t, gate).Close()
					testkit.Until(t, "the record", func() bool { return !a.quiet() })
					result(t, serve(a, ""))
				}
				testkit.Until(t, "the log", func() bool { return strings.Contains(log.String(), tt.log) })
				last := serve(a, "")
				if early = last.Head.Code == 504; early {
					return early
				}
				if after, count, _ := result(t, last); after == before || count != 1 {
					t.Errorf("process %d, count %d", after, count)
				}
				if n := strings.Count(log.String(), "has ended"); n != 1 {
					t.Errorf("%d ends are logged", n)
				}
				return false
			})
		})
	}
}
