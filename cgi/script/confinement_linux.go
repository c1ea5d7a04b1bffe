package script

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// confinement is what an App makes of its RunAs, Confinement and Cgroup.
type confinement struct {
	app     *App
	user    *syscall.Credential // of all programs; nil: not changed
	owners  *owners             // nil unless RunAs.Owner
	uid     uint32              // that programs run as, unless it is their owner
	checked bool                // programs are checked, and pinned
	chroot  string              // without symlinks, or ""
	limits  *resources          // nil for none
	spawner *spawner            // nil if nothing needs it
	cgroups *cgroups            // nil for none
}

// confine makes the confinement, nil if there is none.
func (a *App) confine() (c *confinement, err error) {
	keys := a.needs()
	if len(keys) == 0 || len(keys) == 1 && keys[0] == "cpu" {
		return nil, nil
	}
	c = &confinement{app: a, uid: uint32(os.Geteuid())}
	o := &a.Confinement
	c.checked = o.CheckOwner || o.CheckMode || a.RunAs.Owner
	errs := []error{c.identify(), c.changeRoot()}
	if o.Nice < -20 || o.Nice > 19 {
		errs = append(errs, fmt.Errorf("nice: %d is not from -20 to 19", o.Nice))
	}
	if o.Umask > 0o777 {
		errs = append(errs, fmt.Errorf("umask: %#o is more than 0777", o.Umask))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.limits, err = newResources(a); err != nil {
		return nil, err
	}
	if c.spawner, err = c.newSpawner(); err != nil {
		return nil, err
	}
	err = c.probe()
	if err == nil {
		c.cgroups, err = newCgroups(a)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// changeRoot settles the chroot.
func (c *confinement) changeRoot() (err error) {
	dir := c.app.Confinement.Chroot
	if dir == "" {
		return nil
	}
	switch {
	case !filepath.IsAbs(dir):
		return fmt.Errorf("chroot: %q is not an absolute path", dir)
	case os.Geteuid() != 0:
		return fmt.Errorf("chroot: only root can change it, and this process runs as %s: start it as root, or remove chroot", userNamed(uint32(os.Geteuid())))
	case c.app.RunAs.User == "" && !c.app.RunAs.Owner:
		return errors.New(`chroot: root can leave it at will: write user, too, or run_as = "owner"`)
	}
	if c.chroot, err = filepath.EvalSymlinks(dir); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	for _, list := range [][]string{c.app.Roots, c.app.Follow} {
		for _, d := range list {
			if realDir, err := filepath.EvalSymlinks(d); err == nil {
				d = realDir
			}
			if _, in := below(c.chroot, d); !in {
				return fmt.Errorf("chroot: %s does not lie in %s, and cannot be reached from there", d, c.chroot)
			}
		}
	}
	return nil
}

// inside returns a path as it is seen in the chroot. A path that leads there by a
// symlink is told without it.
func (c *confinement) inside(path string) (string, error) {
	rel, in := below(c.app.Confinement.Chroot, path)
	if !in {
		realPath, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", classify(err)
		}
		if rel, in = below(c.chroot, realPath); !in {
			return "", errOutsideChroot
		}
	}
	return filepath.Join("/", rel), nil
}

var errOutsideChroot = errors.New("lies outside the chroot")

// A confined is what a command has of a confinement.
type confined struct {
	*confinement
	program string // what is executed, in the chroot, or in the pinned directory
	dir     int    // pinned directory, or -1
	user    *syscall.Credential
	cgroup  *cgroup
}

// prepare settles how the program of c is started, after the checks. Its error is
// the answer. The confined is to be closed.
func (c *confinement) prepare(cmd *command) error {
	d := &confined{confinement: c, program: cmd.path, dir: -1, user: c.user}
	if c.checked {
		p, err := c.pin(cmd.path)
		if err != nil {
			f := lookupFinding(cmd.path, err)
			if f.Check == CheckStart {
				f.Check = CheckOwner
			}
			return f.status()
		}
		d.dir, d.program = p.dir, "./"+p.name
		if p.user != nil {
			d.user = p.user
		}
	}
	if c.chroot != "" {
		inside, err := c.inside(cmd.path)
		if err != nil {
			d.close()
			return lookupFinding(cmd.path, err).status()
		}
		if d.dir < 0 {
			d.program, cmd.dir = inside, filepath.Dir(inside)
		}
		cmd.argv0 = inside
		for i, v := range cmd.env {
			if strings.HasPrefix(v, "SCRIPT_FILENAME=") {
				cmd.env[i] = "SCRIPT_FILENAME=" + inside
			}
		}
	}
	if c.cgroups != nil {
		var err error
		if d.cgroup, err = c.cgroups.take(); err != nil {
			d.close()
			return startFinding(cmd.path, cmd.dir, err).status()
		}
	}
	cmd.confined = d
	return nil
}

// close closes the pinned directory, and gives back the control group that no
// process has taken over.
func (d *confined) close() {
	if d == nil {
		return
	}
	if d.dir >= 0 {
		unix.Close(d.dir)
		d.dir = -1
	}
	if d.cgroup != nil {
		d.cgroups.give(d.cgroup)
		d.cgroup = nil
	}
}

// start starts the program, as c says where d does not.
func (d *confined) start(c *command, files [3]uintptr) (pid int, err error) {
	attr := &syscall.ProcAttr{
		Dir:   c.dir,
		Env:   c.env,
		Files: files[:],
		Sys:   &syscall.SysProcAttr{Setpgid: true, Credential: d.user, Chroot: d.chroot},
	}
	if d.cgroup != nil {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, d.cgroup.fd
	}
	if d.user != nil {
		// So that it can open /dev/stdin and /dev/stderr anew, as shell scripts do.
		for _, fd := range files {
			var st unix.Stat_t
			if unix.Fstat(int(fd), &st) == nil && (st.Mode&unix.S_IFMT == unix.S_IFIFO || st.Mode&unix.S_IFMT == unix.S_IFREG) {
				unix.Fchown(int(fd), int(d.user.Uid), int(d.user.Gid))
			}
		}
	}
	return d.confinement.start(&spawn{path: d.program, argv: c.argv(), attr: attr, dir: d.dir})
}

// explain adds to the error of a start what the confinement may have to do with it.
func (d *confined) explain(err error) error {
	o := &d.app.Confinement
	switch {
	case d.chroot != "" && errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w in %s (chroot), where its interpreter and libraries must be, too", err, d.chroot)
	case len(o.Read)+len(o.Write) > 0 && errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w (read_paths must have its interpreter and libraries)", err)
	case errors.Is(err, unix.EPERM) && d.user != nil:
		return fmt.Errorf("%w (as %s; root needs CAP_SETUID and CAP_SETGID)", err, userNamed(d.user.Uid))
	}
	return err
}

func (c *confinement) close() {
	if c == nil {
		return
	}
	if c.spawner != nil {
		c.spawner.close()
	}
	if c.cgroups != nil {
		c.cgroups.close()
	}
}
