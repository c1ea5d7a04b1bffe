package admin

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
)

const (
	maxFailures = 50 // kept
	maxSlow     = 20
	slowFor     = 10 * time.Minute // how long a slow request is kept

	// rateInterval and maxRates make ten minutes.
	rateInterval = 5 * time.Second
	maxRates     = 120
)

// A History keeps the last failures, the slowest requests, and how many there were in each
// time. The zero value is ready to use. It is safe for concurrent use.
type History struct {
	floor atomic.Int64 // requests that took no longer are not among the slowest; 0: not known

	mu       sync.Mutex // guards what follows
	failures []Ended    // the newest first
	slow     []Ended    // the slowest first
	rates    []Rate     // the oldest first
	last     Requests
	lastTime time.Time
	began    bool
}

// Add notes a request that has ended, if it failed or was among the slowest. It has the
// signature of cgi.Handler's AccessLog, and costs a small request next to nothing.
func (h *History) Add(r *cgi.Request, res cgi.Result) {
	failed := res.Code >= 500 || res.End == cgi.Truncated
	slow := int64(res.Duration) > h.floor.Load()
	if !failed && !slow {
		return
	}
	e := endedOf(r, &res)
	h.mu.Lock()
	defer h.mu.Unlock()
	if failed {
		h.failures = slices.Insert(h.failures, 0, e)
		h.failures = h.failures[:min(len(h.failures), maxFailures)]
	}
	if slow {
		i, _ := slices.BinarySearchFunc(h.slow, e, func(a, b Ended) int {
			if a.Duration > b.Duration {
				return -1
			}
			return 1
		})
		h.slow = slices.Insert(h.slow, i, e)
		h.keepSlowest()
	}
}

// keepSlowest forgets all but the slowest. mu is held.
func (h *History) keepSlowest() {
	h.slow = h.slow[:min(len(h.slow), maxSlow)]
	floor := int64(0)
	if len(h.slow) == maxSlow {
		floor = int64(h.slow[maxSlow-1].Duration * float64(time.Second))
	}
	h.floor.Store(floor)
}

func endedOf(r *cgi.Request, res *cgi.Result) Ended {
	e := Ended{ID: formatID(r.ID), RequestID: r.RequestID(), Time: res.Start.Add(res.Duration), Client: clip(r.Env.Get("REMOTE_ADDR")), Method: clip(r.Env.Get("REQUEST_METHOD")),
		Target: clip(r.Env.RequestTarget()), Application: res.Application, Code: res.Code, End: res.End.String(),
		Duration: res.Duration.Seconds(), FirstByte: res.FirstByte.Seconds(), Queued: res.Usage.Queued.Seconds(),
		Program: clip(res.Usage.Program), Check: res.Check}
	if res.Err != nil {
		e.Error, e.Remedy = clip(res.Err.Error()), cgi.Remedy(res.Err)
	}
	return e
}

func formatID(id uint64) string { return strconv.FormatUint(id, 10) }

// Run notes how many requests there are, every 5 s, until ctx is done.
func (h *History) Run(ctx context.Context, stats func() Stats) {
	tick := time.NewTicker(rateInterval)
	defer tick.Stop()
	for {
		s := stats()
		h.sample(&s)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sample notes what has happened since the last sample.
func (h *History) sample(s *Stats) {
	now := requestsOf(&s.Requests)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.began {
		h.rates = append(h.rates, Rate{Time: s.Time, Seconds: s.Time.Sub(h.lastTime).Seconds(), Requests: now.Ended - h.last.Ended,
			Failures: now.Failed() - h.last.Failed(), InFlight: now.InFlight, Waiting: now.Waiting})
		h.rates = slices.Delete(h.rates, 0, max(0, len(h.rates)-maxRates))
	}
	h.last, h.lastTime, h.began = now, s.Time, true
	h.slow = slices.DeleteFunc(h.slow, func(e Ended) bool { return s.Time.Sub(e.Time) > slowFor })
	h.keepSlowest()
}

// addTo adds what is kept to a status.
func (h *History) addTo(s *Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Failures, s.Slow, s.Rates = append(s.Failures, h.failures...), append(s.Slow, h.slow...), append(s.Rates, h.rates...)
}
