package pool

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// newApp returns an App of the test's own program, which is closed when the test ends.
func newApp(t testing.TB, l Limits, program string, env ...string) (*App, *testkit.Log) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := new(testkit.Log)
	a := &App{Command: []string{self}, Env: append(env, "POOL_PROGRAM="+program), Limits: l, Log: log.Logger()}
	t.Cleanup(func() {
		a.Close()
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	return a, log
}

// serve runs an App for a request, and returns the response with its body.
func serve(a *App, body string, vars ...string) *cgitest.Recorder {
	return serveContext(context.Background(), a, body, vars...)
}

func serveContext(ctx context.Context, a *App, body string, vars ...string) *cgitest.Recorder {
	r := cgitest.NewRequest(cgi.NewEnviron(append(vars, "REQUEST_METHOD=POST")...))
	r.Body, r.ContentLength = strings.NewReader(body), int64(len(body))
	r.SetContext(ctx)
	var got cgitest.Recorder
	(&cgi.Handler{Log: new(testkit.Log).Logger()}).Run(r, &got, a)
	return &got
}

// result returns the process, its count and the rest of what it says.
func result(t testing.TB, got *cgitest.Recorder) (pid, count int, rest string) {
	t.Helper()
	if n, _ := fmt.Sscanf(got.Body.String(), "%d %d", &pid, &count); n < 2 || got.Head.Code != 200 {
		t.Errorf("response %v", got)
		return
	}
	return pid, count, strings.SplitN(got.Body.String(), " ", 3)[2]
}

// TestKept: a process serves one request after the other, has the environment, and is ended by Close.
func TestKept(t *testing.T) {
	t.Setenv("LANG", "C.UTF-8")
	a, log := newApp(t, Limits{}, "fastcgi", "X=a", "X=b")
	first := 0
	for i := 1; i <= 5; i++ {
		pid, count, rest := result(t, serve(a, strings.Repeat("b", i), "ENV="+[]string{"X", "LANG", phpRequests}[i%3]))
		if first == 0 {
			first = pid
		}
		if want := fmt.Sprint(i, " ", []string{"b", "C.UTF-8", "0"}[i%3]); pid != first || count != i || rest != want {
			t.Errorf("request %d: process %d, count %d, %q, want %q", i, pid, count, rest, want)
		}
	}
	result(t, serve(a, "", "DO=stderr"))
	a.Close()
	if err := syscall.Kill(first, 0); err != syscall.ESRCH {
		t.Errorf("the process lives: %v", err)
	}
	if !strings.Contains(log.String(), "a word to the log") || strings.Contains(log.String(), "has ended") {
		t.Error("the log has no stderr, or the end of a process")
	}
	if got := serve(a, ""); got.Head.Code != 503 {
		t.Errorf("after Close: %v", got)
	}
}

// TestDemand: as many processes as requests, up to Programs; the rest wait.
func TestDemand(t *testing.T) {
	a, _ := newApp(t, Limits{Programs: 3}, "fastcgi")
	l := testkit.Listen(t, "unix")
	var all sync.WaitGroup
	var mu sync.Mutex
	pids := make(map[int]int)
	for range 8 {
		all.Go(func() {
			pid, _, _ := result(t, serve(a, "", "DO=hold", "AT="+l.Addr().String()))
			mu.Lock()
			defer mu.Unlock()
			pids[pid]++
		})
	}
	var held []net.Conn
	for range 3 {
		held = append(held, accept(t, l))
	}
	if load := a.Load(); load.Running != 3 {
		t.Errorf("%+v", load)
	}
	for range 5 {
		held[0].Close()
		held = append(held[1:], accept(t, l))
	}
	for _, c := range held {
		c.Close()
	}
	all.Wait()
	if len(pids) != 3 {
		t.Errorf("processes %v", pids)
	}
}

func accept(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	l.(*net.UnixListener).SetDeadline(time.Now().Add(testkit.Patience))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// BenchmarkKept is a request to a process that is kept. Processor time is that of this process.
func BenchmarkKept(b *testing.B) {
	for _, program := range []string{"fastcgi", "paired"} {
		b.Run(program, func(b *testing.B) {
			a, _ := newApp(b, Limits{Programs: 1, QueueWait: -1}, program)
			if program == "paired" {
				a.Paired, a.Preamble = true, []byte(testPreamble)
			}
			serve(a, "")
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				serve(a, "")
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1000, "cpu-µs/op")
		})
	}
}

// processorTime returns the processor time of this process in nanoseconds.
func processorTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
