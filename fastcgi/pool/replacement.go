package pool

import (
	"math/rand/v2"
	"time"
)

// A process that is spent serves on until its successor is ready, and ends when it is free then. So
// none is missed, and an application that does not start any more is served by the processes that it
// has. Of Programs processes a quarter is replaced at once, and one at least.

// replaced returns how many processes may be replaced at once, beyond Programs.
func (l *Limits) replaced() int { return max(1, l.Programs/4) }

// jittered returns n, by up to a tenth less or more: processes that have started together, and serve
// as many requests as each other, are not spent together.
func jittered(n int64) int64 {
	if n/10 == 0 {
		return n
	}
	return n - n/10 + rand.Int64N(2*(n/10)+1)
}

// setLife sets after how many requests, and how much time, w is spent.
func (w *worker) setLife(l *Limits) {
	w.born = time.Now()
	w.maxRequests, w.maxAge = l.Requests, l.Age
	if l.Requests != unlimited {
		w.maxRequests = int(jittered(int64(l.Requests)))
	}
	if l.Age != forever {
		w.maxAge = time.Duration(jittered(int64(l.Age)))
	}
}

// old returns how long w has until it is spent by its age.
func (w *worker) old(now time.Time) time.Duration {
	if w.maxAge == forever {
		return forever
	}
	return w.maxAge - now.Sub(w.born)
}

// measurePause is how long the memory of a process is not looked at again: that costs as much as a request.
const measurePause = 100 * time.Millisecond

// grown reports whether w has grown beyond Limits.Memory, if it is time to look. It is called by whoever has w.
func (w *worker) grown(now time.Time) bool {
	if !w.unmeasured || now.Sub(w.measured) < measurePause {
		return false
	}
	w.measured, w.unmeasured = now, false
	return w.proc.Memory() > w.pool.limits.Memory
}

// taken returns how many of Programs places are taken: that of a process which has a successor, or
// which ends, is free. mu is held.
func (p *processes) taken() (n int) {
	for w := range p.all {
		if !w.gone && !w.leaving && w.replaces == nil {
			n++
		}
	}
	return n
}

// replace starts the successors of processes that are spent, as far as it is their turn. mu is held.
func (p *processes) replace(now time.Time) {
	if p.retired || p.closed {
		return
	}
	under := 0
	for w := range p.all {
		if w.heir != nil || w.leaving {
			under++
		}
	}
	for w := range p.all {
		switch {
		case !w.spent || w.heir != nil || w.leaving || w.gone:
			continue
		case under >= p.limits.replaced():
			return
		case p.spares(w):
			p.dismiss(w, now)
		case !p.mayStart() || now.Before(p.retry.until):
			return
		default:
			w.heir = p.start()
			w.heir.replaces = w
		}
		under++
	}
}

// spares reports whether w needs no successor, since another one is idle. mu is held.
func (p *processes) spares(w *worker) bool {
	if p.taken() <= p.limits.Minimum {
		return false
	}
	for _, x := range p.idle {
		if x == w || x.spent || x.leaving {
			continue
		}
		if free, _ := x.link.free(x.conn); free {
			return true
		}
	}
	return false
}

// dismiss lets w serve no more, and end as soon as it is free. mu is held.
func (p *processes) dismiss(w *worker, now time.Time) {
	w.leaving = true
	p.arm(now, 0)
}

// succeeded notes that w is ready, and takes the place of the one that it replaces. mu is held.
func (p *processes) succeeded(w *worker, now time.Time) {
	if old := w.replaces; old != nil {
		w.replaces = nil
		p.dismiss(old, now)
	}
}

// unlink notes that w has ended, for what it replaces and what replaces it. mu is held.
func (w *worker) unlink() {
	if w.replaces != nil {
		w.replaces.heir = nil
	}
	if w.heir != nil {
		w.heir.replaces = nil
	}
	w.replaces, w.heir = nil, nil // by now, another one may replace it
}
