//go:build !linux

package script

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// There is no confinement here.
type confinement struct{}

type confined struct{}

func (a *App) confine() (*confinement, error) {
	if keys := a.needs(); len(keys) > 0 {
		return nil, fmt.Errorf("%s: not on %s, only on Linux: remove it", strings.Join(keys, ", "), runtime.GOOS)
	}
	return nil, nil
}

func (*confinement) prepare(*command) error { return nil }
func (*confinement) close()                 {}
func (*confined) close()                    {}
func (*confined) explain(err error) error   { return err }

// release has nothing to give back.
func (p *process) release() {}

// cpuTime is not known.
func (p *process) cpuTime() time.Duration { return 0 }

// A Reaper is for Linux.
type Reaper struct{}

// NewReaper returns an error on this system.
func NewReaper() (*Reaper, error) { return nil, fmt.Errorf("no subreaper on %s", runtime.GOOS) }

// Close does nothing.
func (r *Reaper) Close() error { return nil }
