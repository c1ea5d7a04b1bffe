package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// cgroups are the control groups of a Launcher.
type cgroups struct {
	options *Cgroup
	log     *slog.Logger
	dir     string  // of the Launcher's own
	lock    int     // of it: a descriptor
	whole   *cgroup // of all programs, unless each has one

	mu   sync.Mutex
	free []*cgroup
	made int
}

// A cgroup is a control group that programs are started in.
type cgroup struct {
	dir  string
	fd   int
	own  bool          // of one program
	base time.Duration // CPU time of earlier programs in it

	// killed says that it is not used again: Linux 6.18 kills also what is started later
	// in a group that was killed once.
	killed bool

	memoryKills atomic.Int64 // for want of memory, that tookMemoryKill has returned
}

// emptyTime is how long the last process of a killed control group may take to
// end, and emptyPause how often it is looked.
const (
	emptyTime  = 5 * time.Second
	emptyPause = time.Millisecond
)

// newCgroups makes the Launcher's control group, nil if none is wanted.
func newCgroups(o *Cgroup, log *slog.Logger) (*cgroups, error) {
	if o.Dir == "" {
		if *o != (Cgroup{}) {
			return nil, errors.New("cgroup_each, cgroup_memory, cgroup_processes, cgroup_cpu: without cgroup: write the directory of a delegated control group")
		}
		return nil, nil
	}
	if !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("cgroup: %q is not an absolute path", o.Dir)
	}
	if o.Memory < 0 || o.Processes < 0 || o.CPU < 0 {
		return nil, errors.New("cgroup_memory, cgroup_processes, cgroup_cpu: a negative number")
	}
	var st unix.Statfs_t
	if err := unix.Statfs(o.Dir, &st); err != nil {
		return nil, fmt.Errorf("cgroup: %s: %w", o.Dir, err)
	}
	if st.Type != unix.CGROUP2_SUPER_MAGIC {
		return nil, fmt.Errorf("cgroup: %s is not in a control group file system of version 2: write a directory below where that is mounted", o.Dir)
	}
	if err := o.enable(o.Dir); err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	removeStale(o.Dir, log)
	g := &cgroups{options: o, log: log}
	err := g.create()
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w: it must be delegated to %s (Delegate=yes in a systemd unit)", err, userNamed(uint32(os.Geteuid())))
	}
	err = o.enableFor(g)
	if err == nil && !o.EachProgram {
		if err = o.write(g.dir); err == nil {
			g.whole, err = openCgroup(g.dir)
		}
	}
	if err != nil {
		os.Remove(g.dir)
		unix.Close(g.lock)
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return g, nil
}

// create makes the group of the Launcher, under the first number that is free, and locks
// it.
func (g *cgroups) create() (err error) {
	for n := 1; ; n++ {
		g.dir = filepath.Join(g.options.Dir, fmt.Sprintf("gatehouse.%d.%d", os.Getpid(), n))
		if err := os.Mkdir(g.dir, 0o755); errors.Is(err, fs.ErrExist) {
			continue
		} else if err != nil {
			return err
		}
		// Who looks for groups that nobody has may have been faster, and removes this one.
		g.lock, err = lockGroup(g.dir)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// lockGroup locks the group of a Launcher, which says that its process lives, and returns
// the descriptor that holds the lock. The kernel ends the lock with the process, whatever
// ended that. Unlike a number, it is not given to another process, and it holds among
// containers that do not see each other's processes.
func lockGroup(dir string) (lock int, err error) {
	lock, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		var held, there unix.Stat_t
		if err = errors.Join(unix.Fstat(lock, &held), unix.Stat(dir, &there)); err == nil && held.Ino == there.Ino {
			return lock, nil
		}
		err = fs.ErrNotExist // it was removed meanwhile, and perhaps made anew
	}
	unix.Close(lock)
	return -1, err
}

// removeStale removes the groups of Launchers whose process has ended without closing
// them, after it has killed what is left in them.
func removeStale(dir string, log *slog.Logger) {
	until := time.Now().Add(emptyTime)
	stale, _ := filepath.Glob(filepath.Join(dir, "gatehouse.*.*"))
	for _, d := range stale {
		lock, err := lockGroup(d)
		if err != nil {
			continue // its process lives
		}
		if c := (&cgroup{dir: d}); c.populated() {
			log.LogAttrs(context.Background(), slog.LevelWarn, "what a gateway has left behind is killed: it ended without ending its programs",
				slog.String("cgroup", d))
			c.empty(until)
		}
		removeTree(d)
		unix.Close(lock)
	}
}

// removeTree removes a group and those in it. One that has processes stays.
func removeTree(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeTree(filepath.Join(dir, e.Name()))
		}
	}
	os.Remove(dir)
}

func (o *Cgroup) enableFor(g *cgroups) error {
	if o.EachProgram {
		return o.enable(g.dir)
	}
	return nil
}

// controllers returns those that the limits need.
func (o *Cgroup) controllers() (names []string) {
	if o.CPU > 0 {
		names = append(names, "cpu")
	}
	if o.Memory > 0 {
		names = append(names, "memory")
	}
	if o.Processes > 0 {
		names = append(names, "pids")
	}
	return names
}

// enable sees to it that the groups in dir have the controllers.
func (o *Cgroup) enable(dir string) error {
	for _, c := range o.controllers() {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		if err != nil {
			return err
		}
		if !slices.Contains(strings.Fields(string(text)), c) {
			return fmt.Errorf("%s has no controller %q: have it delegated (Delegate=%s in a systemd unit), or remove the limit cgroup_%s",
				dir, c, c, strings.Replace(c, "pids", "processes", 1))
		}
		err = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0)
		if errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("%s has processes of its own, and can have no limits for groups in it: "+
				"have gatehouse in a group below it (DelegateSubgroup=daemon in a systemd unit)", dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cpuPeriod is the period of cpu.max, in microseconds.
const cpuPeriod = 100000

// write writes the limits.
func (o *Cgroup) write(dir string) error {
	var errs []error
	set := func(file, value string) {
		errs = append(errs, os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644))
	}
	if o.Memory > 0 {
		set("memory.max", strconv.FormatInt(o.Memory, 10))
	}
	if o.Processes > 0 {
		set("pids.max", strconv.Itoa(o.Processes))
	}
	if o.CPU > 0 {
		set("cpu.max", fmt.Sprintf("%d %d", max(int64(o.CPU*cpuPeriod), 1000), cpuPeriod))
	}
	return errors.Join(errs...)
}

func openCgroup(dir string) (*cgroup, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &cgroup{dir: dir, fd: fd}, nil
}

// acquire returns a group for a program.
func (g *cgroups) acquire() (*cgroup, error) {
	if g.whole != nil {
		return g.whole, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.free); n > 0 {
		c := g.free[n-1]
		g.free = g.free[:n-1]
		return c, nil
	}
	g.made++
	dir := filepath.Join(g.dir, strconv.Itoa(g.made))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	err := g.options.write(dir)
	if err == nil {
		var c *cgroup
		if c, err = openCgroup(dir); err == nil {
			c.own = true
			return c, nil
		}
	}
	os.Remove(dir)
	return nil, err
}

// release takes a group back. If it was one program's own, what is left in it is killed.
func (g *cgroups) release(c *cgroup) {
	if !c.own {
		return
	}
	if !c.empty(time.Now().Add(emptyTime)) {
		g.log.LogAttrs(context.Background(), slog.LevelError, "processes of a control group cannot be killed", slog.String("cgroup", c.dir))
	}
	if c.killed {
		unix.Close(c.fd)
		os.Remove(c.dir)
		return
	}
	c.base, _ = c.usage()
	g.mu.Lock()
	g.free = append(g.free, c)
	g.mu.Unlock()
}

// empty kills what is in the group until nothing is, or the time is over.
func (c *cgroup) empty(until time.Time) bool {
	for c.populated() {
		c.kill()
		if time.Now().After(until) {
			return false
		}
		time.Sleep(emptyPause)
	}
	return true
}

func (c *cgroup) populated() bool {
	text, err := os.ReadFile(filepath.Join(c.dir, "cgroup.events"))
	// Without a free descriptor nobody knows.
	return bytes.Contains(text, []byte("populated 1")) || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// kill kills all that is in the group, and in those below it.
func (c *cgroup) kill() {
	c.killed = true
	err := os.WriteFile(filepath.Join(c.dir, "cgroup.kill"), []byte("1"), 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return
	}
	// The kernel is one before 5.14.
	c.signal(unix.SIGKILL)
	below, _ := filepath.Glob(filepath.Join(c.dir, "*", "cgroup.procs"))
	for _, file := range below {
		(&cgroup{dir: filepath.Dir(file)}).signal(unix.SIGKILL)
	}
}

// signal signals all that is in the group.
func (c *cgroup) signal(s unix.Signal) {
	text, _ := os.ReadFile(filepath.Join(c.dir, "cgroup.procs"))
	for _, f := range bytes.Fields(text) {
		if pid, err := strconv.Atoi(string(f)); err == nil && pid > 1 {
			unix.Kill(pid, s)
		}
	}
}

// tookMemoryKill reports whether the system has killed a process in the group for want of
// memory for which it has not yet returned true.
func (c *cgroup) tookMemoryKill() bool {
	text, err := os.ReadFile(filepath.Join(c.dir, "memory.events"))
	if err != nil {
		return false // there is no such controller
	}
	_, rest, _ := bytes.Cut(text, []byte("\noom_kill "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	killed, _ := strconv.ParseInt(string(line), 10, 64)
	for {
		before := c.memoryKills.Load()
		if killed <= before {
			return false
		}
		now := before + 1
		if c.own { // all were of the one program
			now = killed
		}
		if c.memoryKills.CompareAndSwap(before, now) {
			return true
		}
	}
}

// usage returns the CPU time of all that ran in the group.
func (c *cgroup) usage() (time.Duration, bool) {
	text, err := os.ReadFile(filepath.Join(c.dir, "cpu.stat"))
	if err != nil {
		return 0, false
	}
	rest, ok := bytes.CutPrefix(text, []byte("usage_usec "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(line), 10, 64)
	return time.Duration(n) * time.Microsecond, ok && err == nil
}

// cpuTime returns the CPU time of the program that it was taken for.
func (c *cgroup) cpuTime() (time.Duration, bool) {
	used, ok := c.usage()
	return used - c.base, ok
}

// close kills what is left, and removes the groups. All programs have ended.
func (g *cgroups) close() {
	for _, c := range append(g.free, g.whole) {
		if c != nil {
			unix.Close(c.fd)
		}
	}
	(&cgroup{dir: g.dir}).empty(time.Now().Add(emptyTime))
	removeTree(g.dir)
	unix.Close(g.lock)
}
