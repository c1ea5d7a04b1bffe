package pool

import (
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/backend"
)

// fill starts processes up to Limits.Minimum.
func (p *processes) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fillLocked()
}

func (p *processes) fillLocked() {
	if p.trial || p.retired || p.closed || time.Now().Before(p.fillAfter()) {
		return
	}
	for n := p.taken(); n < p.limits.Minimum && p.mayStart(); n++ {
		p.start()
	}
}

// fillAfter returns when processes may be started that no request waits for. mu is held.
func (p *processes) fillAfter() time.Time {
	if p.refill.until.After(p.retry.until) {
		return p.refill.until
	}
	return p.retry.until
}

// sweep ends the processes that are idle for too long, or are to be replaced, and starts those that are
// missing.
func (p *processes) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.due = time.Time{}
	now := time.Now()
	next := time.Duration(forever)
	for _, w := range slices.Clone(p.idle) { // the longest idle first
		if w.spent = w.spent || w.grown(now); w.unmeasured {
			next = min(next, measurePause)
		}
		free, open := w.link.free(w.conn)
		rest := now.Sub(w.since)
		switch {
		case !open && w.leaving:
			w.conn.Close()
			if err := w.link.connect(w); err != nil {
				p.lost(w, err)
			}
			w.since, next = now, min(next, settle)
		case !open: // a request finds out whether it is ending
			next = min(next, max(p.limits.Idle-rest, time.Second))
			if rest >= p.limits.Idle {
				p.end(w, "idle")
			}
		case !free && rest >= p.limits.Silence:
			p.terminate(w, fmt.Errorf("%s: still at work, %v after its response or the end of its client: %w", w.name, rest.Round(time.Second), &backend.ExpiredError{Name: "silence", Limit: p.limits.Silence}))
		case !free:
			next = min(next, p.limits.Silence-rest, max(p.limits.Idle-rest, time.Second))
			if w.leaving {
				next = min(next, longestLook)
			}
		case w.leaving:
			p.end(w, "replaced")
		case p.taken() > p.limits.Minimum && rest >= p.limits.Idle:
			p.end(w, "idle")
		default:
			next = min(next, max(p.limits.Idle-rest, time.Second))
		}
	}
	for w := range p.all {
		switch left := w.old(now); {
		case !w.ready || w.spent || w.leaving || w.gone:
		case left <= 0:
			w.spent = true
		default:
			next = min(next, left)
		}
		if w.spent && w.heir == nil && !w.leaving && !w.gone && now.Before(p.retry.until) {
			next = min(next, p.retry.until.Sub(now))
		}
	}
	p.replace(now)
	p.fillLocked()
	if !p.retired && now.Before(p.fillAfter()) && p.taken() < p.limits.Minimum {
		next = min(next, p.fillAfter().Sub(now))
	}
	if next != forever {
		p.arm(now, max(next, time.Millisecond))
	}
}

// arm lets the sweeper look after a pause at the latest. mu is held.
func (p *processes) arm(now time.Time, pause time.Duration) {
	if pause == forever || p.closed {
		return
	}
	if due := now.Add(pause); p.due.IsZero() || due.Before(p.due) {
		p.due = due
		p.sweeper.Reset(pause)
	}
}
