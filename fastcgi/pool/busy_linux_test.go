package pool

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// TestBusyBehindResponse: a process that still works behind its response gets no request, neither while
// another can be had nor when all others are busy.
func TestBusyBehindResponse(t *testing.T) {
	l := Limits{Programs: 2, QueueWait: -1}
	t.Run("listening", func(t *testing.T) {
		a, _ := newApp(t, l, "fastcgi")
		testBusyBehindResponse(t, a)
	})
	t.Run("paired", func(t *testing.T) {
		a, _ := newPaired(t, l)
		testBusyBehindResponse(t, a)
	})
}

// testBusyBehindResponse is TestBusyBehindResponse of an application with two processes.
func testBusyBehindResponse(t *testing.T, a *App) {
	l := testkit.Listen(t, "unix")
	busy, _, _ := result(t, serve(a, "", "DO=after", "AT="+l.Addr().String()))
	held := accept(t, l)
	for range 5 {
		if pid, _, _ := result(t, serve(a, "")); pid == busy {
			t.Error("a process that is at work got a request")
		}
	}
	second, _, _ := result(t, serve(a, "", "DO=after", "AT="+l.Addr().String()))
	accept(t, l)
	done := make(chan int)
	go func() {
		pid, _, _ := result(t, serve(a, ""))
		done <- pid
	}()
	testkit.Until(t, "a request that waits", func() bool {
		a.processes.mu.Lock()
		defer a.processes.mu.Unlock()
		return a.processes.waiting == 1
	})
	held.Close()
	if pid := testkit.Receive(t, "the request that waits", done); pid != busy || pid == second {
		t.Errorf("process %d, want %d", pid, busy)
	}
}

// TestQueueWait: a request for a pool whose only process works behind its response ends by the limit.
func TestQueueWait(t *testing.T) {
	a, _ := newApp(t, Limits{Programs: 1, QueueWait: 20 * time.Millisecond}, "fastcgi")
	l := testkit.Listen(t, "unix")
	testkit.Until(t, "the first start", func() bool { return serve(a, "").Head.Code == 200 })
	testkit.Until(t, "a process that works", func() bool { return serve(a, "", "DO=after", "AT="+l.Addr().String()).Head.Code == 200 })
	accept(t, l)
	got := serve(a, "")
	if got.Head.Code != 503 || got.Field("Retry-After") == "" {
		t.Errorf("%v", got)
	}
}

// TestLimits: a process that exceeds a limit of time is terminated, and the response is 504.
func TestLimits(t *testing.T) {
	l := testkit.Listen(t, "unix")
	for _, tt := range []struct {
		name   string
		do     string
		limits Limits
	}{
		{"first_byte", "hold", Limits{FirstByte: 50 * time.Millisecond}},
		{"run", "hold", Limits{Run: 50 * time.Millisecond}},
		{"cpu", "burn", Limits{CPU: 50 * time.Millisecond}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.limits.Programs = 1
			a, log := newApp(t, tt.limits, "fastcgi")
			got := serve(a, "", "DO="+tt.do, "AT="+l.Addr().String())
			if got.Head.Code != 504 {
				t.Errorf("%v", got)
			}
			testkit.Until(t, "the log", func() bool {
				return strings.Contains(log.String(), tt.name) && strings.Contains(log.String(), "requests=1")
			})
		})
	}
}

// TestStaysBusy: a process that works for too long behind its response is terminated.
func TestStaysBusy(t *testing.T) {
	l := testkit.Listen(t, "unix")
	testkit.Longer(t, 50*time.Millisecond, func(t *testing.T, limit time.Duration) (early bool) {
		a, log := newApp(t, Limits{Programs: 1, Silence: limit}, "fastcgi")
		if got := serve(a, "", "DO=after", "AT="+l.Addr().String()); got.Head.Code == 504 {
			return true
		}
		testkit.Until(t, "its end", func() bool { return strings.Contains(log.String(), "still at work") })
		got := serve(a, "")
		if got.Head.Code == 504 {
			return true
		}
		result(t, got)
		return false
	})
}
