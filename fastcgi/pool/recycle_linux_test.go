package pool

import (
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// successors returns how many processes may serve, and how many of them are spent.
func (a *App) successors() (serve, spent int) {
	a.processes.mu.Lock()
	defer a.processes.mu.Unlock()
	for w := range a.processes.all {
		if w.ready && !w.gone && !w.leaving {
			serve++
			if w.spent {
				spent++
			}
		}
	}
	return serve, spent
}

// TestRecycle: a process is replaced after so many requests, or when it has grown, and never within a request.
func TestRecycle(t *testing.T) {
	replaced := func(a *App) func() bool {
		return func() bool { serve, spent := a.successors(); return serve == 1 && spent == 0 }
	}
	a, log := newApp(t, Limits{Programs: 1, Requests: 3, QueueWait: -1}, "fastcgi")
	for i := range 9 {
		if _, count, _ := result(t, serve(a, "")); count != i%3+1 {
			t.Errorf("request %d is the process's %d.", i, count)
		}
		testkit.Until(t, "its successor", replaced(a))
	}
	b, _ := newApp(t, Limits{Programs: 1, Memory: 48 << 20, QueueWait: -1}, "fastcgi")
	for _, tt := range []struct {
		do    string
		count int
	}{{"", 1}, {"", 2}, {"grow", 3}, {"", 1}, {"grow", 2}, {"", 1}} {
		pid, count, _ := result(t, serve(b, "", "DO="+tt.do))
		if count != tt.count {
			t.Errorf("%q is the process's request %d, want %d", tt.do, count, tt.count)
		}
		if tt.do == "grow" {
			testkit.Until(t, "its end", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
		}
	}
	if log.String() != "" {
		t.Error("it is logged")
	}
}

// TestGrowsInRequest: a process that has grown too large in the midst of a request has the time for
// it, whatever else is looked at meanwhile.
func TestGrowsInRequest(t *testing.T) {
	a, _ := newApp(t, Limits{Programs: 2, Memory: 48 << 20, Idle: time.Millisecond, QueueWait: -1}, "fastcgi")
	l := testkit.Listen(t, "unix")
	done := make(chan int)
	go func() {
		pid, _, _ := result(t, serve(a, "", "DO=growhold", "AT="+l.Addr().String()))
		done <- pid
	}()
	held := accept(t, l)
	ended := func(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }
	for range 2 { // another one is replaced, and ended because it is idle
		other, _, _ := result(t, serve(a, "", "DO=grow"))
		testkit.Until(t, "the end of another one", func() bool { return ended(other) })
	}
	held.Close()
	large := testkit.Receive(t, "the response of the large one", done)
	testkit.Until(t, "its end", func() bool { return ended(large) })
}

// TestIdle: processes are ended that are idle, but for Minimum, which are started by Start.
func TestIdle(t *testing.T) {
	a, _ := newApp(t, Limits{Programs: 4, Minimum: 1, Idle: time.Millisecond, QueueWait: -1}, "fastcgi")
	a.Start()
	count := func() (all, idle int) {
		a.processes.mu.Lock()
		defer a.processes.mu.Unlock()
		return len(a.processes.all), len(a.processes.idle)
	}
	testkit.Until(t, "the first process", func() bool { _, idle := count(); return idle == 1 })
	l := testkit.Listen(t, "unix")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { result(t, serve(a, "", "DO=hold", "AT="+l.Addr().String())) })
	}
	held := []net.Conn{accept(t, l), accept(t, l), accept(t, l)}
	for _, c := range held {
		c.Close()
	}
	all.Wait()
	testkit.Until(t, "the end of two", func() bool { all, idle := count(); return all == 1 && idle == 1 })
}

// TestIdleAfterWork: a process that still works when it has been idle for too long is ended when
// it is free.
func TestIdleAfterWork(t *testing.T) {
	a, log := newApp(t, Limits{Programs: 1, Idle: time.Millisecond}, "fastcgi")
	l := testkit.Listen(t, "unix")
	pid, _, _ := result(t, serve(a, "", "DO=after", "AT="+l.Addr().String()))
	held := accept(t, l)
	testkit.Until(t, "a look at it", func() bool {
		a.processes.mu.Lock()
		defer a.processes.mu.Unlock()
		return time.Until(a.processes.due) > 10*time.Millisecond
	})
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the process that is at work: %v", err)
	}
	held.Close()
	testkit.Until(t, "its end", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	if log.String() != "" {
		t.Error("it is logged")
	}
}
