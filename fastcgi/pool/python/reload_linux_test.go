package python

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

var reloads = flag.Int("python.reloads", 5, "how often TestRollingReloads reloads")

// A rolling application has generations, as a reload makes them.
type rolling struct {
	mu  sync.RWMutex
	app *App
}

func (r *rolling) ServeCGI(w cgi.ResponseWriter, q *cgi.Request) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.app.ServeCGI(w, q)
}

const versioned = `
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'%d']
`

// TestRollingReloads replaces an application under load: no request fails, and the code is always
// new.
func TestRollingReloads(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			l := Limits{Programs: workers, QueueWait: -1}
			s := supervise(t, l, fmt.Sprintf(versioned, 0))
			s.Start()
			r := &rolling{app: s.App}
			var over atomic.Bool
			var version atomic.Int64
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for !over.Load() {
						least := version.Load()
						got := fetch(r)
						if n, err := strconv.ParseInt(got.Body.String(), 10, 64); err != nil || !whole(got) || n < least {
							t.Errorf("%v, version %d, reloaded %d times", got, n, least)
							return
						}
					}
				})
			}
			testkit.Until(t, "the first workers", func() bool { return len(s.Measure().Processes) == workers })
			for i := range *reloads {
				s.write(t, fmt.Sprintf(versioned, i+1))
				next := s.next(t, l)
				if err := next.Succeed(t.Context(), r.app); err != nil {
					t.Error(err)
					break
				}
				r.mu.Lock()
				old := r.app
				r.app = next
				r.mu.Unlock()
				version.Add(1)
				testkit.Receive(t, "the end of the old workers", old.Retire())
				old.Close()
			}
			over.Store(true)
			all.Wait()
			if plain := s.log.String(); strings.Contains(plain, "has ended") || strings.Contains(plain, "does not start") {
				t.Error("there are warnings")
			}
		})
	}
}

// TestBrokenReload: an application whose new code is broken is served by the old one, and the error
// says so. Nothing is tried again.
func TestBrokenReload(t *testing.T) {
	l := Limits{Programs: 2, QueueWait: -1}
	s := supervise(t, l, fmt.Sprintf(versioned, 1))
	s.Start()
	testkit.Until(t, "the workers", func() bool { return idle(s.App) == 2 })
	s.write(t, "note('imported')\nraise ValueError('no such setting')\n")
	next := s.next(t, l)
	err := next.Succeed(t.Context(), s.App)
	if err == nil || !strings.Contains(err.Error(), "it ended before it was ready, with exit status 1: ValueError: no such setting (the log has all that it wrote)") {
		t.Errorf("%v", err)
	}
	next.Close()
	if got := fetch(s); got.Body.String() != "1" {
		t.Errorf("%v", got)
	}
	if n := len(s.notes()); n != 1 {
		t.Errorf("the new code was imported %d times", n)
	}
	if n := strings.Count(s.log.String(), "ValueError: no such setting"); n != 1 {
		t.Errorf("the traceback is in the log %d times", n)
	}
}
