package pool

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
	"gatehouse/systemd/sandbox"
)

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
				a.processes.retry.until = time.Time{} // it is tried again by the next one
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

// TestSandbox: where a setting of the systemd unit stops a process, the log names it.
func TestSandbox(t *testing.T) {
	a, log := newApp(t, Limits{}, "fastcgi")
	if err := a.Prepare(); err != nil {
		t.Fatal(err)
	}
	strict := sandbox.Parse("", "Name:\tgatehouse\nNoNewPrivs:\t1\n", "0::/system.slice/gatehouse.service\n")
	a.processes.sandbox = func() *sandbox.Sandbox { return strict }
	result(t, serve(a, "", "DO=stderr", "SAY=sudo: effective uid is not 0"))
	testkit.Until(t, "the setting", func() bool { return strings.Contains(log.String(), "NoNewPrivileges") })
	before := log.String()
	result(t, serve(a, "", "DO=errors", "SAY=it says:\nsudo: effective uid is not 0"))
	if said := strings.TrimPrefix(log.String(), before); !strings.Contains(said, `line="sudo: effective uid is not 0"`) || !strings.Contains(said, "NoNewPrivileges") || !strings.Contains(said, "request=") {
		t.Errorf("of what is said in a request, the log says %q", said)
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
	if left := time.Until(a.processes.retry.until); left > firstPause || a.processes.retry.pause != firstPause {
		t.Errorf("tried again after %v", left)
	}
	a.processes.retry.until = time.Time{}
	a.processes.mu.Unlock()
	result(t, serve(a, ""))
	if !strings.Contains(log.String(), "no file") || !strings.Contains(log.String(), "application starts again") {
		t.Error("the log does not say so")
	}
}

// TestOneStartsFirst: one process is started, whatever waits, and the others when it is ready.
func TestOneStartsFirst(t *testing.T) {
	l := testkit.Listen(t, "unix")
	a, _ := newPaired(t, Limits{Programs: 3, Minimum: 3, QueueWait: -1}, "POOL_AT="+l.Addr().String())
	a.Start()
	first := accept(t, l)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { result(t, serve(a, "")) })
	}
	waiting := func() (started, waiting int) {
		a.processes.mu.Lock()
		defer a.processes.mu.Unlock()
		return len(a.processes.all), a.processes.waiting
	}
	testkit.Until(t, "the requests", func() bool { _, n := waiting(); return n == 3 })
	a.processes.sweep()
	if n, _ := waiting(); n != 1 {
		t.Errorf("%d processes are started before one is ready", n)
	}
	first.Close()
	for range 2 {
		accept(t, l).Close()
	}
	all.Wait()
	testkit.Until(t, "all processes", func() bool { return a.processes.count() == 3 })
}

// gates prepares a paired App, and lets each of its processes hold, in place of an import, until the connection is closed
// that it makes. Those that nobody has accepted go on when the test ends.
func gates(t *testing.T, a *App) net.Listener {
	l := testkit.Listen(t, "unix")
	a.Env = append(a.Env, "POOL_AT="+l.Addr().String())
	a.Prepare()
	t.Cleanup(func() { l.Close() }) // before that of a
	return l
}

// giveUp does to the processes that start what is done when Limits.Ready has passed.
func (a *App) giveUp() {
	a.processes.mu.Lock()
	defer a.processes.mu.Unlock()
	for w := range a.processes.all {
		if !w.ready {
			a.processes.terminate(w, fmt.Errorf("%s: not ready %w", w.name, errNotReady))
		}
	}
}

// tryAgain lets those be started that are missing, whatever has failed.
func (a *App) tryAgain() {
	a.processes.mu.Lock()
	a.processes.retry.until = time.Time{}
	a.processes.mu.Unlock()
	a.processes.sweep()
}

// bodies returns how many processes there are, whatever they do.
func (a *App) bodies() int {
	a.processes.mu.Lock()
	defer a.processes.mu.Unlock()
	return len(a.processes.all)
}

// failure returns why the last process could not be started.
func (a *App) failure() error {
	a.processes.mu.Lock()
	defer a.processes.mu.Unlock()
	return a.processes.failure
}

// TestFirstHangs: a process that is not ready in time is said to have failed before it ends, which may
// take long, and another one is tried.
func TestFirstHangs(t *testing.T) {
	a, log := newPaired(t, Limits{Programs: 4, Grace: time.Hour, QueueWait: -1}, "POOL_END=never")
	l := gates(t, a)
	responses := make(chan *cgitest.Recorder)
	request := func() { responses <- serve(a, "") }
	go request()
	accept(t, l)
	a.giveUp()
	if got := testkit.Receive(t, "the first response", responses); got.Head.Code != 503 || got.Field("Retry-After") == "" {
		t.Errorf("%v", got)
	}
	if err := a.failure(); err == nil || !strings.HasSuffix(err.Error(), "not ready in time (ready)") {
		t.Errorf("%v", err)
	}
	a.tryAgain()
	go request()
	accept(t, l).Close()
	result(t, testkit.Receive(t, "the second response", responses))
	if n := a.bodies(); n != 2 {
		t.Errorf("%d processes", n)
	}
	if plain := log.String(); strings.Count(plain, "application does not start") != 1 || !strings.Contains(plain, "in time (ready)") || strings.Count(plain, "application starts again") != 1 {
		t.Error("the log does not say so, once")
	}
}

// TestAllHang: of processes that neither become ready nor end there are so many, and no more.
func TestAllHang(t *testing.T) {
	a, _ := newPaired(t, Limits{Programs: 2, Minimum: 2, Grace: time.Hour, QueueWait: time.Millisecond}, "POOL_END=never")
	l := gates(t, a)
	a.Start()
	for range 3 {
		accept(t, l)
		a.giveUp()
		a.tryAgain()
	}
	if n := a.bodies(); n != 3 {
		t.Errorf("%d processes", n)
	}
	if got := serve(a, ""); got.Head.Code != 503 {
		t.Errorf("%v", got)
	}
}

// TestSecondFails: after one has failed, whatever has started, one is tried at a time.
func TestSecondFails(t *testing.T) {
	a, log := newPaired(t, Limits{Programs: 3, Minimum: 3, QueueWait: -1})
	l := gates(t, a)
	a.Start()
	accept(t, l).Close()
	second, third := accept(t, l), accept(t, l)
	fail(second)
	testkit.Until(t, "the failure of one", func() bool { return a.failure() != nil && a.bodies() == 2 })
	a.tryAgain()
	if n := a.bodies(); n != 2 {
		t.Errorf("%d processes while one starts", n)
	}
	fail(third)
	testkit.Until(t, "the failure of the other", func() bool { return a.bodies() == 1 })
	a.tryAgain()
	a.tryAgain()
	if n := a.bodies(); n != 2 {
		t.Errorf("%d processes after two failures", n)
	}
	result(t, serve(a, ""))
	accept(t, l).Close()
	accept(t, l).Close()
	testkit.Until(t, "all processes", func() bool { return a.processes.count() == 3 })
	if plain := log.String(); strings.Count(plain, "application does not start") != 1 || strings.Count(plain, "application starts again") != 1 {
		t.Error("the log does not say so, once")
	}
}

// TestOccupations: the error of a request that has waited for too long says what the processes do.
func TestOccupations(t *testing.T) {
	starting, busy, behind, ending := worker{}, worker{ready: true, busy: true}, worker{ready: true}, worker{ready: true, gone: true}
	for _, tt := range []struct {
		workers []worker
		want    string
	}{
		{nil, "none is running"},
		{[]worker{starting}, "1 is starting"},
		{[]worker{starting, starting}, "2 are starting"},
		{[]worker{busy, busy, behind}, "2 serve requests, 1 still works behind its response"},
		{[]worker{starting, busy, behind, behind, ending}, "1 is starting, 1 serves a request, 2 still work behind their responses, 1 is ending"},
	} {
		p := &processes{name: "app", all: make(map[*worker]struct{})}
		for _, w := range tt.workers {
			p.all[&w] = struct{}{}
		}
		if got, want := p.refusal().Error(), "app: no process was free in time (queue_wait): "+tt.want; !strings.HasSuffix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestLastLine: what is kept of the last line on stderr.
func TestLastLine(t *testing.T) {
	for _, tt := range []struct{ wrote, want string }{
		{"", ""},
		{"one\ntwo\n", "two"},
		{"one\r\n \n\n", "one"},
		{"one\nunfinished", "unfinished"},
		{"a\x1b[31mb\xffc\n", "a [31mb c"},
		{strings.Repeat("x", outputLast+1) + "\n", strings.Repeat("x", outputLast) + "..."},
		{"y" + strings.Repeat("x", 2*outputLine) + "\n", "y" + strings.Repeat("x", outputLast-1) + "..."},
		{strings.Repeat("x", outputLine) + "\nnext\n", "next"},
	} {
		p := &processes{limits: Limits{StderrBytes: 1 << 20}, log: new(testkit.Log).Logger(), sandbox: func() *sandbox.Sandbox { return nil }}
		o := output{worker: &worker{pool: p}}
		o.take([]byte(tt.wrote))
		o.flush()
		if got := o.lastLine(); got != tt.want {
			t.Errorf("%.20q: %q, want %q", tt.wrote, got, tt.want)
		}
	}
}
