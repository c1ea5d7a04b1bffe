package deploy_test

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

var (
	wsgiReloads = flag.Int64("wsgi.reloads", 2, "how often TestWSGIReload reloads")
	wsgiKills   = flag.Int("wsgi.kills", 10, "how many workers TestWSGIKills kills")
)

// A djangoLoad sends requests to a Django project through nginx, and knows what became of each.
type djangoLoad struct {
	version atomic.Int64 // of the code, at least

	mu     sync.Mutex
	whole  map[string]bool // the names of requests that have a response
	failed map[string]string
	pids   map[int]bool
}

// djangoConfig is where the configuration of a gateway with a Django project is.
const djangoConfig = "/etc/gatehouse/django.toml"

// startDjango starts nginx and a gateway with the project, and returns the gateway's process, its
// log, and a command that reloads it.
func startDjango(t *testing.T) (gateway *exec.Cmd, log func() string, reload func() (string, error)) {
	t.Helper()
	installDjango(t)
	installCertificate(t)
	install(t, "testdata/django/gatehouse.toml", djangoConfig, 0o644)
	if err := os.MkdirAll("/run/wsgi", 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "log")
	gateway = exec.Command("/bin/sh", "-c", `umask 0; exec gatehouse serve --config "$0" 2>"$1"`, djangoConfig, file)
	gateway.Env, gateway.Dir = []string{"PATH=" + workspace + ":/usr/bin:/bin"}, "/"
	startServer(t, "gatehouse", gateway, []string{file}, "/run/wsgi/fastcgi.sock")
	startNginx(t, "testdata/wsgi/nginx.conf")
	testkit.Until(t, "the first response", func() bool { return getURL(t, "/served/first").status == http.StatusOK })
	return gateway, func() string { return string(read(t, file)) }, func() (string, error) {
		out, err := exec.Command(filepath.Join(workspace, "gatehouse"), "reload", "--pid", strconv.Itoa(gateway.Process.Pid)).CombinedOutput()
		return string(out), err
	}
}

// run sends requests by several clients until stop is closed.
func (l *djangoLoad) run(t *testing.T, stop <-chan struct{}) (wait func()) {
	l.whole, l.failed, l.pids = map[string]bool{"first": true}, make(map[string]string), make(map[int]bool)
	var clients, begun sync.WaitGroup
	for i := range 8 {
		begun.Add(1)
		clients.Go(func() {
			first := sync.OnceFunc(begun.Done)
			defer first()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				l.request(t, fmt.Sprintf("%d.%d", i, n))
				first()
			}
		})
	}
	begun.Wait()
	return clients.Wait
}

// request sends a request with a name.
func (l *djangoLoad) request(t *testing.T, name string) {
	least := l.version.Load()
	request, err := http.NewRequest("GET", "http://localhost/served/"+name, nil)
	if err != nil {
		t.Error(err)
		return
	}
	got, err := fetch(t, request)
	var version int64
	var pid int
	_, scanErr := fmt.Sscan(got.body, &version, &pid)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || scanErr != nil || got.status != http.StatusOK || version < least {
		l.failed[name] = fmt.Sprintf("status %d, %.100q, %v; want version %d at least", got.status, got.body, err, least)
		return
	}
	l.whole[name], l.pids[pid] = true, true
}

// wantOnce checks that each request that has a response ran once, and none more often.
func (l *djangoLoad) wantOnce(t *testing.T) {
	t.Helper()
	served := make(map[string]int)
	for name := range strings.FieldsSeq(string(read(t, "/srv/django/data/served"))) {
		served[name]++
	}
	for name, n := range served {
		if n != 1 {
			t.Errorf("request %s ran %d times", name, n)
		}
	}
	for name := range l.whole {
		if served[name] == 0 {
			t.Errorf("request %s has a response, and did not run", name)
		}
	}
}

// wantEnded waits until the processes have ended.
func wantEnded(t *testing.T, pids map[int]bool) {
	t.Helper()
	for pid := range pids {
		testkit.Until(t, fmt.Sprintf("the end of process %d", pid), func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	}
}

// workers returns the workers of a gateway.
func workers(t *testing.T, gateway *exec.Cmd) (pids []int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", gateway.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, _ := os.ReadFile(file) // of a thread that has ended: nothing
		for field := range strings.FieldsSeq(string(content)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// notReloaded is what the log has of a reload that failed.
const notReloaded = "configuration not reloaded: the old one stays"

// TestWSGIReload reloads a gateway with a Django project, under load and each time with new code,
// by the command and by SIGHUP: no request fails, none is served by old code once the reload has
// been reported, and none runs twice. Code that does not start is refused, with its traceback: what
// ran serves on, and nothing tries it again. make soak makes it 100 reloads.
func TestWSGIReload(t *testing.T) {
	gateway, log, reload := startDjango(t)
	var l djangoLoad
	stop := make(chan struct{})
	wait := l.run(t, stop)
	broken := 0
	for n := int64(1); n <= *wsgiReloads && !t.Failed(); n++ {
		if n%2 == 0 {
			replaceFile(t, "/srv/django/project/version.py", "raise RuntimeError('code that does not start')\n")
			var before []int
			testkit.Until(t, "the end of the workers before", func() bool {
				before = workers(t, gateway)
				return len(before) == 2
			})
			if out, err := reload(); err == nil || !strings.Contains(out, "project.wsgi") || !strings.Contains(out, "RuntimeError: code that does not start") {
				t.Errorf("gatehouse reload of broken code: %v\n%s", err, out)
			}
			failures := strings.Count(log(), notReloaded)
			gateway.Process.Signal(syscall.SIGHUP)
			testkit.Until(t, "the report of the reload by SIGHUP", func() bool { return strings.Count(log(), notReloaded) > failures })
			broken++
			l.mu.Lock()
			served := len(l.whole)
			l.mu.Unlock()
			testkit.Until(t, "more responses", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return len(l.whole) > served+50 || len(l.failed) > 0
			})
			testkit.Until(t, "the same workers as before the reloads of broken code", func() bool {
				return slices.Equal(before, workers(t, gateway))
			})
		}
		replaceFile(t, "/srv/django/project/version.py", fmt.Sprintf("VERSION = %d\n", n))
		if out, err := reload(); err != nil {
			t.Errorf("gatehouse reload: %v\n%s", err, out)
		}
		l.version.Store(n)
	}
	close(stop)
	wait()
	for name, why := range l.failed {
		t.Errorf("request %s: %s", name, why)
	}
	// One worker has tried it for each reload. It has said why in its traceback, and the reload says so again.
	if n := strings.Count(log(), `"line":"RuntimeError: code that does not start`); n != 2*broken {
		t.Errorf("%d tracebacks of %d reloads of broken code", n, 2*broken)
	}
	l.wantOnce(t)
	for _, pid := range workers(t, gateway) {
		delete(l.pids, pid)
	}
	wantEnded(t, l.pids)
	t.Logf("%d requests, %d reloads, %d of broken code", len(l.whole), *wsgiReloads+int64(2*broken), 2*broken)
}

// TestWSGIKills kills workers of a Django project under load: no more requests fail than workers
// were killed, and each with 502; none runs twice. make soak kills 1,000.
func TestWSGIKills(t *testing.T) {
	gateway, log, _ := startDjango(t)
	var l djangoLoad
	stop := make(chan struct{})
	wait := l.run(t, stop)
	killed := make(map[int]bool)
	for len(killed) < *wsgiKills && !t.Failed() {
		var victims []int
		testkit.Until(t, "workers that serve", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			victims = slices.DeleteFunc(workers(t, gateway), func(pid int) bool { return killed[pid] || !l.pids[pid] })
			return len(victims) > 0
		})
		victim := victims[len(killed)%len(victims)]
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed[victim] = true
		l.mu.Lock()
		served := len(l.whole)
		l.mu.Unlock()
		testkit.Until(t, "more responses", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.whole) > served
		})
	}
	close(stop)
	wait()
	if len(l.failed) > len(killed) {
		t.Errorf("%d requests failed, of %d workers that were killed", len(l.failed), len(killed))
	}
	for name, why := range l.failed {
		if !strings.HasPrefix(why, "status 502") {
			t.Errorf("request %s: %s", name, why)
		}
	}
	if n := strings.Count(log(), "signal: killed"); n < len(killed) {
		t.Errorf("the log has %d lines of %d workers that were killed", n, len(killed))
	}
	l.wantOnce(t)
	wantEnded(t, killed)
	t.Logf("%d requests, %d workers killed, %d requests failed", len(l.whole), len(killed), len(l.failed))
}

// TestWSGIImports: an application that imports for a long time, and one that cannot be imported,
// hold up no other.
func TestWSGIImports(t *testing.T) {
	installTree(t, "wsgi/imports", "/srv/imports")
	pipe := fifo(t, "/srv/test/import")
	log := startWSGI(t, "wsgi/imports")
	startNginx(t, "testdata/wsgi/nginx.conf")
	slow := make(chan page, 1)
	request, err := http.NewRequest("GET", "http://localhost/slow/", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		got, _ := fetch(t, request)
		slow <- got
	}()
	for range 20 {
		if got := getURL(t, "/quick/"); got.status != http.StatusOK || got.body != "quick\n" {
			t.Errorf("the quick application: status %d, %q", got.status, got.body)
		}
		got := getURL(t, "/broken/")
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("the broken application: status %d, %q", got.status, got.header)
		}
	}
	select {
	case got := <-slow:
		t.Errorf("the slow application: status %d before it was imported, %q", got.status, got.body)
	default:
	}
	if n := strings.Count(log(), `"line":"RuntimeError: code that does not start`); n == 0 || n > 10 {
		t.Errorf("the broken application was tried %d times for 20 requests", n)
	}
	if _, err := pipe.WriteString(strings.Repeat(".", 10)); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, "the slow application", slow); got.status != http.StatusOK || got.body != "imported at last\n" {
		t.Errorf("the slow application: status %d, %q", got.status, got.body)
	}
}
