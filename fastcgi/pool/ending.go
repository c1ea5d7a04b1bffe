package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
)

// cutOff terminates a process in the midst of a request, which does not wait for that.
func (p *processes) cutOff(w *worker, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.terminate(w, cause)
	w.conn.Close()
}

// terminate ends a process because of a failure. If that is a limit of time, the process first
// writes what it does. mu is held.
func (p *processes) terminate(w *worker, cause error) {
	if w.gone {
		return
	}
	w.failure = cause
	if p.stackSignal != 0 && overdue(cause) {
		p.terminateLater(w)
		p.detach(w, "")
		return
	}
	p.end(w, "")
}

// lost ends a process that takes no connection, as err says. mu is held.
func (p *processes) lost(w *worker, err error) {
	if errors.Is(err, errEnding) {
		p.end(w, byItself)
	} else {
		p.terminate(w, fmt.Errorf("%s: %w", w.name, err))
	}
}

// end ends a process, for a reason that is usual unless it is empty. mu is held.
func (p *processes) end(w *worker, meant string) {
	if !w.gone {
		p.detach(w, meant)
		w.proc.Terminate(p.limits.Grace)
	}
}

// detach lets a process that ends serve no more, and fills its place. One that was not ready has
// failed now, however long it takes to end. mu is held.
func (p *processes) detach(w *worker, meant string) {
	w.gone, w.meant = true, meant
	if !w.ready {
		p.starting--
		if w.failure != nil {
			p.notStarted(w.failure)
		}
	}
	p.idle = slices.DeleteFunc(p.idle, func(x *worker) bool { return x == w })
	if !w.busy && w.conn != nil {
		w.conn.Close()
	}
	w.unlink()
	p.change()
	p.arm(time.Now(), 0)
}

// ended notes that a process has been reaped, or could not be started, because of err. mu is held.
func (p *processes) ended(w *worker, err error) {
	delete(p.all, w)
	p.countEnd(w)
	p.idle = slices.DeleteFunc(p.idle, func(x *worker) bool { return x == w })
	switch {
	case w.conn == nil:
	case w.busy:
		w.orphan = time.AfterFunc(endDelay, w.conn.orphaned)
	default:
		w.conn.Close()
	}
	own := !w.gone || w.meant == byItself
	if !w.gone && !w.ready {
		p.starting--
	}
	w.gone = true
	w.unlink()
	if w.moment != nil {
		w.moment.Stop()
	}
	if own && w.ready && !w.busy && w.served == 0 {
		p.refill.fail(time.Now())
	}
	switch {
	case err != nil:
		p.notStarted(err)
	case w.failure != nil && w.ready || own && (w.busy || w.proc.Status() != process.Status{}):
		attrs := []slog.Attr{slog.String("process", w.name), slog.Int("requests", w.served), slog.String("status", w.proc.Status().String())}
		if w.failure != nil {
			failure := w.failure
			if se := (*cgi.StatusError)(nil); errors.As(failure, &se) && se.Err != nil {
				failure = se.Err
			}
			attrs = append(attrs, slog.String("error", failure.Error()))
		} else if r := p.sandbox().Ended(w.proc.Status().Signal); r != nil {
			attrs = append(attrs, slog.String("sandbox", r.String()))
		}
		p.log.LogAttrs(context.Background(), slog.LevelWarn, "process of an application has ended", attrs...)
	default:
		p.log.Debug("process of an application has ended", slog.String("process", w.name), slog.Int("requests", w.served), slog.String("reason", w.meant))
	}
	p.change()
	p.arm(time.Now(), 0)
	p.tellEmpty()
}

// close ends all processes, and returns when they have been reaped.
func (p *processes) close() {
	p.mu.Lock()
	p.closed = true
	p.sweeper.Stop()
	p.change()
	for w := range p.all {
		if w.proc != nil {
			p.end(w, "close")
		}
	}
	p.mu.Unlock()
	p.owned.Wait()
}

// notStarted notes why a process could not be started. mu is held.
func (p *processes) notStarted(err error) {
	if p.closed {
		return
	}
	first := p.failure == nil
	p.failure = err
	p.retry.fail(time.Now())
	if first && (!p.trial || p.readied > 0) {
		p.logFailure()
	}
}

// logFailure logs why the last process could not be started. mu is held.
func (p *processes) logFailure() {
	p.log.Error("application does not start; this is logged once, until it does", slog.String("program", p.Name()), slog.String("error", p.failure.Error()))
}

// refusal is the error of a request that has waited for too long. mu is held.
func (p *processes) refusal() error {
	err := fmt.Errorf("%s: no process was free in time (queue_wait): %s", p.Name(), p.occupations())
	if p.failure != nil {
		err = fmt.Errorf("%w; the last one that was started failed: %w", err, p.failure)
	}
	return unavailable(time.Second, err)
}

// occupations says what the processes do, of which none is free. mu is held.
func (p *processes) occupations() string {
	starting, busy, behind, ending := 0, 0, 0, 0
	for w := range p.all {
		switch {
		case w.gone:
			ending++
		case !w.ready:
			starting++
		case w.busy:
			busy++
		default:
			behind++
		}
	}
	var parts []string
	for _, part := range []struct {
		n         int
		one, many string
	}{
		{starting, "is starting", "are starting"},
		{busy, "serves a request", "serve requests"},
		{behind, "still works behind its response", "still work behind their responses"},
		{ending, "is ending", "are ending"},
	} {
		switch part.n {
		case 0:
		case 1:
			parts = append(parts, "1 "+part.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.many))
		}
	}
	if parts == nil {
		return "none is running"
	}
	return strings.Join(parts, ", ")
}

// unavailable is the error for a client that may try again.
func unavailable(after time.Duration, err error) error {
	return &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: max(after, time.Second), Err: err}
}
