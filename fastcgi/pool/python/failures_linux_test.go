package python

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// A failure is what an application may do wrong, and what that leads to: a row of the table in docs/wsgi.md.
type failure struct {
	what string
	path string // of the application in testdata/failing.py
	body string // of the request

	client string // the status, "truncated", or both
	log    string // what the log has
	worker string // what becomes of it

	test   func(t *testing.T) // in place of the request
	limits Limits
	limit  func(l *Limits, d time.Duration) // sets the limit that passes; nil for none
}

const (
	servesOn = "serves on"
	replaced = "ends, and is replaced"
	killed   = "is terminated, and replaced"

	triedAgain = "another one is started after a pause, which doubles"
)

var failures = []failure{
	{what: "raises an exception", path: "fails", client: "500", log: "ValueError: wanted", worker: servesOn},
	{what: "raises one after the head", path: "fails_late", client: "502, or truncated", log: "ValueError: wanted", worker: servesOn},
	{what: "calls `sys.exit`", path: "exits", client: "500", log: "the application has raised SystemExit: this worker ends", worker: replaced},
	{what: "raises `KeyboardInterrupt`", path: "interrupts", client: "500", log: "the application has raised KeyboardInterrupt: this worker ends", worker: replaced},
	{what: "calls `os._exit(3)`", path: "dies", client: "502", log: "exit status 3", worker: replaced},
	{what: "calls `os._exit(3)` after the head", path: "dies_late", client: "502, or truncated", log: "exit status 3", worker: replaced},
	{what: "crashes, such as in a C library", path: "crashes", client: "502", log: "Fatal Python error: Segmentation fault", worker: replaced},
	{what: "prints", path: "prints", client: "200", log: "printed", worker: servesOn},
	{what: "forks, and the child goes on", path: "forks", client: "200", worker: servesOn},
	{what: "forks, and the child returns a response, too", path: "forks_and_returns", client: "200", worker: servesOn},
	{what: "forks, and the child calls `sys.exit`", path: "forks_and_exits", client: "200", worker: servesOn},
	{what: "writes to `wsgi.errors` from a thread, after the request", path: "starts_a_thread", client: "200", log: "from a thread", worker: servesOn},
	{what: "changes directory and umask", path: "changes_the_process", client: "200", worker: servesOn},
	{what: "sets signal handlers", path: "takes_signals", client: "200", worker: servesOn},
	{what: "closes descriptors 0 to 9", path: "closes", client: "200", worker: servesOn},
	{what: "closes all descriptors", path: "closes_all", client: "502", log: "the application has closed the descriptor of the connection to the gateway", worker: replaced},
	{what: "reads the body twice", path: "reads_twice", body: "body", client: "200", worker: servesOn},
	{what: "does not read the body", path: "reads_nothing", body: strings.Repeat("b", 1<<20), client: "200", worker: servesOn},
	{what: "returns `str`", path: "returns_str", client: "500", log: "a block of the body must be of type bytes (got str)", worker: servesOn},
	{what: "yields `b\"\"`", path: "yields_nothing", client: "200", worker: servesOn},
	{what: "sends more than its Content-Length", path: "sends_more", client: "200", log: "the response is longer than its Content-Length of 2 bytes: it was cut", worker: servesOn},
	{what: "sends less than its Content-Length", path: "sends_less", client: "502, or truncated", log: "the response ends 5 bytes before its Content-Length of 9", worker: servesOn},
	{what: "hangs", path: "hangs", client: "504", log: "in hangs", worker: killed, limit: func(l *Limits, d time.Duration) { l.Run = d }},
	{what: "hangs in `close()`", path: "hangs_in_close", client: "200", log: "in close", worker: killed, limit: func(l *Limits, d time.Duration) { l.Silence = d }},
	{what: "sends a gigabyte to a client that takes nothing of it", path: "sends_a_gigabyte", client: "truncated", log: "client gone", worker: "is asked to abort, and serves on or is replaced", test: testStuckClient},
	{what: "grows beyond `recycle_memory`", path: "leaks", client: "200", worker: replaced, limits: Limits{Memory: 100 << 20}},
	{what: "cannot be imported", path: "missing", client: "503", log: "gatehouse: there is no module missing in", worker: triedAgain, test: testMissing},
	{what: "takes longer to import than `ready`", path: "slow", client: "503", log: "it has not said that it is ready in time (ready)", worker: "is terminated; " + triedAgain, test: testSlowImport},
	{what: "cannot be imported by every second worker", path: "unsteady", client: "200", log: "ImportError: every second", worker: "serves, and the missing ones: " + triedAgain, test: testUnsteadyImport},
}

// TestFailures does for real what an application may do wrong.
func TestFailures(t *testing.T) {
	for _, f := range failures {
		t.Run(f.path, func(t *testing.T) {
			if f.test != nil {
				f.test(t)
				return
			}
			if f.limit == nil {
				f.check(t, f.limits)
				return
			}
			testkit.Longer(t, time.Second, func(t *testing.T, d time.Duration) (early bool) {
				l := f.limits
				f.limit(&l, d)
				return f.check(t, l)
			})
		})
	}
}

// check makes the request, and reports whether a limit has come too early.
func (f *failure) check(t *testing.T, l Limits) (early bool) {
	l.Programs, l.Grace, l.QueueWait = 1, time.Second, testkit.Patience
	url, log := serveApp(t, &App{Application: "failing:app", Dir: testdata(t), Env: noBytecode, Limits: l}, cgi.Limits{})
	before, pid := visit(t, url+"/pid", "")
	if before != "200" {
		return true
	}
	got, body := visit(t, url+"/"+f.path, f.body)
	if !strings.Contains(f.client, got) || got == "200" && body != "ok" || got == "truncated" && body != "part" {
		t.Errorf("the client gets %s, %q; want %s", got, body, f.client)
	}
	awaitLog(t, log, f.log)
	replaced := func() bool {
		status, now := visit(t, url+"/pid", "")
		early = early || status != "200"
		return status != "200" || now != pid
	}
	if f.worker != servesOn {
		testkit.Until(t, "another worker", replaced)
	} else if replaced() {
		t.Error("the worker was replaced")
	}
	return early
}

// noBytecode keeps Python from writing to testdata.
var noBytecode = []string{"PYTHONDONTWRITEBYTECODE=1"}

// awaitLog waits until something is in the log.
func awaitLog(t *testing.T, log *testkit.Log, text string) {
	t.Helper()
	testkit.Until(t, "the log has "+text, func() bool { return strings.Contains(strings.ReplaceAll(log.String(), `\"`, `"`), text) })
}

// testStuckClient: a client takes nothing, and the spool of the response is full.
func testStuckClient(t *testing.T) {
	testkit.Longer(t, time.Second, func(t *testing.T, limit time.Duration) (early bool) {
		l := Limits{Programs: 1, QueueWait: testkit.Patience}
		l.Spool.Max = 1 << 20
		url, log := serveApp(t, &App{Application: "failing:app", Dir: testdata(t), Env: noBytecode, Limits: l}, cgi.Limits{Write: limit})
		before, _ := visit(t, url+"/pid", "")
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /sends_a_gigabyte HTTP/1.1\r\nHost: x\r\n\r\n")
		testkit.Until(t, "the end of the request", func() bool { return strings.Contains(log.String(), "sends_a_gigabyte") })
		if after, _ := visit(t, url+"/pid", ""); before != "200" || after != "200" {
			return true
		}
		c.SetReadDeadline(time.Now().Add(testkit.Patience))
		if got, err := io.ReadAll(c); bytes.HasSuffix(got, []byte("\r\n0\r\n\r\n")) {
			t.Errorf("the response looks whole (%v)", err)
		}
		return false
	})
}

// testMissing: there is no such module.
func testMissing(t *testing.T) {
	url, log := serveApp(t, &App{Application: "missing:app", Dir: t.TempDir(), Limits: Limits{Programs: 1, QueueWait: -1}}, cgi.Limits{})
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("%v", r)
	}
	awaitLog(t, log, "gatehouse: there is no module missing in")
	awaitLog(t, log, "application does not start")
}

// testSlowImport: an import takes longer than the limit.
func testSlowImport(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "slow.py"), "import threading\nthreading.Event().wait()")
	url, log := serveApp(t, &App{Application: "slow:app", Dir: dir, Env: noBytecode, Limits: Limits{Programs: 1, QueueWait: -1, Ready: time.Second, Grace: -1}}, cgi.Limits{})
	if status, _ := visit(t, url, ""); status != "503" {
		t.Errorf("status %s", status)
	}
	awaitLog(t, log, "it has not said that it is ready in time (ready)")
}

// testUnsteadyImport: an import fails in every second worker.
func testUnsteadyImport(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "unsteady.py"), `
import os
try:
    os.mkdir('odd')
except FileExistsError:
    os.rmdir('odd')
    raise ImportError('every second') from None

def app(environ, start_response):
    start_response('200 OK', [])
    return [b'ok']
`)
	url, log := serveApp(t, &App{Application: "unsteady:app", Dir: dir, Env: noBytecode, Limits: Limits{Programs: 2, QueueWait: testkit.Patience}}, cgi.Limits{})
	testkit.Until(t, "a failed import", func() bool {
		if status, _ := visit(t, url, ""); status != "200" {
			t.Errorf("status %s", status)
		}
		return strings.Contains(log.String(), "ImportError: every second")
	})
}

// serveApp serves an App over HTTP, and returns its URL and its log.
func serveApp(t *testing.T, a *App, l cgi.Limits) (url string, log *testkit.Log) {
	t.Helper()
	log = new(testkit.Log)
	a.Log = log.Logger()
	if err := a.Prepare(); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer((&cgi.Handler{Log: log.Logger()}).HTTP(a, l))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		s.Close()
		a.Close()
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	return s.URL, log
}

// visit returns the status of a response, or "truncated", and its body.
func visit(t *testing.T, url, body string) (status, got string) {
	t.Helper()
	var r *http.Response
	var err error
	if body == "" {
		r, err = http.Get(url)
	} else {
		r, err = http.Post(url, "text/plain", strings.NewReader(body))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return "truncated", string(b)
	}
	return fmt.Sprint(r.StatusCode), string(b)
}

// TestFailuresPage: the table of the page is that of the test.
func TestFailuresPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "wsgi.md"))
	if err != nil {
		t.Fatal(err)
	}
	const head = "| The application | The client gets | The log has | Its worker |\n|---|---|---|---|\n"
	var want strings.Builder
	for _, f := range failures {
		log := ""
		if f.log != "" {
			log = "`" + f.log + "`"
		}
		fmt.Fprintf(&want, "| %s | %s | %s | %s |\n", f.what, f.client, log, f.worker)
	}
	if _, table, _ := strings.Cut(string(page), head); !strings.HasPrefix(table, want.String()+"\n") {
		t.Errorf("docs/wsgi.md does not have this table:\n%s%s", head, want.String())
	}
}
