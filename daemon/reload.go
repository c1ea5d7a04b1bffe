package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxOld is how many configurations may wait for the end of their last requests: each holds
// the memory and the descriptors of its applications.
const maxOld = 16

// startReloads starts a goroutine that reloads the configuration for each call of reload, and when
// sources have changed that are watched. A reload that has not begun stands for all that are
// asked for meanwhile. stop waits for the goroutine, after the reload that is asked for.
func (d *Daemon) startReloads(ctx context.Context, overdue func()) (reload, stop func()) {
	asked, over, ended := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	reload = func() {
		d.reloading.Store(true)
		select {
		case asked <- struct{}{}:
		default:
		}
	}
	go func() {
		defer close(ended)
		over := over
		g := d.current()
		stopWatching := d.watch(g, reload)
		for over != nil || len(asked) > 0 {
			select {
			case <-over:
				over = nil
				stopWatching()
				continue
			case <-asked:
			}
			d.reloadOnce(ctx, overdue)
			d.reloading.Store(len(asked) > 0)
			if next := d.current(); next != g && over != nil {
				stopWatching()
				g, stopWatching = next, d.watch(next, reload)
			}
		}
	}()
	return reload, func() {
		close(over)
		<-ended
	}
}

// reloadOnce reloads the configuration, and tells the log, the service manager and who waits
// for the result.
func (d *Daemon) reloadOnce(ctx context.Context, overdue func()) {
	result := beginResult()
	tell := func(err error) {
		if err != nil {
			d.log.Warn("the service manager was not told of a reload", "error", err)
		}
	}
	tell(d.notifier.Reloading())
	err := d.reload(ctx, overdue)
	d.countReload(err)
	status := "configuration reloaded"
	if err != nil {
		lines := strings.Split(err.Error(), "\n")
		for _, line := range lines {
			d.log.Error("configuration not reloaded: the old one stays", "error", line)
		}
		status = "configuration not reloaded: " + lines[0]
	} else {
		g := d.current()
		d.log.Info(status, "applications", len(g.config.Apps), "listeners", len(g.endpoints))
		for _, line := range g.warnings {
			d.log.Warn(line)
		}
	}
	tell(d.notifier.Status(status))
	tell(d.notifier.Ready())
	result.send(err)
}

// reload has the daemon go on with the configuration that Environment.Reload returns. After an
// error, which has a line for each problem, nothing has changed.
func (d *Daemon) reload(ctx context.Context, overdue func()) error {
	switch {
	case ctx.Err() != nil:
		return errors.New("gatehouse is about to end")
	case d.env.Reload == nil:
		return errors.New("this gatehouse was started without a configuration that could be read again: restart it")
	case d.waiting() >= maxOld:
		d.refuseReload()
		return fmt.Errorf("%d older configurations still have requests in flight: wait until those have ended, or restart gatehouse", maxOld)
	}
	config, err := d.env.Reload()
	if err != nil {
		return err
	}
	old := d.current()
	g, err := d.succeed(ctx, old, config)
	if err != nil {
		if d.env.Confine != nil {
			err = fmt.Errorf("%w\ngatehouse gave up privileges after its start, and may need them for this: restart it", err)
		}
		return err
	}
	g.share()
	g.takeFrom(d.admin)
	ended, err := d.server.Reconfigure(g.newServer(d, overdue))
	if err != nil {
		return errors.Join(err, g.abandon(old))
	}
	g.logs.begin()
	g.begin()
	g.config.Limits.resize()
	d.replace(old, g, ended)
	d.show()
	if err := d.writePIDFile(); err != nil {
		d.log.Error(err.Error())
	}
	return nil
}

// succeed returns a generation for a configuration that is to follow old. It has done
// everything that can fail.
func (d *Daemon) succeed(ctx context.Context, old *generation, config *Config) (*generation, error) {
	c := config.Defaults()
	if err := d.startReaper(c.Apps); err != nil {
		return nil, err
	}
	g, err := newGeneration(c, preparation{log: d.log, reaper: d.reaper, before: &old.config.Limits})
	if err != nil {
		return nil, err
	}
	g.lookAtSources()
	if err := g.succeed(ctx, old); err != nil { // before anything else changes: it may take a while
		return nil, errors.Join(err, g.close())
	}
	g.warnings = config.Warnings()
	g.handler.ContinueFrom(old.handler)
	if err := errors.Join(g.openLogs(d.logs), g.relisten(old)); err != nil {
		return nil, errors.Join(err, g.abandon(old))
	}
	g.observe(d.history)
	return g, nil
}

// replace makes g the generation that serves, and closes the old one when its last request has
// ended.
func (d *Daemon) replace(old, g *generation, ended <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.generation = g
	d.old[old] = true
	d.closing.Go(func() {
		select {
		case <-ended:
			old.retire(d.over)
		case <-d.over:
		}
		if err := old.close(); err != nil {
			d.log.Warn("an application of the old configuration could not be closed", "error", err)
		}
		if d.env.Alone {
			reserveThreads(d.log) // of which those that started its programs were taken
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.old, old)
	})
}

// closeOld closes the old generations, whose requests have ended or have been given up.
func (d *Daemon) closeOld() {
	close(d.over)
	d.closing.Wait()
}

// current returns the generation that serves.
func (d *Daemon) current() *generation {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.generation
}

// waiting returns how many old generations have requests in flight.
func (d *Daemon) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.old)
}

// grace returns the longest time between SIGTERM and SIGKILL for any program of any generation.
func (d *Daemon) grace() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	longest := d.generation.grace()
	for g := range d.old {
		longest = max(longest, g.grace())
	}
	return longest
}
