package pool

import (
	"fmt"
	"slices"
	"time"
)

// fill starts processes up to Limits.Minimum.
func (p *processes) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fillLocked()
}

func (p *processes) fillLocked() {
	for len(p.all) < p.limits.Minimum && !p.retired && !p.closed && !time.Now().Before(p.until) {
		p.start()
	}
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
		free, open := w.link.free(w.conn)
		rest := now.Sub(w.since)
		switch {
		case !open && w.spent:
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
			p.terminate(w, fmt.Errorf("%s: still at work, %v after its response or the end of its client: silence of %v is over", w.name, rest.Round(time.Second), p.limits.Silence))
		case !free:
			next = min(next, p.limits.Silence-rest, max(p.limits.Idle-rest, time.Second))
			if w.spent {
				next = min(next, longestLook)
			}
		case w.spent:
			p.end(w, "replaced")
		case len(p.all) > p.limits.Minimum && rest >= p.limits.Idle:
			p.end(w, "idle")
		default:
			next = min(next, max(p.limits.Idle-rest, time.Second))
		}
	}
	p.fillLocked()
	if len(p.all) < p.limits.Minimum && !p.retired {
		next = min(next, time.Until(p.until))
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
