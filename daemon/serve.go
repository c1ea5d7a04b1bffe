package daemon

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"gatehouse/cgi"
	"gatehouse/daemon/endpoint"
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
	if d.program {
		return d.serveProgram(ctx, signals)
	}
	g := &endpoint.Group{
		App: d.mounted.app, Authorizer: d.mounted.authorizer,
		Handler: d.handler,
		Limits:  d.config.Limits.Front,
		Paths:   d.config.Paths,
		Log:     d.log,

		NoMultiplexing: d.config.NoMultiplexing,
	}
	g.Start(d.endpoints)
	err = d.wait(ctx, g, signals)
	return errors.Join(err, d.drain(g, signals))
}

// wait returns when there is a reason to end.
func (d *Daemon) wait(ctx context.Context, g *endpoint.Group, signals <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-g.Failed():
			return err
		case <-g.Served():
			select {
			case err := <-g.Failed():
				return err
			default:
				return nil
			}
		case s := <-signals:
			if d.ends(s) {
				d.log.Info("draining", "signal", s.String())
				return nil
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

// drain lets the requests in flight end.
func (d *Daemon) drain(g *endpoint.Group, signals <-chan os.Signal) error {
	limit := d.config.Limits.Drain
	if limit == 0 {
		limit = defaultDrain
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Shutdown(ctx)
	}()
	var over <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		over = t.C
	}
	forced := false
	for waiting := true; waiting; {
		select {
		case <-done:
			return nil
		case <-over:
			d.log.Warn("requests in flight are cut off: they took longer than drain", "drain", limit.String())
			waiting = false
		case s := <-signals:
			if d.ends(s) {
				d.log.Warn("requests in flight are cut off", "signal", s.String())
				forced, waiting = true, false
			}
		}
	}
	cancel()
	t := time.NewTimer(d.grace() + overtime)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		return errors.New("requests in flight do not end: an application ignores that they were cut off")
	}
	if forced {
		return errForced
	}
	return nil
}

// grace returns the longest time that a program may take between TERM and KILL.
func (d *Daemon) grace() time.Duration {
	longest := 3 * time.Second
	for _, a := range d.config.Apps {
		longest = max(longest, a.Limits.Grace)
	}
	return longest
}

// serveProgram answers the one request that this process was started for. A
// signal cancels it.
func (d *Daemon) serveProgram(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case s := <-signals:
				if d.ends(s) {
					cancel(cgi.ErrShutdown)
				}
			case <-done:
				return
			}
		}
	})
	defer watch.Wait()
	defer cancel(nil)
	defer close(done)
	p := &cgi.Program{Handler: d.handler, Limits: d.config.Limits.Front}
	return p.Serve(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		r.SetContext(ctx)
		return d.mounted.app.ServeCGI(w, r)
	}))
}
