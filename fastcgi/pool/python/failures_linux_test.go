package python

import (
	"fmt"
	"io"
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

	client string // the status, or "truncated"
	log    string // what the log has
	worker string // what becomes of it

	limits Limits
	limit  func(l *Limits, d time.Duration) // sets the limit that passes; nil for none
}

const (
	servesOn = "serves on"
	replaced = "ends, and is replaced"
	killed   = "is terminated, and replaced"
)

var failures = []failure{
	{what: "raises an exception", path: "fails", client: "500", log: "ValueError: wanted", worker: servesOn},
	{what: "raises one after the head", path: "fails_late", client: "truncated", log: "ValueError: wanted", worker: servesOn},
	{what: "calls `sys.exit`", path: "exits", client: "500", log: "the application has raised SystemExit: this worker ends", worker: replaced},
	{what: "raises `KeyboardInterrupt`", path: "interrupts", client: "500", log: "the application has raised KeyboardInterrupt: this worker ends", worker: replaced},
	{what: "calls `os._exit(3)`", path: "dies", client: "502", log: "exit status 3", worker: replaced},
	{what: "calls `os._exit(3)` after the head", path: "dies_late", client: "truncated", log: "exit status 3", worker: replaced},
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
	{what: "sends less than its Content-Length", path: "sends_less", client: "truncated", log: "the response ends 5 bytes before its Content-Length of 9", worker: servesOn},
	{what: "hangs", path: "hangs", client: "504", log: "in hangs", worker: killed, limit: func(l *Limits, d time.Duration) { l.Run = d }},
	{what: "hangs in `close()`", path: "hangs_in_close", client: "200", log: "in close", worker: killed, limit: func(l *Limits, d time.Duration) { l.Silence = d }},
	{what: "grows beyond `recycle_memory`", path: "leaks", client: "200", worker: replaced, limits: Limits{Memory: 100 << 20}},
}

// TestFailures does for real what an application may do wrong.
func TestFailures(t *testing.T) {
	for _, f := range failures {
		t.Run(f.path, func(t *testing.T) {
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
	l.Programs, l.Grace, l.QueueWait = 1, 10*time.Second, testkit.Patience
	url, log := serveApp(t, &App{Application: "failing:app", Dir: testdata(t), Env: []string{"PYTHONDONTWRITEBYTECODE=1"}, Limits: l})
	before, pid := get(t, url+"/pid", "")
	if before != "200" {
		return true
	}
	got, body := get(t, url+"/"+f.path, f.body)
	if got != f.client || got == "200" && body != "ok" || got == "truncated" && body != "part" {
		t.Errorf("the client gets %s, %q; want %s", got, body, f.client)
	}
	testkit.Until(t, "the log", func() bool { return strings.Contains(strings.ReplaceAll(log.String(), `\"`, `"`), f.log) })
	replaced := func() bool {
		status, now := get(t, url+"/pid", "")
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

// serveApp serves an App over HTTP, and returns its URL and its log.
func serveApp(t *testing.T, a *App) (url string, log *testkit.Log) {
	t.Helper()
	log = new(testkit.Log)
	a.Log = log.Logger()
	if err := a.Prepare(); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer((&cgi.Handler{Log: log.Logger()}).HTTP(a, cgi.Limits{}))
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

// get returns the status of a response, or "truncated", and its body.
func get(t *testing.T, url, body string) (status, got string) {
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
