package pool

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/process"
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

// TestBusyBehindResponse: a process that still works behind its response gets no request, neither while
// another can be had nor when all others are busy.
func TestBusyBehindResponse(t *testing.T) {
	a, _ := newApp(t, Limits{Programs: 2, QueueWait: -1}, "fastcgi")
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
	serve(a, "", "DO=after", "AT="+l.Addr().String())
	accept(t, l)
	got := serve(a, "")
	if got.Head.Code != 503 || got.Field("Retry-After") == "" {
		t.Errorf("%v", got)
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
			free, _ := a.processes.idle[0].conn.free()
			return len(a.processes.idle) == 2 && free
		}()
	})
	if strings.Contains(log.String(), "has ended") {
		t.Error("a process has ended")
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
		result(t, serve(a, ""))
		return false
	})
}

// TestRecycle: a process is replaced after so many requests, or when it has grown, and never within a request.
func TestRecycle(t *testing.T) {
	a, log := newApp(t, Limits{Programs: 1, Requests: 3, QueueWait: -1}, "fastcgi")
	for i := range 9 {
		if _, count, _ := result(t, serve(a, "")); count != i%3+1 {
			t.Errorf("request %d is the process's %d.", i, count)
		}
	}
	b, _ := newApp(t, Limits{Programs: 1, Memory: 48 << 20, QueueWait: -1}, "fastcgi")
	for _, tt := range []struct {
		do    string
		count int
	}{{"", 1}, {"", 2}, {"grow", 3}, {"", 1}, {"grow", 2}, {"", 1}} {
		if _, count, _ := result(t, serve(b, "", "DO="+tt.do)); count != tt.count {
			t.Errorf("%q is the process's request %d, want %d", tt.do, count, tt.count)
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

// TestNoFastCGI: what cannot be kept is told, once, and requests get 503 with Retry-After.
func TestNoFastCGI(t *testing.T) {
	for _, tt := range []struct {
		program, says string
		limits        Limits
	}{
		{"cgi", "Content-Type: text/plain\", as a CGI program does: serve it with scripts", Limits{}},
		{"exit", "it ended before it accepted a connection, with exit status 0: a FastCGI program accepts connections on descriptor 0", Limits{}},
		{"deaf", "it has not accepted a connection in time (ready)", Limits{Ready: 50 * time.Millisecond, Grace: -1}},
	} {
		t.Run(tt.program, func(t *testing.T) {
			tt.limits.Programs, tt.limits.QueueWait = 2, -1
			a, log := newApp(t, tt.limits, tt.program)
			for range 3 {
				if got := serve(a, ""); got.Head.Code != 503 || got.Field("Retry-After") == "" {
					t.Errorf("%v", got)
				}
				a.processes.mu.Lock()
				a.processes.until = time.Time{} // it is tried again by the next one
				a.processes.mu.Unlock()
			}
			if n := strings.Count(log.String(), "application does not start"); n != 1 {
				t.Errorf("logged %d times", n)
			}
			if plain := strings.ReplaceAll(log.String(), `\`, ""); !strings.Contains(plain, tt.says) {
				t.Errorf("the log does not say %q", tt.says)
			}
		})
	}
	a, _ := newApp(t, Limits{}, "")
	a.Command = []string{"no-such-program"}
	if err := a.Prepare(); err == nil || !strings.Contains(err.Error(), "no-such-program: no such program in PATH") {
		t.Errorf("%v", err)
	}
	b, _ := newApp(t, Limits{}, "", "PHP_FCGI_CHILDREN=4")
	if err := b.Prepare(); err == nil || !strings.Contains(err.Error(), "write programs = 4") {
		t.Errorf("%v", err)
	}
}

// TestExplain: how the program is started, and which file a request is for. Nothing is started.
func TestExplain(t *testing.T) {
	a, _ := newApp(t, Limits{Minimum: 1}, "fastcgi", "X=a")
	a.Root, a.Dir = t.TempDir(), "/tmp"
	file := filepath.Join(a.Root, "page.php")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	request := func(path string) *cgi.Request {
		return cgitest.NewRequest(cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME="+path))
	}
	e, err := a.Explain(request("/page.php"))
	if err != nil || e.Finding != nil || e.Dir != "/tmp" || len(e.Args) != 1 || e.Args[0] != a.Command[0] || !slices.Contains(e.Env, "X=a") ||
		len(e.Steps) != 1 || e.Steps[0].Path != file {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err = a.Explain(request("/none.php")); err != nil || e.Finding == nil || e.Finding.Code != 404 {
		t.Errorf("%+v, %v", e, err)
	}
	if len(a.processes.all) > 0 {
		t.Error("a process was started")
	}
}

// TestStartsAgain: an application that did not start is tried again.
func TestStartsAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	a, log := newApp(t, Limits{Programs: 1, QueueWait: -1}, "late", "POOL_FILE="+name)
	if got := serve(a, ""); got.Head.Code != 503 {
		t.Errorf("%v", got)
	}
	os.WriteFile(name, nil, 0o600)
	a.processes.mu.Lock()
	if left := time.Until(a.processes.until); left > firstPause || a.processes.pause != firstPause {
		t.Errorf("tried again after %v", left)
	}
	a.processes.until = time.Time{}
	a.processes.mu.Unlock()
	result(t, serve(a, ""))
	if !strings.Contains(log.String(), "no file") || !strings.Contains(log.String(), "application starts again") {
		t.Error("the log does not say so")
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

// BenchmarkKept is a request to a process that is kept.
func BenchmarkKept(b *testing.B) {
	a, _ := newApp(b, Limits{Programs: 1, QueueWait: -1}, "fastcgi")
	serve(a, "")
	b.ReportAllocs()
	for b.Loop() {
		serve(a, "")
	}
}
