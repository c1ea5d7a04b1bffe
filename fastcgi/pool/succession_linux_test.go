package pool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// TestSucceed: an App has as many processes ready as the one before it when Succeed returns, and
// an error if none starts, which is logged by nobody else.
func TestSucceed(t *testing.T) {
	old, _ := newApp(t, Limits{Programs: 3}, "fastcgi")
	next, _ := newApp(t, Limits{Programs: 3, Minimum: 1}, "fastcgi")
	if err := next.Succeed(t.Context(), old); err != nil || len(next.processes.all) != 0 {
		t.Errorf("after one without processes: %v, %d processes", err, len(next.processes.all))
	}
	l := testkit.Listen(t, "unix")
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { result(t, serve(old, "", "DO=hold", "AT="+l.Addr().String())) })
	}
	held := []interface{ Close() error }{accept(t, l), accept(t, l)}
	if err := next.Succeed(t.Context(), old); err != nil || next.processes.count() != 2 {
		t.Errorf("%v, %d processes are ready", err, next.processes.count())
	}
	bad, log := newApp(t, Limits{Programs: 3}, "exit")
	if err := bad.Succeed(t.Context(), old); err == nil || !strings.Contains(err.Error(), "ended before it accepted a connection") || log.String() != "" {
		t.Errorf("%v, log %q", err, log)
	}
	deaf, _ := newApp(t, Limits{Programs: 3, Grace: -1}, "deaf")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := deaf.Succeed(ctx, old); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for _, c := range held {
		c.Close()
	}
	all.Wait()
}

// TestSucceedTriesOne: what does not start is tried by one process, whose last line on stderr is in the error.
func TestSucceedTriesOne(t *testing.T) {
	old, _ := newPaired(t, Limits{Programs: 3, Minimum: 3})
	old.Start()
	testkit.Until(t, "the first processes", func() bool { return old.processes.count() == 3 })
	next, log := newPaired(t, Limits{Programs: 3, Minimum: 3}, "POOL_FILE="+filepath.Join(t.TempDir(), "none"))
	err := next.Succeed(t.Context(), old)
	if err == nil || !strings.HasSuffix(err.Error(), ": it ended before it was ready, with exit status 1: Traceback (most recent call last): (the log has all that it wrote)") {
		t.Errorf("%v", err)
	}
	next.processes.sweep()
	if n := strings.Count(log.String(), "Traceback"); n != 1 || len(next.processes.all) != 0 {
		t.Errorf("%d tracebacks are logged, and %d processes have been started since", n, len(next.processes.all))
	}
}

// TestSucceedInPart: what starts is used, and what does not is logged.
func TestSucceedInPart(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "turn"), nil, 0o600)
	old, _ := newApp(t, Limits{Programs: 2, Minimum: 2}, "fastcgi")
	old.Start()
	testkit.Until(t, "the first processes", func() bool { return old.processes.count() == 2 })
	next, log := newApp(t, Limits{Programs: 2}, "turns", "POOL_FILE="+filepath.Join(dir, "turn"))
	if err := next.Succeed(t.Context(), old); err != nil || next.processes.count() != 1 {
		t.Errorf("%v, %d processes are ready", err, next.processes.count())
	}
	if n := strings.Count(log.String(), "application does not start"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// TestSucceedSecondFails: a failure is logged though another process is ready after it, and made up for.
func TestSucceedSecondFails(t *testing.T) {
	old, _ := newPaired(t, Limits{Programs: 3, Minimum: 3})
	old.Start()
	testkit.Until(t, "the first processes", func() bool { return old.processes.count() == 3 })
	next, log := newPaired(t, Limits{Programs: 3, Minimum: 3})
	l := gates(t, next)
	succeeded := make(chan error)
	go func() { succeeded <- next.Succeed(t.Context(), old) }()
	accept(t, l).Close()
	second, third := accept(t, l), accept(t, l)
	fail(second)
	testkit.Until(t, "the failure", func() bool { return next.failure() != nil })
	third.Close()
	if err := testkit.Receive(t, "the successor", succeeded); err != nil {
		t.Error(err)
	}
	if plain := log.String(); strings.Count(plain, "application does not start") != 1 || !strings.Contains(plain, "told to fail (the log has all") || strings.Count(plain, "application starts again") != 1 {
		t.Error("the log does not say so, once")
	}
	accept(t, l).Close()
	testkit.Until(t, "all processes", func() bool { return next.processes.count() == 3 })
}

// TestSucceedHangs: a process that is not ready in time has failed, whether it has ended or not.
func TestSucceedHangs(t *testing.T) {
	old, _ := newPaired(t, Limits{Programs: 2, Minimum: 2})
	old.Start()
	testkit.Until(t, "the first processes", func() bool { return old.processes.count() == 2 })
	next, log := newPaired(t, Limits{Programs: 2, Minimum: 2, Ready: time.Second, Grace: time.Hour}, "POOL_END=never")
	gates(t, next)
	succeeded := make(chan error)
	go func() { succeeded <- next.Succeed(t.Context(), old) }()
	if err := testkit.Receive(t, "the error", succeeded); err == nil || !strings.Contains(err.Error(), "it has not said that it is ready in time (ready)") {
		t.Errorf("%v", err)
	}
	next.tryAgain()
	if n := next.bodies(); n > 1 || log.String() != "" {
		t.Errorf("%d processes, and it is logged, too: %q", n, log)
	}
}

// TestSucceedNone: an application that has no process, though it is to keep some, is succeeded by
// whatever the new code does: by one that starts, which is awaited, or by one that does not, which is logged.
func TestSucceedNone(t *testing.T) {
	old, _ := newApp(t, Limits{Programs: 2, Minimum: 2}, "exit")
	next, log := newApp(t, Limits{Programs: 2, Minimum: 2}, "fastcgi")
	if err := next.Succeed(t.Context(), old); err != nil || next.processes.count() != 2 || log.String() != "" {
		t.Errorf("%v, %d processes are ready", err, next.processes.count())
	}
	bad, log := newApp(t, Limits{Programs: 2, Minimum: 2}, "exit")
	bad.Prepare()
	bad.processes.trial = true
	if bad.processes.fill(); len(bad.processes.all) > 0 {
		t.Error("processes were started that nobody waits for")
	}
	if err := bad.Succeed(t.Context(), old); err != nil || strings.Count(log.String(), "application does not start") != 1 {
		t.Errorf("%v", err)
	}
	name := filepath.Join(t.TempDir(), "file")
	late, log := newApp(t, Limits{Programs: 2, Minimum: 2}, "late", "POOL_FILE="+name)
	if err := late.Succeed(t.Context(), old); err != nil {
		t.Error(err)
	}
	os.WriteFile(name, nil, 0o600)
	late.tryAgain()
	testkit.Until(t, "the processes", func() bool { return late.processes.count() == 2 })
	if strings.Count(log.String(), "application does not start") != 1 || !strings.Contains(log.String(), "application starts again") {
		t.Error("the log does not say so, once")
	}
}

// TestRetire: a process that works behind its response goes on until that is done, and all end.
func TestRetire(t *testing.T) {
	a, log := newApp(t, Limits{Programs: 3, Minimum: 3}, "fastcgi")
	a.Start()
	testkit.Until(t, "the processes", func() bool { return a.processes.count() == 3 })
	l := testkit.Listen(t, "unix")
	result(t, serve(a, "", "DO=close"))
	busy, _, _ := result(t, serve(a, "", "DO=after", "AT="+l.Addr().String()))
	held := accept(t, l)
	ended := a.Retire()
	testkit.Until(t, "the end of the others", func() bool {
		a.processes.mu.Lock()
		defer a.processes.mu.Unlock()
		return len(a.processes.all) == 1
	})
	if err := syscall.Kill(busy, 0); err != nil {
		t.Errorf("the process that is at work: %v", err)
	}
	held.Close()
	testkit.Receive(t, "the end of all", ended)
	if log.String() != "" {
		t.Error("it is logged")
	}
	testkit.Receive(t, "the end of none", a.Retire())
}
