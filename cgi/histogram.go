package cgi

import (
	"slices"
	"sync/atomic"
	"time"
)

// bounds are those of the buckets of every Histogram: from what an application in this
// process takes to what an administrator allows a report.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
}

// A Histogram says how long something took, and how often.
type Histogram struct {
	Bounds []time.Duration // of the buckets, each included, ascending; not to be changed
	Counts []uint64        // in each bucket alone; the last is beyond all bounds
	Sum    time.Duration   // of all
}

// Count returns how often it took any time.
func (h Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// merge adds what another histogram has counted.
func (h *Histogram) merge(other *Histogram) {
	if len(other.Counts) == 0 {
		return
	}
	if len(h.Counts) == 0 {
		h.Bounds, h.Counts = bounds[:], make([]uint64, len(bounds)+1)
	}
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
	h.Sum += other.Sum
}

// A histogram is a Histogram that goes on. Any goroutine may add to it.
type histogram struct {
	counts [len(bounds) + 1]atomic.Uint64
	sum    atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// snapshot returns what has been counted so far.
func (h *histogram) snapshot() Histogram {
	s := Histogram{Bounds: slices.Clip(bounds[:]), Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	return s
}
