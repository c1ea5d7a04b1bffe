//go:build linux

package script

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// groupLives reports whether a process of the group is there and no zombie.
func groupLives(pgid int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, _ := os.ReadFile(name)
		f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(f) > 2 && f[2] == strconv.Itoa(pgid) && f[0] != "Z" && f[0] != "X" {
			return true
		}
	}
	return false
}

// checkNoGroup asserts that nothing is left of the process group whose number the
// script wrote into the file.
func checkNoGroup(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pgid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pgid <= 1 {
		t.Fatalf("the script wrote %q for its group: %v", text, err)
	}
	// What was killed may be a zombie until init, or what stands for it, reaps it.
	testkit.Until(t, "the end of process group "+strconv.Itoa(pgid), func() bool {
		return syscall.Kill(-pgid, 0) == syscall.ESRCH || !groupLives(pgid)
	})
}

func TestTimeLimits(t *testing.T) {
	const short = 20 * time.Millisecond
	for _, c := range []struct {
		name   string
		script string // runs once the body, a single byte, has begun to move
		limits Limits
		code   int
		end    cgi.End
		text   string
	}{
		{"first byte", "sleep 1000 & wait", Limits{FirstByte: short}, 504, cgi.Complete, "first_byte of 20ms"},
		{"silence", "sleep 1000 & wait", Limits{Silence: time.Second, FirstByte: -1}, 504, cgi.Complete, "silence of 1s"},
		{"silence after the head", head + "echo part\nsleep 1000 & wait", Limits{Silence: 3 * time.Second}, 200, cgi.Truncated, "silence of 3s"},
		{"run", "while :; do printf 'X-A: 1\\n'; sleep 0.01; done", Limits{Run: time.Second}, 504, cgi.Complete, "run of 1s"},
		{"deaf to TERM", "trap '' TERM\nsleep 1000 & sleep 1000", Limits{FirstByte: short, Grace: short}, 504, cgi.Complete, "first_byte"},
		{"no grace", "sleep 1000 & wait", Limits{FirstByte: short, Grace: -1}, 504, cgi.Complete, "first_byte"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.Limits = c.limits
			f.Streaming = true
			fifo := f.fifo(t, "fifo")
			f.sh(t, "slow", "echo $$ >pgid\necho up >fifo\n"+c.script)
			body := io.MultiReader(&afterStart{fifo: fifo, err: io.EOF}, strings.NewReader("x"))
			_, res := f.serve(withBody(request("/slow"), 1, body))
			if res.Code != c.code || res.End != c.end || res.Err == nil || !strings.Contains(res.Err.Error(), c.text) ||
				!strings.Contains(res.Err.Error(), f.dir+"/slow") {
				t.Errorf("%d, %v, %v; want %d, %v, %q", res.Code, res.End, res.Err, c.code, c.end, c.text)
			}
			f.Close()
			checkNoGroup(t, filepath.Join(f.dir, "pgid"))
		})
	}
}

// TestGrace: what is left of the group when its leader has ended keeps its grace.
func TestGrace(t *testing.T) {
	f := newFixture(t)
	f.Limits.Grace = time.Hour
	f.sh(t, "slow", `echo $$ >pgid
(
	trap 'printf "%s" whole >clean; exit' TERM
	printf 'X-A: 1\n\nready'
	while :; do sleep 0.01; done
) &
wait`)
	ctx, cancel := context.WithCancelCause(background)
	r := request("/slow")
	r.SetContext(ctx)
	s := new(recorder)
	s.onFlush = func(body string) {
		if body == "ready" {
			cancel(cgi.ErrAborted)
		}
	}
	if res := f.serveTo(r, s); res.End != cgi.Aborted {
		t.Errorf("%v, %v; want aborted", res.End, res.Err)
	}
	f.Close()
	if text, err := os.ReadFile(filepath.Join(f.dir, "clean")); err != nil || string(text) != "whole" {
		t.Errorf("%q, %v; want that the child could clean up", text, err)
	}
	checkNoGroup(t, filepath.Join(f.dir, "pgid"))
}

func TestR61AbortEndsTheGroup(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "slow", "echo $$ >pgid\n"+head+"echo part\nsleep 1000 & wait")
	ctx, cancel := context.WithCancelCause(background)
	r := request("/slow")
	r.SetContext(ctx)
	s := new(recorder)
	s.onFlush = func(string) { cancel(cgi.ErrAborted) }
	res := f.serveTo(r, s)
	if res.End != cgi.Aborted || !errors.Is(res.Err, cgi.ErrAborted) {
		t.Errorf("%v, %v; want aborted", res.End, res.Err)
	}
	f.Close()
	checkNoGroup(t, filepath.Join(f.dir, "pgid"))
}

func TestFailingWriterEndsTheGroup(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "endless", "echo $$ >pgid\n"+head+"exec yes")
	s := new(failingSink)
	h := cgi.Handler{Log: f.Log}
	if res := h.Run(request("/endless"), s, f.App); res.End != cgi.Aborted {
		t.Errorf("%v, %v; want aborted", res.End, res.Err)
	}
	panics := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		return f.App.ServeCGI(panickingWriter{w}, r)
	})
	if res := h.Run(request("/endless"), new(recorder), panics); res.Code != 500 && res.End != cgi.Truncated {
		t.Errorf("%v, %v; want what a panic gives", res.End, res.Err)
	}
	f.Close()
	checkNoGroup(t, filepath.Join(f.dir, "pgid"))
}

type failingSink struct{ recorder }

func (*failingSink) Write([]byte) (int, error) { return 0, syscall.EPIPE }

type panickingWriter struct{ cgi.ResponseWriter }

func (panickingWriter) Write([]byte) (int, error) { panic("no") }

func TestCloseEndsAll(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "slow", "echo $$ >pgid\n"+head+"echo part\nsleep 1000 & wait")
	s := new(recorder)
	closed := make(chan error, 1)
	s.onFlush = func(string) { go func() { closed <- f.Close() }() }
	res := f.serveTo(request("/slow"), s)
	if res.End != cgi.Truncated || !errors.Is(res.Err, cgi.ErrShutdown) {
		t.Errorf("%v, %v; want truncated by the shutdown", res.End, res.Err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	checkNoGroup(t, filepath.Join(f.dir, "pgid"))
	_, res = f.serve(request("/slow"))
	checkRefused(t, res, 503, "closed")
}

func TestNothingIsLeft(t *testing.T) {
	f, slow := newFixture(t), newFixture(t)
	slow.Limits.FirstByte = 20 * time.Millisecond
	f.Limits.Spool.Memory = 1
	f.sh(t, "ok", head+"cat")
	f.sh(t, "bad", "echo bad")
	f.write(t, "broken", "#!/nonexistent\n", 0o755)
	slow.sh(t, "slow", "sleep 1000")
	before := testkit.Descriptors(t)
	for i := range 20 {
		for path, code := range map[string]int{"/ok": 200, "/bad": 502, "/slow": 504, "/broken": 502, "/missing": 404} {
			app := f
			if path == "/slow" {
				app = slow
			}
			_, res := app.serve(withBody(request(path), int64(i%2*6-1), strings.NewReader("hello")))
			if res.Code != code {
				t.Fatalf("%s: %d, %v; want %d", path, res.Code, res.Err, code)
			}
		}
	}
	for _, app := range []*fixture{f, slow} {
		app.Close()
		if len(app.state.running) != 0 || app.Load().Running != 0 {
			t.Errorf("%d programs run, %d places are taken", len(app.state.running), app.Load().Running)
		}
	}
	if after := testkit.Descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestAbortsAtAnyTime gives requests up at every stage of their lives.
func TestAbortsAtAnyTime(t *testing.T) {
	f := newFixture(t)
	f.Limits = Limits{Programs: 3, Grace: time.Second}
	f.sh(t, "echo", head+"echo up\ncat\necho oops >&2")
	before := testkit.Descriptors(t)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			ctx, cancel := context.WithCancelCause(background)
			defer cancel(nil)
			body, more := io.Pipe()
			go func() {
				more.Write([]byte("hello"))
				if i%3 > 0 {
					more.Close()
				}
			}()
			defer more.Close()
			r := withBody(request("/echo"), int64(i%2*7-1), body)
			r.SetContext(ctx)
			abort := time.AfterFunc(time.Duration(i)*time.Millisecond/4, func() {
				cancel(cgi.ErrAborted)
				more.CloseWithError(cgi.ErrAborted) // as a front-end's Body does
			})
			defer abort.Stop()
			_, res := f.serve(r)
			if res.End == cgi.Complete && res.Code == 200 && i%2 == 1 {
				t.Error("6 bytes were announced, 5 came, and the answer is complete")
			}
		})
	}
	wg.Wait()
	f.Close()
	if l := f.Load(); len(f.state.running) != 0 || l.Running != 0 || l.Waiting != 0 {
		t.Errorf("%d run, %+v", len(f.state.running), l)
	}
	if after := testkit.Descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestProgramThatLeavesItsGroup: the limits hold also for a program that joins the
// gateway's own group.
func TestProgramThatLeavesItsGroup(t *testing.T) {
	f := newFixture(t)
	f.Limits.Grace = time.Millisecond
	f.link(t, "deserter", "deserter")
	ctx, cancel := context.WithCancelCause(background)
	r := request("/deserter")
	r.SetContext(ctx)
	s := new(recorder)
	s.onFlush = func(body string) {
		if body != "<nil>" {
			t.Errorf("leaving the group: %s", body)
		}
		cancel(cgi.ErrAborted)
	}
	if res := f.serveTo(r, s); res.End != cgi.Aborted {
		t.Errorf("%v, %v; want aborted", res.End, res.Err)
	}
	f.Close() // returns when no program is left
}

// TestTruncationNamesTheProgram: the log tells whose answer was shorter than it said.
func TestTruncationNamesTheProgram(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "short", "printf 'Content-Length: 100\n\nhello'")
	if _, res := f.serve(request("/short")); res.End != cgi.Truncated {
		t.Errorf("%v, %v; want truncated", res.End, res.Err)
	}
	if log := f.log.String(); !strings.Contains(log, "script="+f.dir+"/short") || strings.Count(log, "\n") != 1 {
		t.Errorf("log %q", log)
	}
}

// TestExitComesLate: a program that is killed once it has written all has not completed
// its response, however long the system takes to end it.
func TestExitComesLate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.sh(t, "killed", head+"echo all; kill -9 $$")
	returned := make(chan struct{})
	f.Prepare()
	f.state.testHook = func(stage string) {
		if stage != "wait" {
			return
		}
		select {
		case <-returned:
		case <-time.After(exitDelay * 3 / 2):
		}
	}
	_, res := f.serve(withBody(request("/killed"), 5, strings.NewReader("hello")))
	close(returned)
	if res.Err == nil || !strings.Contains(res.Err.Error(), "signal: killed") {
		t.Errorf("code %d, %v, %v; want an end by a signal", res.Code, res.End, res.Err)
	}
}

// TestCloseAtTheBeginning: a program may have ended before its body is passed on.
func TestCloseAtTheBeginning(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.sh(t, "slow", "sleep 1000 & wait")
	f.Prepare()
	f.state.testHook = func(stage string) {
		if stage == "begin" {
			f.Close()
		}
	}
	_, res := f.serve(withBody(request("/slow"), 5, strings.NewReader("hello")))
	checkRefused(t, res, 503, "shut down")
}

// madeID is an id of a request in the log.
var madeID = regexp.MustCompile(`request=[0-9a-z]{8}-1\b`)

// TestOutlived: what becomes of a program that had closed its stdout is logged.
func TestOutlived(t *testing.T) {
	f := newFixture(t)
	fifo := f.fifo(t, "fifo")
	f.sh(t, "outlives", head+"echo done; exec >&- 2>&-; read x <fifo; exit 9")
	s, res := f.serve(request("/outlives"))
	checkOK(t, s, res, "done\n")
	writeFifo(t, fifo)
	waitIdle(t, f)
	if want := `msg="program ended after its response" request=x-1 script=` + f.dir + `/outlives error="exit status 9"`; !strings.Contains(madeID.ReplaceAllString(f.log.String(), "request=x-1"), want) {
		t.Errorf("log %q; want %s", f.log, want)
	}
}
