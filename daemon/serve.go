package daemon

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// overtime is how long requests that were cut off may take to end, beyond the grace of
// programs. Only an application in this process that ignores its context takes longer.
const overtime = 5 * time.Second

// errForced is returned by Serve after a second signal.
var errForced = errors.New("a second signal cut off the requests in flight")

// Serve serves until ctx is done or SIGTERM or SIGINT arrives. Then it drains: it stops
// accepting, and lets requests in flight finish for up to the drain time. A second
// signal cuts them off at once. It returns nil after draining, or after serving all that
// it was started for. It closes the daemon before it returns.
//
// SIGHUP is logged. It and other signals have no effect.
func (d *Daemon) Serve(ctx context.Context, signals <-chan os.Signal) (err error) {
	defer func() { err = errors.Join(err, d.Close()) }()
	ctx, drain := context.WithCancel(ctx)
	defer drain()
	g := d.generation
	stop := make(chan struct{})
	var memory sync.WaitGroup
	memory.Go(func() { g.config.Limits.returnMemory(stop) })
	defer memory.Wait()
	defer close(stop)
	overdue := make(chan struct{}, 1)
	served := g.start(ctx, d, func() { overdue <- struct{}{} })
	forced := false
	var hopeless <-chan time.Time // set once requests have been cut off
	for {
		select {
		case err := <-served:
			if forced {
				err = errors.Join(err, errForced)
			}
			return err
		case <-hopeless:
			return errors.New("requests in flight do not end: an application ignores their cancellation")
		case <-overdue:
			d.log.Warn("requests in flight are cut off: they took longer than drain", "drain", g.server.Drain.String())
			hopeless = time.After(g.grace() + overtime)
		case s := <-signals:
			switch {
			case !d.isStop(s) || hopeless != nil:
			case g.program:
				drain()
			case ctx.Err() == nil:
				d.log.Info("draining", "signal", s.String())
				drain()
			default:
				d.log.Warn("requests in flight are cut off", "signal", s.String())
				forced, hopeless = true, time.After(g.grace()+overtime)
				g.cutOff()
			}
		}
	}
}

// isStop reports whether a signal asks the daemon to stop. It logs SIGHUP.
func (d *Daemon) isStop(s os.Signal) bool {
	switch s {
	case syscall.SIGTERM, os.Interrupt:
		return true
	case syscall.SIGHUP:
		d.log.Warn("SIGHUP: the configuration is not read again in this version: restart gatehouse to apply a change")
	}
	return false
}
