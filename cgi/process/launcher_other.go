//go:build !linux

package process

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"
)

// A Launcher starts programs. It is a [Starter].
type Launcher struct{}

// NewLauncher returns a Launcher, or an error if the rules ask for anything that only
// Linux has. The Launcher must be closed.
func NewLauncher(r Rules, _ *Reaper, _ *slog.Logger) (*Launcher, error) {
	if keys := r.keys(); len(keys) > 0 {
		return nil, fmt.Errorf("%s: not on %s, only on Linux: remove it", strings.Join(keys, ", "), runtime.GOOS)
	}
	return new(Launcher), nil
}

// keys returns the keys of what is asked for beyond starting programs, which not every
// system has.
func (r *Rules) keys() (keys []string) {
	c, u, g, l := &r.Confinement, &r.RunAs, &r.Cgroup, &r.Limits
	for _, k := range []struct {
		name  string
		asked bool
	}{
		{"user", u.User != ""}, {"group", u.Group != ""}, {"run_as", u.Owner},
		{"check_owner", c.CheckOwner}, {"check_mode", c.CheckMode}, {"chroot", c.Chroot != ""}, {"umask", c.Umask != 0},
		{"nice", c.Nice != 0}, {"no_new_privs", c.NoNewPrivs}, {"no_core", c.NoCore},
		{"read_paths", len(c.Read) > 0}, {"write_paths", len(c.Write) > 0},
		{"cgroup", g.Dir != ""}, {"cgroup_each", g.EachProgram}, {"cgroup_memory", g.Memory != 0},
		{"cgroup_processes", g.Processes != 0}, {"cgroup_cpu", g.CPU != 0},
		{"address_space", l.AddressSpace > 0}, {"open_files", l.OpenFiles > 0},
		{"file_bytes", l.FileBytes > 0}, {"processes", l.Processes > 0},
	} {
		if k.asked {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// Inside returns path: there is no chroot here.
func (*Launcher) Inside(path string) (string, error) { return path, nil }

// Home returns "": programs run as this process does.
func (*Launcher) Home(string) string { return "" }

// Check checks nothing.
func (*Launcher) Check(*Command) error { return nil }

// Close does nothing.
func (*Launcher) Close() error { return nil }

// KnowsCPUTime says whether CPUTime knows anything on this system.
const KnowsCPUTime = false

// CPUTime is not known here.
func (p *Process) CPUTime() time.Duration { return 0 }

// Memory is not known here.
func (p *Process) Memory() int64 { return 0 }

// A Reaper is for Linux.
type Reaper struct{}

// NewReaper returns an error on this system.
func NewReaper() (*Reaper, error) { return nil, fmt.Errorf("no subreaper on %s", runtime.GOOS) }

// Close does nothing.
func (r *Reaper) Close() error { return nil }

// Spare calls start.
func (r *Reaper) Spare(start func() (pid int, err error)) (forget func(), err error) {
	_, err = start()
	return func() {}, err
}
