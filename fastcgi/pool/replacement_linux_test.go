package pool

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// heirs returns how many processes have a successor that starts, or is ready.
func (a *App) heirs() (n int) {
	a.processes.mu.Lock()
	defer a.processes.mu.Unlock()
	for w := range a.processes.all {
		if w.heir != nil {
			n++
		}
	}
	return n
}

// TestSuccessorFirst: a process that is spent serves until its successor is ready.
func TestSuccessorFirst(t *testing.T) {
	l := testkit.Listen(t, "unix")
	a, log := newPaired(t, Limits{Programs: 1, Requests: 2, QueueWait: -1}, "POOL_AT="+l.Addr().String())
	a.Prepare()
	go a.processes.begin(t.Context(), 1)
	accept(t, l).Close()
	first, _, _ := result(t, serve(a, ""))
	result(t, serve(a, ""))
	gate := accept(t, l)
	for i := range 3 {
		if pid, count, _ := result(t, serve(a, "")); pid != first || count != i+3 {
			t.Errorf("process %d, count %d", pid, count)
		}
	}
	gate.Close()
	testkit.Until(t, "the successor", func() bool { serve, spent := a.successors(); return serve == 1 && spent == 0 })
	if pid, count, _ := result(t, serve(a, "")); pid == first || count != 1 {
		t.Errorf("process %d, count %d", pid, count)
	}
	testkit.Until(t, "the end of the first", func() bool { return syscall.Kill(first, 0) == syscall.ESRCH })
	if log.String() != "" {
		t.Error("it is logged")
	}
}

// TestReplacedInTurns: of processes that are all spent at once, a quarter is replaced at a time, and
// as many as before serve throughout.
func TestReplacedInTurns(t *testing.T) {
	l := testkit.Listen(t, "unix")
	a, _ := newPaired(t, Limits{Programs: 8, Minimum: 8, Age: time.Second, QueueWait: -1}, "POOL_AT="+l.Addr().String())
	a.Start()
	for range 8 {
		accept(t, l).Close()
	}
	testkit.Until(t, "the processes", func() bool { serve, _ := a.successors(); return serve == 8 })
	testkit.Until(t, "their age", func() bool { _, spent := a.successors(); return spent == 8 })
	for range 3 {
		gates := []net.Conn{accept(t, l), accept(t, l)}
		if n := a.heirs(); n != 2 {
			t.Errorf("%d are replaced at once", n)
		}
		for _, gate := range gates {
			if serving, _ := a.successors(); serving < 8 {
				t.Errorf("%d processes serve", serving)
			}
			gate.Close()
		}
	}
	result(t, serve(a, ""))
}

// TestNoSuccessor: an application that does not start any more is served by the processes that it has.
func TestNoSuccessor(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	os.WriteFile(name, nil, 0o600)
	a, log := newPaired(t, Limits{Programs: 2, Minimum: 2, Requests: 1, QueueWait: -1}, "POOL_FILE="+name)
	a.Start()
	testkit.Until(t, "the processes", func() bool { serve, _ := a.successors(); return serve == 2 })
	os.Remove(name)
	first, _, _ := result(t, serve(a, ""))
	testkit.Until(t, "the log", func() bool { return strings.Contains(log.String(), "application does not start") })
	for i := range 3 {
		if pid, count, _ := result(t, serve(a, "")); pid != first || count != i+2 {
			t.Errorf("process %d, count %d", pid, count)
		}
	}
	if plain := log.String(); strings.Count(plain, "application does not start") != 1 || !strings.Contains(plain, "Traceback") ||
		!strings.Contains(plain, "it ended before it was ready, with exit status 1: Traceback (most recent call last): (the log has all that it wrote)") {
		t.Error("the log does not say why, once")
	}
	os.WriteFile(name, nil, 0o600)
	testkit.Until(t, "the successor", func() bool { return syscall.Kill(first, 0) == syscall.ESRCH })
	if !strings.Contains(log.String(), "application starts again") {
		t.Error("the log does not say that it starts again")
	}
}

// TestHungSuccessor: a successor that is not ready in time, and does not end, is followed by another one,
// and by no more when it ends at last.
func TestHungSuccessor(t *testing.T) {
	a, _ := newPaired(t, Limits{Programs: 8, Requests: 1, Grace: time.Hour, QueueWait: -1}, "POOL_END=never")
	l := gates(t, a)
	first := make(chan int)
	go func() {
		pid, _, _ := result(t, serve(a, ""))
		first <- pid
	}()
	gate := accept(t, l)
	gate.Close()
	pid := testkit.Receive(t, "the first response", first)
	hung := accept(t, l)
	a.giveUp()
	a.tryAgain()
	other := accept(t, l)
	hung.Close()
	testkit.Until(t, "the end of the one that hung", func() bool { return a.bodies() == 2 })
	a.processes.sweep()
	if n := a.bodies(); n != 2 || a.heirs() != 1 {
		t.Errorf("%d processes, %d have a successor", n, a.heirs())
	}
	other.Close()
	testkit.Until(t, "the end of the first", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

// TestStubbornEnd: a process that neither ends with its connection nor at TERM does not keep its place.
func TestStubbornEnd(t *testing.T) {
	l := testkit.Listen(t, "unix")
	a, _ := newPaired(t, Limits{Programs: 1, Minimum: 1, Requests: 1, Grace: time.Hour, QueueWait: -1}, "POOL_END=never", "POOL_ENDS_AT="+l.Addr().String())
	first, _, _ := result(t, serve(a, ""))
	held := accept(t, l)
	if pid, _, _ := result(t, serve(a, "")); pid == first {
		t.Error("no other one has its place")
	}
	if err := syscall.Kill(first, 0); err != nil {
		t.Errorf("it has ended: %v", err)
	}
	held.Close()
	accept(t, l).Close() // of the second one, and so on, until Close
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}

// TestKilledInTheEnd: a process that does not end gets KILL after the grace.
func TestKilledInTheEnd(t *testing.T) {
	l := testkit.Listen(t, "unix")
	a, _ := newPaired(t, Limits{Programs: 1, Requests: 1, Grace: 10 * time.Millisecond, QueueWait: -1}, "POOL_END=never", "POOL_ENDS_AT="+l.Addr().String())
	first, _, _ := result(t, serve(a, ""))
	accept(t, l)
	testkit.Until(t, "its end", func() bool { return syscall.Kill(first, 0) == syscall.ESRCH })
}

// TestStack: a process that exceeds a limit of time in a request writes what it does, and is
// terminated. Only that request is cut off.
func TestStack(t *testing.T) {
	l := testkit.Listen(t, "unix")
	for _, tt := range []struct {
		name, do string
		limits   Limits
	}{
		{"cpu", "burn", Limits{CPU: 50 * time.Millisecond}},
		{"run", "hold", Limits{Run: 50 * time.Millisecond}},
		{"first_byte", "hold", Limits{FirstByte: 50 * time.Millisecond}},
		{"silence", "hold", Limits{Silence: 50 * time.Millisecond}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.limits.Programs = 1
			a, log := newPaired(t, tt.limits)
			a.StackSignal = syscall.SIGUSR1
			testkit.Until(t, "a request in time", func() bool { return serve(a, "").Head.Code == 200 })
			log.Reset()
			if got := serve(a, "", "DO="+tt.do, "AT="+l.Addr().String()); got.Head.Code != 504 {
				t.Errorf("%v", got)
			}
			testkit.Until(t, "its end", func() bool { return strings.Contains(log.String(), "has ended") })
			plain := log.String()
			if !strings.Contains(plain, "what I do") || !strings.Contains(plain, tt.name+" of 50ms is over") || !strings.Contains(plain, "signal: terminated") {
				t.Error("the log does not say so")
			}
		})
	}
}

// TestEndsUnused: processes that end before their first request are not started again at once.
func TestEndsUnused(t *testing.T) {
	a, _ := newPaired(t, Limits{Programs: 4, Minimum: 4}, "POOL_READY=exit")
	a.Start()
	p := a.processes
	testkit.Until(t, "the end of all", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.readied > 0 && len(p.all) == 0
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if left := time.Until(p.refill.until); left <= 0 || p.readied > 4 {
		t.Errorf("%d have been started, and more after %v", p.readied, left)
	}
}
