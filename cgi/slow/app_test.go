package slow

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// A fixture is an App with its log.
type fixture struct {
	*App
	log     *testkit.Log
	handler cgi.Handler
}

func newFixture(t *testing.T, a cgi.App, l Limits) *fixture {
	f := &fixture{log: new(testkit.Log)}
	f.App = &App{App: a, Name: "/shop", Limits: l, Log: f.log.Logger()}
	f.handler.Log = slog.New(slog.DiscardHandler)
	t.Cleanup(func() { f.Close() })
	return f
}

func request(id uint64) *cgi.Request {
	n := strconv.FormatUint(id, 10)
	return &cgi.Request{ID: id, Env: cgi.NewEnviron("REQUEST_METHOD=GET", "REQUEST_URI=/shop/"+n+"?q", "PATH_INFO=/shop/"+n, "SERVER_PROTOCOL=HTTP/1.1")}
}

// begin runs the request in the background, and returns a function that waits for its end.
func (f *fixture) begin(r *cgi.Request, s cgi.Sink) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.handler.Run(r, s, f.App)
	}()
	return func() { <-done }
}

// lines returns the lines of the log that have the text.
func (f *fixture) lines(text string) (lines []string) {
	for line := range strings.Lines(f.log.String()) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (f *fixture) await(t *testing.T, text string) string {
	t.Helper()
	testkit.Until(t, text, func() bool { return len(f.lines(text)) > 0 })
	return f.lines(text)[0]
}

func want(t *testing.T, line string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(line, p) {
			t.Errorf("no %q in the line:\n%s", p, line)
		}
	}
}

//go:noinline
func askDatabase(n int, c <-chan struct{}) {
	if n > 0 {
		askDatabase(n-1, c)
		return
	}
	<-c
}

//go:noinline
func askCache(c <-chan struct{}) { <-c }

// TestHandlerStack: of many handlers that run, the line has the stack of the one that is slow,
// and of that what belongs to the handler. A Handler with time limits changes nothing in that.
func TestHandlerStack(t *testing.T) {
	for name, limit := range map[string]time.Duration{"bare": 0, "limited": time.Hour} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			others := make([]*fixture, 3)
			for i := range others {
				others[i] = newFixture(t, cgi.FromHTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { askCache(release) })), Limits{After: time.Hour})
				defer others[i].begin(request(1), new(cgitest.Recorder))()
				defer others[i].begin(request(2), new(cgitest.Recorder))()
			}
			defer close(release)
			var line string
			testkit.Longer(t, 10*time.Millisecond, func(t *testing.T, after time.Duration) (early bool) {
				release := make(chan struct{})
				f := newFixture(t, cgi.FromHTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { askDatabase(3, release) })), Limits{After: after})
				f.handler.RunTime = limit
				defer f.begin(request(7), new(cgitest.Recorder))()
				defer close(release)
				line = f.await(t, "request is slow")
				return !strings.Contains(line, "askDatabase")
			})
			want(t, line, "level=WARN", "request=7", "app=/shop", "method=GET", "uri=/shop/7?q", "age=", `stage="application at work"`,
				"stack=\"gatehouse/cgi/slow.askDatabase", "app_test.go:", "cgi.(*httpApp).ServeCGI")
			for _, alien := range []string{"askCache", "slow.step", "(*call)", "Handler).Run", "goexit", "left_out"} {
				if strings.Contains(line, alien) {
					t.Errorf("%s is in the line:\n%s", alien, line)
				}
			}
		})
	}
}

// TestDeepStack: the calls of a stack are bounded, and one that is too deep is said to be.
func TestDeepStack(t *testing.T) {
	for _, tt := range []struct {
		calls int
		want  []string
	}{
		{80, []string{"slow.askDatabase", "more"}},
		{1000, []string{"the stack is too deep"}},
	} {
		testkit.Longer(t, 10*time.Millisecond, func(t *testing.T, after time.Duration) (early bool) {
			release := make(chan struct{})
			f := newFixture(t, cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error {
				askDatabase(tt.calls, release)
				return nil
			}), Limits{After: after})
			defer f.begin(request(1), new(cgitest.Recorder))()
			defer close(release)
			line := f.await(t, "request is slow")
			if n := strings.Count(line, "slow.askDatabase"); n > maxCalls {
				t.Errorf("%d calls are in the line", n)
			}
			for _, part := range tt.want {
				early = early || !strings.Contains(line, part)
			}
			return early
		})
	}
}

// TestNumbers: the number that a stack spells is that of the request.
func TestNumbers(t *testing.T) {
	for _, n := range []uint32{0x01234567, 0x89abcdef, 0xffffffff, 0} {
		release, ready := make(chan struct{}), make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			c := call{number: n, left: digits, app: cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error {
				close(ready)
				askCache(release)
				return nil
			})}
			c.next()
		}()
		<-ready
		if s := stackOf(n); !strings.Contains(s, "slow.askCache") {
			t.Errorf("%08x: %s", n, s)
		}
		if s := stackOf(n ^ 0x10); !strings.HasPrefix(s, "not found") {
			t.Errorf("%08x has the stack of %08x: %s", n^0x10, n, s)
		}
		close(release)
		<-done
	}
}

// TestInterval: one request is logged in an interval. Of those that were left out, one that
// still runs is the next, and none is lost.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends := make(map[uint64]chan struct{})
		f := newFixture(t, cgi.AppFunc(func(_ cgi.ResponseWriter, r *cgi.Request) error { <-ends[r.ID]; return nil }),
			Limits{After: time.Second, Interval: 10 * time.Second})
		waits := make(map[uint64]func())
		for id := uint64(1); id <= 4; id++ {
			ends[id] = make(chan struct{})
		}
		for id := uint64(1); id <= 4; id++ {
			waits[id] = f.begin(request(id), new(cgitest.Recorder))
			time.Sleep(time.Millisecond)
		}
		end := func(id uint64) { close(ends[id]); waits[id]() }
		time.Sleep(5 * time.Second)
		if l := f.lines("request"); len(l) != 1 || !strings.Contains(l[0], "request=1 ") {
			t.Fatalf("after 5 s: %q", l)
		}
		end(1)
		end(2)
		time.Sleep(8 * time.Second) // 13 s
		l := f.lines("request")
		if len(l) != 2 || !strings.Contains(l[1], "request=3 ") || !strings.Contains(l[1], "left_out=2") {
			t.Fatalf("after 13 s: %q", l)
		}
		end(3)
		time.Sleep(10 * time.Second)
		if l := f.lines("request"); len(l) != 2 { // 2 and 4 have been counted
			t.Fatalf("after 23 s: %q", l)
		}
		end(4)
	})
}

// TestLeftOut: slow requests of which none runs any more when the log has room are counted in
// a line of their own.
func TestLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cgi.AppFunc(func(_ cgi.ResponseWriter, r *cgi.Request) error {
			time.Sleep(3 * time.Second)
			return nil
		}), Limits{After: time.Second})
		for id := uint64(1); id <= 3; id++ {
			f.begin(request(id), new(cgitest.Recorder))()
		}
		time.Sleep(time.Minute)
		l := f.lines("request")
		if len(l) != 2 || !strings.Contains(l[0], "request=1 ") || !strings.Contains(l[1], "left_out=2") || strings.Contains(l[1], "request is slow") {
			t.Errorf("%q", l)
		}
		want(t, f.log.String(), "slow_interval")
	})
}

// TestEnded: a request that ends while its line is being made has none.
func TestEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error {
			time.Sleep(time.Second + stageTime/2)
			return nil
		}), Limits{After: time.Second})
		f.begin(request(1), new(cgitest.Recorder))()
		time.Sleep(time.Minute)
		if l := f.lines("request is slow"); len(l) != 0 {
			t.Errorf("%q", l)
		}
		want(t, f.log.String(), "left_out=1")
	})
}

// TestFast: a request that is not slow has no line, and when none runs, no timer does.
func TestFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error {
			time.Sleep(900 * time.Millisecond)
			return nil
		}), Limits{After: time.Second})
		for id := uint64(1); id <= 20; id++ {
			f.begin(request(id), new(cgitest.Recorder))()
		}
		time.Sleep(time.Minute)
		if s := f.log.String(); s != "" {
			t.Errorf("logged: %s", s)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.waiting || f.requests.ring.after != &f.requests.ring {
			t.Error("a timer runs, or a request is left")
		}
	})
}

// TestClosed: nothing is logged after Close, of which requests that run take no notice.
func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error {
			time.Sleep(time.Minute)
			return nil
		}), Limits{After: time.Second})
		wait := f.begin(request(1), new(cgitest.Recorder))
		time.Sleep(time.Millisecond)
		f.Close()
		f.begin(request(2), new(cgitest.Recorder))()
		wait()
		if s := f.log.String(); s != "" {
			t.Errorf("logged: %s", s)
		}
	})
}

// TestPanic: an application that panics is forgotten, too.
func TestPanic(t *testing.T) {
	f := newFixture(t, cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { panic("no") }), Limits{After: time.Hour})
	if res := f.handler.Run(request(1), new(cgitest.Recorder), f.App); res.Code != 500 {
		t.Errorf("%+v", res)
	}
	if f.requests.ring.after != &f.requests.ring {
		t.Error("the request is left")
	}
}

// A stuck sink, or body, waits in each call until it is released.
type stuck struct {
	cgitest.Recorder
	release chan struct{}
}

func (s stuck) Read([]byte) (int, error)        { <-s.release; return 0, io.EOF }
func (s *stuck) Write(p []byte) (int, error)    { <-s.release; return len(p), nil }
func (s *stuck) Finish(o cgi.Outcome) (e error) { return nil }

// TestStages: the line says whom the request waits for.
func TestStages(t *testing.T) {
	for _, tt := range []struct {
		name  string
		app   cgi.App
		stage cgi.Stage
	}{
		{"body", cgi.AppFunc(func(_ cgi.ResponseWriter, r *cgi.Request) error {
			_, err := io.Copy(io.Discard, r.Body)
			return err
		}), cgi.StageBody},
		{"client", cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			cgi.EnableFullDuplex(w)
			w.StartResponse("200 OK", nil)
			_, err := w.Write(make([]byte, 1<<20))
			return err
		}), cgi.StageClient},
		{"handler", cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			w.Write(make([]byte, 1<<20))
		})), cgi.StageClient},
	} {
		for _, limit := range []time.Duration{0, time.Hour} {
			t.Run(tt.name+limit.String(), func(t *testing.T) {
				testkit.Longer(t, 10*time.Millisecond, func(t *testing.T, after time.Duration) (early bool) {
					s := &stuck{release: make(chan struct{})}
					f := newFixture(t, tt.app, Limits{After: after})
					f.handler.RunTime = limit
					r := request(1)
					r.ContentLength, r.Body = 10, s
					wait := f.begin(r, s)
					line := f.await(t, "request is slow")
					want(t, line, "stack=")
					close(s.release)
					wait()
					return !strings.Contains(line, `stage="`+tt.stage.String()+`"`)
				})
			})
		}
	}
}

// TestNoAllocation: a request that is not slow allocates nothing.
func TestNoAllocation(t *testing.T) {
	a := &App{App: cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { return nil }), Limits: Limits{After: time.Hour}}
	defer a.Close()
	r := request(1)
	if n := testing.AllocsPerRun(1000, func() { a.ServeCGI(nil, r) }); n > 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFast(b *testing.B) {
	app := cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { return nil })
	for name, a := range map[string]cgi.App{"bare": app, "watched": &App{App: app, Limits: Limits{After: time.Hour}}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := request(1)
			for b.Loop() {
				a.ServeCGI(nil, r)
			}
		})
	}
}

// BenchmarkStack is what it takes to find the stack of one goroutine among many.
func BenchmarkStack(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(errors.New("end"))
			for range n {
				go askDatabase(10, ctx.Done())
			}
			for b.Loop() {
				stackOf(1)
			}
		})
	}
}
