package daemon

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// overtime is what requests get to end after they have been cut off, beyond the
// grace of programs. Only an application in this process that ignores its context
// needs more.
const overtime = 5 * time.Second

// errForced is returned by Serve when a second signal ended it.
var errForced = errors.New("a second signal cut off the requests in flight")

// Serve serves until ctx is done or a SIGTERM or SIGINT arrives, and then drains:
// no connection is accepted any more, and requests in flight have the limit drain
// to end. A second signal cuts them off at once. It returns nil after a drain, and
// when what it was started for has been served; everything has been closed by then.
//
// A SIGHUP is logged and otherwise ignored, as are other signals.
func (d *Daemon) Serve(ctx context.Context, signals <-chan os.Signal) (err error) {
	defer func() { err = errors.Join(err, d.Close()) }()
	ctx, drain := context.WithCancel(ctx)
	defer drain()
	g := d.generation
	overdue := make(chan struct{}, 1)
	served := g.start(ctx, func() { overdue <- struct{}{} })
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
			return errors.New("requests in flight do not end: an application ignores that they were cut off")
		case <-overdue:
			d.log.Warn("requests in flight are cut off: they took longer than drain", "drain", g.server.Drain.String())
			hopeless = time.After(g.grace() + overtime)
		case s := <-signals:
			switch {
			case !d.ends(s) || hopeless != nil:
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

// ends reports whether a signal asks for the end.
func (d *Daemon) ends(s os.Signal) bool {
	switch s {
	case syscall.SIGTERM, os.Interrupt:
		return true
	case syscall.SIGHUP:
		d.log.Warn("SIGHUP: the configuration is not read again in this version: restart gatehouse to apply a change")
	}
	return false
}
