package pool

import (
	"context"
	"fmt"
	"time"
)

// Succeed readies a to take the place of old, which serves: it starts as many processes as old
// has, but no fewer than Limits.Minimum and no more than Limits.Programs, and returns when each
// is ready or has failed. One is started first: if that fails, no others are, and the error says
// why; if others fail, that is logged. If old has no processes, it cannot go on: then nothing is
// started or, if both keep some (Limits.Minimum), those are awaited, and a failure is logged.
// The error may also be that of ctx. After any error, close a.
func (a *App) Succeed(ctx context.Context, old *App) error {
	if err := a.Prepare(); err != nil {
		return err
	}
	if old.Prepare() != nil {
		return nil
	}
	n, l := old.processes.count(), &a.processes.limits
	if n == 0 && (l.Minimum == 0 || old.processes.limits.Minimum == 0) {
		return nil
	}
	err := a.processes.begin(ctx, min(max(n, l.Minimum), l.Programs))
	if n > 0 || err == nil || ctx.Err() != nil {
		return err
	}
	p := a.processes
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logFailure()
	p.endTrial()
	return nil
}

// Retire ends each process as soon as it is free: one that still works behind its response has
// Limits.Silence for that. The channel is closed when all have ended. No request may be served any more.
func (a *App) Retire() (ended <-chan struct{}) {
	if a.Prepare() != nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	return a.processes.retire()
}

// count returns how many processes are ready.
func (p *processes) count() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.all {
		if w.ready && !w.gone && !w.leaving {
			n++
		}
	}
	return n
}

// begin starts a process, and n in all if that becomes ready. It returns when each is ready or has
// failed. The error is why the first one has, or that of ctx; the trial goes on then, so that no
// more are started.
func (p *processes) begin(ctx context.Context, n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trial = true
	if err := p.startAll(ctx, 1); err != nil {
		return err
	}
	if p.failure != nil {
		return p.failure
	}
	if err := p.startAll(ctx, n-1); err != nil {
		return err
	}
	p.endTrial()
	return nil
}

// startAll starts n processes, and returns when each is ready or has failed. mu is held, and released meanwhile.
func (p *processes) startAll(ctx context.Context, n int) error {
	p.waiting++
	defer func() { p.waiting-- }()
	if p.closed {
		return nil
	}
	for range n {
		p.start()
	}
	for p.starting > 0 && !p.closed {
		if err := p.wait(ctx, forever); err != nil {
			return fmt.Errorf("%s: not awaited: %w", p.Name(), err)
		}
	}
	return nil
}

// endTrial lets those processes be started that are missing. mu is held.
func (p *processes) endTrial() {
	p.trial = false
	p.arm(time.Now(), 0)
}

// retire has each process end as soon as it is free.
func (p *processes) retire() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	for w := range p.all {
		w.leaving = true
	}
	p.tellEmpty()
	p.arm(time.Now(), 0)
	return p.emptied
}

// tellEmpty closes emptied if the last process of a retired application has ended. mu is held.
func (p *processes) tellEmpty() {
	if p.retired && len(p.all) == 0 {
		select {
		case <-p.emptied:
		default:
			close(p.emptied)
		}
	}
}
