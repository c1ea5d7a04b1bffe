package gatehouse

import (
	"fmt"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
)

// A load tells for how long a Server has had no request. For all else there are its Stats.
type load struct {
	began    time.Time
	inFlight atomic.Int64
	last     atomic.Int64 // when the last one ended, as a time since began
}

// of returns app, whose requests l knows.
func (l *load) of(app cgi.App) cgi.App {
	if app == nil {
		return nil
	}
	return &countedApp{app, l}
}

type countedApp struct {
	cgi.App
	load *load
}

func (a *countedApp) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	a.load.inFlight.Add(1)
	defer a.load.end()
	return a.App.ServeCGI(w, r)
}

func (l *load) end() {
	l.last.Store(int64(time.Since(l.began)))
	l.inFlight.Add(-1)
}

// idle returns for how long no request has been in flight.
func (l *load) idle() time.Duration {
	if l.inFlight.Load() > 0 {
		return 0
	}
	return time.Since(l.began) - time.Duration(l.last.Load())
}

// A status makes the lines of STATUS=.
type status struct {
	served uint64 // as of the last line …
	at     time.Time
	line   string // … and that
}

// next returns the line for now, and whether it differs from the last one.
func (s *status) next(requests cgi.RequestStats, connections int, draining bool) (line string, changed bool) {
	now, served := time.Now(), requests.Count()
	rate := 0.0
	if d := now.Sub(s.at); !s.at.IsZero() && d > 0 {
		rate = float64(served-s.served) / d.Seconds()
	}
	line = fmt.Sprintf("%d connections, %d requests in flight, %d served, %.0f/s", connections, requests.InFlight, served, rate)
	if draining {
		line = "draining: " + line
	}
	changed = line != s.line
	s.served, s.at, s.line = served, now, line
	return line, changed
}
