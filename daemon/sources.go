package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gatehouse/internal/sources"
)

// How the sources of applications are watched: how often they are looked at, which takes no more
// than one part in lookShare of a processor; how long nothing has changed when a change is taken
// for complete; and how long it may go on.
const (
	lookInterval   = 500 * time.Millisecond
	lookShare      = 20
	settlePause    = 100 * time.Millisecond
	settlePatience = 10 * time.Second
)

// A sourced Kind has sources that its application reads when it starts: the files with a suffix
// below some directories.
type sourced interface {
	sources() (suffix string, dirs []string)
}

// sourceDirs returns the directories of the sources of all applications.
func (c *Config) sourceDirs() (suffix string, dirs []string) {
	for _, a := range c.Apps {
		if k, ok := a.Kind.(sourced); ok {
			var own []string
			suffix, own = k.sources()
			dirs = append(dirs, own...)
		}
	}
	return suffix, dirs
}

// checkReloadOnChange returns an error if there is nothing that ReloadOnChange could watch.
func (c *Config) checkReloadOnChange() error {
	if _, dirs := c.sourceDirs(); c.ReloadOnChange && len(dirs) == 0 {
		return errors.New("reload_on_change is for the sources of wsgi applications, and there is none: remove it")
	}
	return nil
}

// lookAtSources notes the sources, if they are to be watched. It is called before the applications
// read them.
func (g *generation) lookAtSources() {
	if suffix, dirs := g.config.sourceDirs(); g.config.ReloadOnChange {
		g.sources = sources.Look(suffix, dirs...)
	}
}

// watch starts a goroutine that has the configuration reloaded when sources of g have changed.
// stop waits for its end.
func (d *Daemon) watch(g *generation, reload func()) (stop func()) {
	if g.sources == nil {
		return func() {}
	}
	if g.sources.Truncated() {
		d.log.Warn(fmt.Sprintf("reload_on_change looks at the first %d source files only: there are more in the directories of the applications", sources.MaxFiles))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(max(lookInterval, lookShare*g.sources.Took())):
			}
			if changed := g.sources.Settled(ctx, settlePause, settlePatience); len(changed) > 0 {
				d.log.Info("sources have changed", "file", changed[0], "files", len(changed))
				reload()
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}
