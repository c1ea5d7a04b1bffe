package daemon

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"syscall"
	"time"

	"gatehouse"
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
	defer func() { err = errors.Join(err, d.release()) }()
	ctx, drain := context.WithCancel(ctx)
	defer drain()
	overdue := make(chan struct{}, 1)
	s := d.server(func() { overdue <- struct{}{} })
	served := make(chan error, 1)
	go func() {
		if d.program {
			served <- s.ServeProgram(ctx)
		} else {
			served <- s.Serve(ctx)
		}
	}()
	forced := false
	var hopeless <-chan time.Time // set once requests have been cut off
	for {
		select {
		case err := <-served:
			if err == context.DeadlineExceeded || err == http.ErrServerClosed {
				err = nil
			}
			if forced {
				err = errors.Join(err, errForced)
			}
			return err
		case <-hopeless:
			return errors.New("requests in flight do not end: an application ignores that they were cut off")
		case <-overdue:
			d.log.Warn("requests in flight are cut off: they took longer than drain", "drain", cmp.Or(d.config.Limits.Drain, defaultDrain).String())
			hopeless = time.After(d.grace() + overtime)
		case sig := <-signals:
			switch {
			case !d.ends(sig) || hopeless != nil:
			case d.program:
				drain()
			case ctx.Err() == nil:
				d.log.Info("draining", "signal", sig.String())
				drain()
			default:
				d.log.Warn("requests in flight are cut off", "signal", sig.String())
				forced, hopeless = true, time.After(d.grace()+overtime)
				s.Close()
			}
		}
	}
}

// server makes what serves the endpoints or, as a CGI program, one request.
func (d *Daemon) server(overdue func()) *gatehouse.Server {
	return &gatehouse.Server{
		App: d.mounted.app, Authorizer: d.mounted.authorizer,
		Endpoints:      d.endpoints,
		Handler:        d.handler,
		Limits:         d.config.Limits.Front,
		Paths:          d.config.Paths,
		NoMultiplexing: d.config.NoMultiplexing,
		Drain:          d.config.Limits.Drain,
		Overdue:        overdue,
		Log:            d.log,
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

// grace returns the longest time that a program may take between TERM and KILL.
func (d *Daemon) grace() time.Duration {
	longest := 3 * time.Second
	for _, a := range d.config.Apps {
		longest = max(longest, a.Limits.Grace)
	}
	return longest
}
