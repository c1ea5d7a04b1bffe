package python

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

var kills = flag.Int("python.kills", 20, "how many workers TestKilledWorkers kills")

// supervised is an application whose workers are looked at from outside.
type supervised struct {
	*App
	log  testkit.Log
	dir  string
	said string // the file that its notes are in
}

// supervise returns an App for app.py, whose source has a function note, for lines of a file of notes.
func supervise(t *testing.T, l Limits, source string) *supervised {
	s := &supervised{dir: t.TempDir()}
	s.said = filepath.Join(s.dir, "notes")
	s.write(t, source)
	s.App = s.next(t, l)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", &s.log)
		}
	})
	return s
}

// write replaces the source.
func (s *supervised) write(t *testing.T, source string) {
	writeFile(t, filepath.Join(s.dir, "app.py"), `
import os, sys, time
notes = os.open('notes', os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(*words): os.write(notes, (' '.join(map(str, words)) + '\n').encode())
`+source)
}

// next returns a further App of the same application.
func (s *supervised) next(t *testing.T, l Limits) *App {
	a := &App{Application: "app:app", Dir: s.dir, Limits: l, Log: s.log.Logger(), Env: []string{"PYTHONDONTWRITEBYTECODE=1"}}
	t.Cleanup(func() { a.Close() })
	return a
}

// notes returns the lines of the file of notes.
func (s *supervised) notes() []string {
	text, _ := os.ReadFile(s.said)
	return slices.Collect(strings.Lines(string(text)))
}

// fetch returns the response to a request.
func fetch(a cgi.App, vars ...string) *cgitest.Recorder {
	return fetchContext(context.Background(), a, vars...)
}

func fetchContext(ctx context.Context, a cgi.App, vars ...string) *cgitest.Recorder {
	r := cgitest.NewRequest(cgi.NewEnviron(append([]string{"REQUEST_METHOD=GET", "SERVER_NAME=localhost", "SERVER_PORT=80"}, vars...)...))
	r.SetContext(ctx)
	var got cgitest.Recorder
	(&cgi.Handler{Log: new(testkit.Log).Logger()}).Run(r, &got, a)
	return &got
}

// whole reports whether a response is the one of the application.
func whole(got *cgitest.Recorder) bool {
	return got.Head.Code == 200 && got.Outcome.End == cgi.Complete
}

const noting = `
with open('/proc/self/stat') as f: # the number and the start: a number is used again
    worker = str(os.getpid()) + '.' + f.read().split()[21]
def app(environ, start_response):
    n = environ['N']
    note('begin', n, worker)
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '5')])
    note('end', n, worker)
    return [b'hello']
`

// workerOf returns what a worker calls itself.
func workerOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	words := strings.Fields(string(text)) // "python3" has no blank
	if len(words) < 22 {
		return ""
	}
	return words[0] + "." + words[21]
}

// TestKilledWorkers kills workers under load: each costs the request that it has, and no other, and
// none is served twice.
func TestKilledWorkers(t *testing.T) {
	a := supervise(t, Limits{Programs: 3}, noting)
	a.Start()
	var over atomic.Bool
	var served atomic.Int64
	var all sync.WaitGroup
	var mu sync.Mutex
	var sent int
	failed := make(map[string]string)
	for i := range 6 {
		all.Go(func() {
			for n := 0; !over.Load(); n++ {
				id := fmt.Sprintf("%d.%d", i, n)
				got := fetch(a, "N="+id)
				mu.Lock()
				sent++
				if whole(got) {
					served.Add(1)
				} else {
					failed[id] = got.String()
				}
				mu.Unlock()
			}
		})
	}
	killed := make(map[string]bool)
	for len(killed) < *kills {
		enough := served.Load() + rand.Int64N(100)
		testkit.Until(t, "some requests", func() bool { return served.Load() >= enough })
		var pids []int
		for _, p := range a.Measure().Processes {
			if (p.State == "busy" || p.State == "idle") && !killed[workerOf(p.PID)] {
				pids = append(pids, p.PID)
			}
		}
		if len(pids) == 0 {
			continue
		}
		pid := pids[rand.IntN(len(pids))]
		if worker := workerOf(pid); worker != "" && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed[worker] = true
		}
	}
	over.Store(true)
	all.Wait()
	begun, ended, cost := make(map[string]string), make(map[string]bool), make(map[string]int)
	for _, line := range a.notes() {
		words := strings.Fields(line)
		switch n, worker := words[1], words[2]; {
		case words[0] == "end":
			ended[n] = true
		case begun[n] != "":
			t.Errorf("request %s was served twice", n)
		default:
			begun[n] = worker
			if failed[n] != "" {
				cost[worker]++
			}
		}
	}
	unread := 0
	for n, response := range failed {
		switch worker := begun[n]; {
		case worker == "":
			unread++ // it was sent while the worker was being killed
		case !killed[worker]:
			t.Errorf("request %s has failed, and its worker %s was not killed:\n%s", n, worker, response)
		}
	}
	for worker, n := range cost {
		if n > 1 {
			t.Errorf("worker %s has cost %d requests", worker, n)
		}
	}
	if len(failed) > *kills {
		t.Errorf("%d of %d requests have failed for %d kills", len(failed), sent, *kills)
	}
	if len(ended) < sent-len(failed) {
		t.Errorf("%d of %d requests were served, %d have failed", len(ended), sent, len(failed))
	}
	t.Logf("%d requests, %d kills, %d failed, of which %d had not been read", sent, *kills, len(failed), unread)
}

// idle returns how many workers are.
func idle(a *App) (n int) {
	for _, p := range a.Measure().Processes {
		if p.State == "idle" {
			n++
		}
	}
	return n
}

// TestHungRequest: a request that takes longer than its limit is 504, and no other. The log has the stack
// of the worker, which is replaced.
func TestHungRequest(t *testing.T) {
	testkit.Longer(t, time.Second, func(t *testing.T, limit time.Duration) (early bool) {
		s := supervise(t, Limits{Programs: 2, Run: limit, Grace: 100 * time.Millisecond}, `
def the_slow_part():
    while True: time.sleep(1)
def app(environ, start_response):
    if environ['PATH_INFO'] == '/hang': the_slow_part()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']
`)
		testkit.Until(t, "the first response", func() bool { return whole(fetch(s)) })
		hung := make(chan *cgitest.Recorder)
		go func() { hung <- fetch(s, "PATH_INFO=/hang") }()
		for end := false; !end; {
			select {
			case got := <-hung:
				if end = true; got.Head.Code != 504 {
					t.Errorf("%v", got)
				}
			default:
				switch got := fetch(s); {
				case got.Head.Code == 504:
					early = true
				case !whole(got):
					t.Errorf("%v", got)
				}
			}
		}
		testkit.Until(t, "the end of the worker", func() bool { return strings.Contains(s.log.String(), "has ended") })
		plain := s.log.String()
		for _, want := range []string{"in the_slow_part", fmt.Sprintf("run of %v is over", limit), "signal: killed"} {
			if !strings.Contains(plain, want) {
				t.Errorf("the log does not say %q", want)
			}
		}
		testkit.Until(t, "its successor", func() bool { return idle(s.App) == 2 })
		return early
	})
}

// TestSlowUpload: the limit of a request does not include the time that its client takes to send it,
// and a worker serves others meanwhile.
func TestSlowUpload(t *testing.T) {
	testkit.Longer(t, 500*time.Millisecond, func(t *testing.T, limit time.Duration) (early bool) {
		s := supervise(t, Limits{Programs: 1, Run: limit, QueueWait: -1}, `
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(len(environ['wsgi.input'].read())).encode()]
`)
		fetch(s)
		body, client := io.Pipe()
		uploaded := make(chan *cgitest.Recorder)
		go func() {
			r := cgitest.NewRequest(cgi.NewEnviron("REQUEST_METHOD=POST", "CONTENT_LENGTH=20000"))
			r.Body, r.ContentLength = body, 20000
			var got cgitest.Recorder
			(&cgi.Handler{Log: s.log.Logger()}).Run(r, &got, s)
			uploaded <- &got
		}()
		client.Write(make([]byte, 10000))
		for begun := time.Now(); time.Since(begun) < 2*limit; {
			early = early || fetch(s).Head.Code == 504
		}
		client.Write(make([]byte, 10000))
		got := testkit.Receive(t, "the response", uploaded)
		if early = early || got.Head.Code == 504; early {
			return true
		}
		if got.Body.String() != "20000" {
			t.Errorf("%v", got)
		}
		return false
	})
}

// TestHungClose: a worker that hangs in close() after its response is replaced, and its client has
// all of that.
func TestHungClose(t *testing.T) {
	testkit.Longer(t, time.Second, func(t *testing.T, limit time.Duration) (early bool) {
		s := supervise(t, Limits{Programs: 1, Silence: limit, Grace: -1, QueueWait: -1}, `
class page:
    def __iter__(self): return iter([b'hello'])
    def close(self):
        if self.hangs: time.sleep(1000)
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '5')])
    p = page()
    p.hangs = environ['PATH_INFO'] == '/hang'
    return p
`)
		for _, path := range []string{"", "/hang", ""} {
			switch got := fetch(s, "PATH_INFO="+path); {
			case got.Head.Code == 504:
				return true
			case !whole(got) || got.Body.String() != "hello":
				t.Errorf("%q: %v", path, got)
			}
		}
		testkit.Until(t, "the log of its end", func() bool { return strings.Contains(s.log.String(), "still at work") })
		if !strings.Contains(s.log.String(), "in close") {
			t.Error("the log has no stack")
		}
		return false
	})
}

// TestEndings: exit functions run and threads are joined when a worker is recycled, when it is
// replaced by a reload, and when the application is closed.
func TestEndings(t *testing.T) {
	source := `
import atexit, threading
stopped = threading.Event()
def work():
    stopped.wait()
    note('joined', os.getpid())
thread = threading.Thread(target=work)
thread.start()
threading._register_atexit(stopped.set) if hasattr(threading, '_register_atexit') else None
atexit.register(lambda: note('exit', os.getpid()))
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(os.getpid()).encode()]
`
	for _, tt := range []struct {
		name   string
		limits Limits
		end    func(a *App)
	}{
		{"recycled", Limits{Requests: 1}, func(*App) {}},
		{"replaced", Limits{}, func(a *App) { testkit.Receive(t, "the end", a.Retire()) }},
		{"closed", Limits{}, func(a *App) { a.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.limits.Programs = 1
			s := supervise(t, tt.limits, source)
			pid := fetch(s).Body.String()
			tt.end(s.App)
			testkit.Until(t, "its last words", func() bool {
				text, _ := os.ReadFile(s.said)
				return bytes.Contains(text, []byte("joined "+pid+"\nexit "+pid+"\n"))
			})
		})
	}
}

// TestEverySecondImport: of an application whose import fails every other time, those workers serve
// that have started, and the others are not started over and over.
func TestEverySecondImport(t *testing.T) {
	s := supervise(t, Limits{Programs: 4, QueueWait: -1}, `
note('import')
with open('notes') as f:
    if len(f.readlines()) % 2: raise RuntimeError('not this time')
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']
`)
	s.Start()
	testkit.Until(t, "a worker", func() bool { return idle(s.App) > 0 })
	for range 20 {
		if got := fetch(s); !whole(got) {
			t.Errorf("%v", got)
		}
	}
	testkit.Until(t, "all workers", func() bool { return idle(s.App) == 4 })
	if n := len(s.notes()); n > 20 {
		t.Errorf("%d imports", n)
	}
}

// TestSlowImport: an import that takes longer than the limit is 503, and ends. The log says where it was.
func TestSlowImport(t *testing.T) {
	s := supervise(t, Limits{Programs: 1, Ready: time.Second, Grace: -1, QueueWait: -1}, "note('import', os.getpid())\ntime.sleep(1000)\n")
	testkit.Until(t, "an import", func() bool {
		if got := fetch(s); got.Head.Code != 503 || got.Field("Retry-After") == "" {
			t.Errorf("%v", got)
		}
		return len(s.notes()) > 0
	})
	if !strings.Contains(s.log.String(), "it has not said that it is ready in time (ready)") {
		t.Error("the log does not say so")
	}
	testkit.Until(t, "the stack of a worker", func() bool { return strings.Contains(s.log.String(), `app.py\", line 5 in <module>`) })
	for _, line := range s.notes() {
		pid, _ := strconv.Atoi(strings.Fields(line)[1])
		testkit.Until(t, "the end of the worker", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	}
}
