package daemon

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// overtime is how long requests that were cut off may take to end, beyond the grace of
// programs. Only an application in this process that ignores its context takes longer.
const overtime = 5 * time.Second

// errForced is returned by Serve after a second signal.
var errForced = errors.New("a second signal cut off the requests in flight")

// Signals returns the signals that Serve knows.
func Signals() []os.Signal {
	return append([]os.Signal{syscall.SIGTERM, os.Interrupt, syscall.SIGQUIT, syscall.SIGHUP}, upgradeSignals()...)
}

// Serve serves until ctx is done or SIGTERM, SIGINT or SIGQUIT arrives. Then it drains: it
// stops accepting, and lets requests in flight finish for up to the drain time. A second
// signal cuts them off at once. With drain_delay, the first signal only says that the
// daemon is not Ready, the drain begins when that has passed or with a second signal, and a
// third one cuts off. Serve returns nil after draining, or after serving all that it was
// started for. It closes the daemon before it returns.
//
// SIGUSR1 opens the files of the logs anew. SIGUSR2 starts a successor, which takes over the
// sockets; once that serves, the daemon drains. If it does not serve, the daemon serves on.
//
// SIGHUP has it go on with the configuration that Environment.Reload returns, without losing a
// request; see "Reloading" in the package documentation. Other signals have no effect.
func (d *Daemon) Serve(ctx context.Context, signals <-chan os.Signal) (err error) {
	defer func() {
		d.logs.end(err)
		err = errors.Join(err, d.Close())
	}()
	ctx, drain := context.WithCancel(ctx)
	defer drain()
	g := d.generation
	stop := make(chan struct{})
	var memory sync.WaitGroup
	memory.Go(func() { g.config.Limits.returnMemory(stop) })
	defer memory.Wait()
	defer close(stop)
	overdue := make(chan struct{}, 1)
	isOverdue := func() { overdue <- struct{}{} }
	served := g.start(ctx, d, isOverdue)
	defer d.closeOld()
	defer d.startShowing()()
	reload, stopReloads := d.startReloads(ctx, isOverdue)
	defer stopReloads()
	left, stopWaiting := d.env.Predecessor.serves(g.config.PIDFile)
	defer stopWaiting()
	d.ready.Store(true)
	forced := false
	var next *successor           // starting
	var delay <-chan time.Time    // until the drain; nil unless a signal has come
	var hopeless <-chan time.Time // set once requests have been cut off
	for {
		select {
		case err := <-served:
			if forced {
				err = errors.Join(err, errForced)
			}
			if next != nil {
				next.cancel()
				d.replaced(next, <-next.done)
			}
			return err
		case <-hopeless:
			return errors.New("requests in flight do not end: an application ignores their cancellation")
		case <-overdue:
			d.log.Warn("requests in flight are cut off: they took longer than drain", "drain", d.current().drain().String())
			hopeless = time.After(d.grace() + overtime)
		case <-left:
			left = nil
			d.takeOver()
		case err := <-next.result():
			if d.replaced(next, err) {
				drain()
			}
			next = nil
		case <-delay:
			delay = nil
			drain()
		case s := <-signals:
			switch {
			case s == signalReopen:
				d.reopenLogs()
			case s == syscall.SIGHUP && next != nil:
				d.log.Warn("SIGHUP: the configuration is not reloaded while an upgrade is under way; the new process reads it")
			case s == syscall.SIGHUP && !g.program:
				reload()
			case s == signalUpgrade && (next != nil || left != nil):
				d.log.Warn("SIGUSR2: an upgrade is under way already")
			case s == signalUpgrade && (delay != nil || ctx.Err() != nil):
				d.log.Warn("SIGUSR2: no upgrade, as gatehouse is draining")
			case s == signalUpgrade && d.reloading.Load():
				d.log.Warn("SIGUSR2: no upgrade while the configuration is reloaded: send it again")
			case s == signalUpgrade:
				next = d.upgrade()
			case !isStop(s) || hopeless != nil:
			case g.program:
				drain()
			case ctx.Err() == nil && delay == nil:
				d.ready.Store(false)
				if next != nil {
					next.cancel()
					d.replaced(next, <-next.done)
					next = nil
				}
				if wait := d.current().config.Limits.DrainDelay; wait > 0 {
					d.log.Info("draining after drain_delay: connections are accepted until then", "signal", s.String(), "drain_delay", wait.String())
					delay = time.After(wait)
					continue
				}
				d.log.Info("draining", "signal", s.String())
				drain()
			case delay != nil:
				d.log.Info("draining before drain_delay has passed", "signal", s.String())
				delay = nil
				drain()
			default:
				d.log.Warn("requests in flight are cut off", "signal", s.String())
				forced, hopeless = true, time.After(d.grace()+overtime)
				d.server.Close() // the result follows soon
			}
		}
	}
}

// isStop reports whether a signal asks the daemon to stop.
func isStop(s os.Signal) bool {
	return s == syscall.SIGTERM || s == os.Interrupt || s == syscall.SIGQUIT
}

// reopenLogs opens the log files anew.
func (d *Daemon) reopenLogs() {
	if err := d.logs.reopen(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.log.Error("a log file is not opened anew, and the old one written on", "error", line)
		}
		return
	}
	d.log.Info("log files have been opened anew")
}
