package process

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// The child that syscall.ForkExec makes changes its root directory, its user and its
// control group by itself. It has no hook for the rest, and there are these ways. The
// numbers are the processor time that each added to the 445 µs of a start, with a
// static C program (Linux 6.18, Go 1.26, a virtual machine with two processors).
//
//   - A thread hands its umask, no_new_privs and Landlock domain, and its current
//     directory, on to the children that it starts. So a few threads, which do nothing
//     else, are set up once and start the programs: 40 µs.
//   - Resource limits belong to the process. The child asks to be traced
//     (PTRACE_TRACEME), so that it stops at its execve, before its first instruction;
//     the thread that started it sets its limits and priority from outside and lets it
//     go: 30 µs.
//   - Setting limits from outside without stopping it leaves a moment in which a
//     program can start a child without limits.
//   - A second execve, of this program itself as a stub: 1.3 ms for a small Go program,
//     1.8 ms for the gatehouse command. The program around this package would have to
//     play along, and Go does not start reliably under a small address space.
//   - A stub in C, 330 µs, is another file to install; the shell's ulimit, 530 µs, does
//     not do everything.
//
// So it is the first two. The second one needs a system that lets a process trace
// its children; whether this one does is tried at the start.

// A Launcher starts programs under its rules. It is a [Starter].
type Launcher struct {
	rules  Rules
	reaper *Reaper // or nil

	uid     uint32              // that programs run as, unless it is their owner
	user    *syscall.Credential // of all programs; nil: not changed
	home    string              // of RunAs.User, or ""
	owners  *owners             // nil unless RunAs.Owner
	checked bool                // programs are checked, and pinned
	chroot  string              // without symlinks, or ""
	limits  *resources          // nil for none
	tracing chan struct{}       // bounds the threads that start a program to set its limits, or wait to
	spawner spawner
	cgroups *cgroups // nil for none

	restoreSignals func()
}

// NewLauncher returns a Launcher after it has tried whether the rules can be kept: the
// error has a line for each thing that is wrong with them, which names its key in a
// configuration. The Launcher must be closed. All children of this process that the
// reaper, if it is not nil, does not know are orphans to it. What a user should know
// later goes to the log.
//
// From now on, all descriptors of this process but the first three are closed on exec,
// and signals that it was started to ignore (by nohup, say) are not ignored by its
// programs.
func NewLauncher(r Rules, reaper *Reaper, log *slog.Logger) (*Launcher, error) {
	l := &Launcher{rules: r, reaper: reaper, uid: uint32(os.Geteuid()), restoreSignals: func() {}}
	if err := l.confine(log); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.restoreSignals = catchIgnored()
	markDescriptors()
	return l, nil
}

// confine makes what the rules need, and tries whether it works.
func (l *Launcher) confine(log *slog.Logger) (err error) {
	c := &l.rules.Confinement
	l.checked = c.CheckOwner || c.CheckMode || l.rules.RunAs.Owner
	errs := []error{l.identify(), l.changeRoot()}
	if c.Nice < -20 || c.Nice > 19 {
		errs = append(errs, fmt.Errorf("nice: %d is not from -20 to 19", c.Nice))
	}
	if c.Umask > 0o777 {
		errs = append(errs, fmt.Errorf("umask: %#o is more than 0777", c.Umask))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if l.limits, err = newResources(&l.rules); err != nil {
		return err
	}
	l.tracing = make(chan struct{}, runtime.GOMAXPROCS(0))
	if err := l.startThreads(); err != nil {
		return err
	}
	if err := l.probe(); err != nil {
		return err
	}
	l.cgroups, err = newCgroups(&l.rules.Cgroup, log)
	return err
}

// changeRoot checks the chroot.
func (l *Launcher) changeRoot() (err error) {
	dir := l.rules.Confinement.Chroot
	if dir == "" {
		return nil
	}
	switch {
	case !filepath.IsAbs(dir):
		return fmt.Errorf("chroot: %q is not an absolute path", dir)
	case os.Geteuid() != 0:
		return fmt.Errorf("chroot: only root can change it, and this process runs as %s: start it as root, or remove chroot", userNamed(uint32(os.Geteuid())))
	case l.rules.RunAs.User == "" && !l.rules.RunAs.Owner:
		return errors.New(`chroot: root can leave it at will: write user, too, or run_as = "owner"`)
	}
	if l.chroot, err = filepath.EvalSymlinks(dir); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	for _, list := range [][]string{l.rules.Roots, l.rules.Follow} {
		for _, d := range list {
			if realDir, err := filepath.EvalSymlinks(d); err == nil {
				d = realDir
			}
			if _, in := below(l.chroot, d); !in {
				return fmt.Errorf("chroot: %s does not lie in %s, and cannot be reached from there", d, l.chroot)
			}
		}
	}
	return nil
}

// Inside returns a path as programs see it: without the chroot, if there is one. A path
// that leads into it by a symlink is returned without the symlink. The error is an
// *[Error].
func (l *Launcher) Inside(path string) (string, error) {
	if l.chroot == "" {
		return path, nil
	}
	rel, in := below(l.rules.Confinement.Chroot, path)
	if !in {
		realPath, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", &Error{OpChroot, path, err}
		}
		if rel, in = below(l.chroot, realPath); !in {
			return "", &Error{OpChroot, path, errOutsideChroot}
		}
	}
	return filepath.Join("/", rel), nil
}

// Check makes the checks of Start and starts nothing.
func (l *Launcher) Check(c *Command) error {
	s, err := l.prepare(c)
	if err == nil {
		s.close()
	}
	return err
}

// prepare returns the start of c, after the checks. It is to be closed.
func (l *Launcher) prepare(c *Command) (*spawn, error) {
	attr := &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Sys: &syscall.SysProcAttr{Setpgid: true, Credential: l.user, Chroot: l.chroot}}
	if l.reaper != nil {
		attr.Sys.Pdeathsig = syscall.SIGKILL // set after the user, whose change would undo it
	}
	s := &spawn{path: c.Path, argv: c.Args, attr: attr, dir: -1}
	if l.checked {
		p, err := l.pin(c.Path)
		if err != nil {
			return nil, &Error{OpCheck, c.Path, err}
		}
		s.dir, s.path = p.dir, "./"+p.name
		if p.user != nil {
			attr.Sys.Credential = p.user
		}
	}
	if l.chroot != "" && s.dir < 0 {
		inside, err := l.Inside(c.Path)
		if err != nil {
			return nil, err
		}
		s.path = inside
	}
	if l.cgroups != nil {
		var err error
		if s.cgroup, err = l.cgroups.acquire(); err != nil {
			s.close()
			return nil, &Error{OpCgroup, c.Path, fmt.Errorf("cgroup: %w", err)}
		}
		s.cgroups = l.cgroups
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, s.cgroup.fd
	}
	return s, nil
}

// Start starts a program with default signal dispositions and no descriptors but its
// three. All pipes are closed on exec from their beginning, and our ends do not block.
func (l *Launcher) Start(c *Command) (p *Process, err error) {
	s, err := l.prepare(c)
	if err != nil {
		return nil, err
	}
	defer s.close()
	p = &Process{exited: make(chan struct{}), platform: platform{reaper: l.reaper}}
	child, err := p.openPipes(c.Stdin)
	defer child.close()
	if err != nil {
		p.closePipes()
		return nil, &Error{OpStart, c.Path, err}
	}
	s.attr.Files = child.files()
	if s.attr.Sys.Credential != nil {
		child.chown(s.attr.Sys.Credential)
	}
	begun := l.reaper.startBegins()
	for n := 0; ; n++ {
		p.pid, err = l.spawner.do(s, l.fork)
		if !retryBusy(err, n) {
			break
		}
	}
	if err != nil {
		l.reaper.startFailed(begun)
		p.closePipes()
		return nil, l.explain(s, c.Path, err)
	}
	l.reaper.startDone(begun, p)
	p.cgroup, p.cgroups, s.cgroup = s.cgroup, s.cgroups, nil
	return p, nil
}

// below returns path relative to dir, and whether it lies in dir, by their names alone.
// Both are absolute.
func below(dir, path string) (rel string, in bool) {
	rel, err := filepath.Rel(dir, path)
	return rel, err == nil && filepath.IsLocal(rel)
}

// explain returns the error of a start, with what the confinement may have to do with
// it.
func (l *Launcher) explain(s *spawn, path string, err error) error {
	c, user := &l.rules.Confinement, s.attr.Sys.Credential
	switch {
	case l.chroot != "" && errors.Is(err, os.ErrNotExist):
		err = fmt.Errorf("%w in %s (chroot), where its interpreter and libraries must be, too", err, l.chroot)
	case len(c.Read)+len(c.Write) > 0 && errors.Is(err, os.ErrPermission):
		err = fmt.Errorf("%w (read_paths must have its interpreter and libraries)", err)
	case errors.Is(err, unix.EPERM) && user != nil:
		err = fmt.Errorf("%w (as %s; root needs CAP_SETUID and CAP_SETGID)", err, userNamed(user.Uid))
	default:
		return &Error{OpStart, path, err}
	}
	return &Error{OpConfine, path, err}
}

// Close ends the threads that start programs, and removes the control groups after it
// has killed what is left in them. All programs have been reaped.
func (l *Launcher) Close() error {
	l.spawner.close()
	if l.cgroups != nil {
		l.cgroups.close()
	}
	l.restoreSignals()
	return nil
}
