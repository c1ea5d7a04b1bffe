// Package slow logs requests that take long while they still run, with what they wait for: the
// processes of a program as a tree, or the stack of the goroutine that runs a Go handler.
//
//	app := &slow.App{App: cgi.FromHTTP(h), Name: "shop", Limits: slow.Limits{After: 2 * time.Second}}
//	defer app.Close()
//	err := fastcgi.Serve(l, cgi.ToHTTP(app))
//
// # The line
//
// A request that has run longer than Limits.After gets one line of level WARN, "request is
// slow", with its id, the application, method and URI, its age, and
//
//   - stage: what it waits for: its turn in the queue, a connection, the client's body, the
//     client that does not read, or the application itself;
//   - program or address: what works on it, and for how long it has been silent;
//   - processes: those of the program, as [process.Inspection] shows them, and unread, what
//     of that could not be read, and why;
//   - stack: what the goroutine of a Go handler is doing, the innermost call first.
//
// Nothing is logged of a request that has ended by then. Of the requests of one application,
// one is logged in Limits.Interval; the others are counted in the next line, as left_out. If
// one of them still runs when the interval is over, it is the next.
//
// # Cost
//
// An App keeps the requests under way in a list, in the order in which they came, and looks at
// the oldest of them with one timer: a request that is not slow costs neither a timer nor an
// allocation. When one is slow, the system is asked about the processes of that one program,
// for a second at most.
//
// # How a goroutine is found
//
// Go has no way to ask for the stack of one goroutine. A trace of all (runtime.Stack) halts
// the process: for 15 µs or more for each of the others, some 150 ms with ten thousand
// idle connections. The goroutine profile (runtime/pprof) lets them run, but tells neither
// their numbers nor the arguments of calls, and labels would be in the way of those that a
// handler sets. So an App calls the application through functions whose names spell the
// number of the request (step0 to stepf), and the stack that has them in this order is that of
// the request. Only the 128 innermost calls of a goroutine are in the profile: of a deeper
// stack nothing is found. With more than 20,000 goroutines none is looked for.
package slow

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"gatehouse/cgi"
)

// Limits say what is slow, and how often the log says so.
type Limits struct {
	After    time.Duration // a request that takes longer is slow; zero and less: none is
	Interval time.Duration // at most one of an application is logged in it: 10 s (negative: each is)
}

func (l Limits) interval() time.Duration {
	if l.Interval == 0 {
		return 10 * time.Second
	}
	return max(0, l.Interval)
}

// An App is a cgi.App that runs another, and logs which requests are slow. The fields must not
// be changed once requests are served, and an App must not be copied then.
type App struct {
	App cgi.App

	// Name names the application in the log.
	Name string

	// Limits say what is slow.
	Limits Limits

	// Log receives the lines. If nil, it is slog.Default().
	Log *slog.Logger

	once sync.Once
	base uint32 // of the numbers of its requests

	mu       sync.Mutex
	requests list
	timer    *time.Timer
	waiting  bool      // the timer runs, or look does
	closed   bool      // nothing is logged any more
	logged   time.Time // when the last line was written
	leftOut  int       // slow requests since then that have none

	looking sync.Mutex // held by look
}

// ServeCGI runs App.
func (a *App) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if a.Limits.After <= 0 {
		return a.App.ServeCGI(w, r)
	}
	a.once.Do(a.init)
	e := a.begin(r)
	cgi.Watch(w, r, &e.progress)
	defer a.end(w, r, e)
	c := call{app: a.App, w: w, r: r, number: e.number, left: digits}
	return c.next()
}

// Unwrap returns App, for [cgi.Mounts] and [cgi.Measure].
func (a *App) Unwrap() cgi.App { return a.App }

// Close has nothing logged any more: it returns when a line that is being made has been
// written, which takes little more than a second.
func (a *App) Close() error {
	a.mu.Lock()
	a.closed = true
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	a.looking.Lock()
	defer a.looking.Unlock()
	return nil
}

func (a *App) init() {
	a.base = rand.Uint32() << shortDigits // so that the numbers of two Apps differ
	a.requests.init()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = time.AfterFunc(time.Hour, a.look)
	a.timer.Stop()
}

func (a *App) log() *slog.Logger { return cmp.Or(a.Log, slog.Default()) }

// begin notes a request.
func (a *App) begin(r *cgi.Request) *entry {
	now := time.Now()
	method, target := r.Env.Get("REQUEST_METHOD"), r.Env.RequestTarget()
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.requests.add()
	if e.number == 0 {
		e.number = a.base + a.requests.made
	}
	e.request, e.begun, e.method, e.target = r, now, method, target
	if !a.waiting && !a.closed {
		a.waiting = true
		a.timer.Reset(a.Limits.After)
	}
	return e
}

// end forgets it.
func (a *App) end(w cgi.ResponseWriter, r *cgi.Request, e *entry) {
	cgi.Watch(w, r, nil)
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !e.judged && now.Sub(e.begun) >= a.Limits.After {
		a.leftOut++ // look has come too late: nothing was to be logged before
	}
	e.request = nil
	a.requests.remove(e)
}

// look is what the timer calls: it logs what is slow and due, and sets the timer for what
// comes next.
func (a *App) look() {
	a.looking.Lock()
	defer a.looking.Unlock()
	for {
		a.mu.Lock()
		e, unlogged, wait := a.due(time.Now())
		if a.waiting = e != nil || unlogged > 0 || wait > 0; a.waiting && wait > 0 {
			a.timer.Reset(wait)
		}
		a.mu.Unlock()
		switch {
		case e != nil:
			a.report(e)
		case unlogged > 0:
			a.log().Warn("requests were slow, and ended before each had a line (slow_interval)", "app", a.Name, "left_out", unlogged)
		default:
			return
		}
	}
}

// due returns the request that is to be logged now; or how many are only to be counted; or
// how long to wait until one may be due, 0 for as long as nothing runs. mu is held.
func (a *App) due(now time.Time) (e *entry, unlogged int, wait time.Duration) {
	if a.closed {
		return nil, 0, 0
	}
	for e := a.requests.fresh(); e != nil; e = a.requests.fresh() {
		if left := a.Limits.After - now.Sub(e.begun); left > 0 {
			wait = left
			break
		}
		a.requests.judge(e)
		a.leftOut++
	}
	if a.leftOut == 0 {
		return nil, 0, wait
	}
	if left := a.Limits.interval() - now.Sub(a.logged); left > 0 && !a.logged.IsZero() {
		if wait == 0 || left < wait {
			wait = left
		}
		return nil, 0, wait
	}
	if e = a.requests.slow(); e != nil {
		e.reporting = true
		return e, 0, 0
	}
	unlogged, a.leftOut, a.logged = a.leftOut, 0, now
	return nil, unlogged, 0
}
