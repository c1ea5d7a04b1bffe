// Package sandbox tells which setting of a systemd unit hides a file from a process, or stops
// one of its programs: "ProtectHome=yes of gatehouse.service hides /home" instead of
// "permission denied".
//
// It asks the kernel what systemd has put around the process (mounts, no_new_privs, seccomp
// filters), not systemd what the unit says: that is true for the running process, drop-ins and
// all, and needs no bus. Nothing is blamed on a unit without a mark of it: a file that is
// missing under a directory that is not hidden has no Reason, nor has a file system that is
// read-only as a whole, nor anything in a process that systemd did not start.
package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// A Sandbox is what systemd has put around a process. A nil Sandbox is none.
type Sandbox struct {
	unit            string // such as "gatehouse.service"; "" if systemd started the process, and the name is unknown
	user            string
	mounts          []mount
	noNewPrivileges bool
	seccomp         bool // system calls are filtered
	denyWriteExec   bool // memory cannot be writable and executable
	families        bool // some address families cannot be used
}

// User returns the number of the user as whom the process runs.
func (s *Sandbox) User() string { return s.user }

// A Reason is a setting of the unit that hides or stops something.
type Reason struct {
	Detail string // the setting, whose it is, and what it does
	Remedy string // how to lift it, or what to do instead
	Denied bool   // what it hides is there, and may not be looked at; otherwise it is not there
}

// String returns one line.
func (r *Reason) String() string { return r.Detail + ": " + r.Remedy }

// Hides returns the reason why a file cannot be looked up: err is what the system said, or
// fs.ErrNotExist for a file that this process sees and one in the sandbox does not. It returns
// nil if that has nothing to do with the unit, as far as can be told.
func (s *Sandbox) Hides(path string, err error) *Reason {
	missing := errors.Is(err, fs.ErrNotExist)
	if s == nil || !missing && !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	for _, path := range [...]string{path, resolved(path)} {
		m := s.mountOf(path)
		switch {
		case m == nil:
		case m.inaccessible():
			r := s.inaccessible(m.point)
			r.Denied = true
			return r
		case m.point == "/home" || m.point == "/root" || m.point == "/run/user":
			if s.isTmpfs("/home") && s.isTmpfs("/root") {
				return s.reason("ProtectHome=tmpfs", "hides "+m.point, "write ProtectHome=read-only")
			}
		case missing && m.private():
			return s.reason("PrivateTmp=yes", "gives it a "+m.point+" of its own", "keep the file elsewhere, or write PrivateTmp=no")
		case missing && m.point == "/dev" && m.kind == "tmpfs" && m.readOnly():
			return s.reason("PrivateDevices=yes", "hides the devices in /dev", "write PrivateDevices=no")
		case missing && m.point == "/proc" && m.has("subset=pid"):
			return s.reason("ProcSubset=pid", "hides all in /proc but processes", "write ProcSubset=all")
		}
	}
	return nil
}

func (s *Sandbox) inaccessible(point string) *Reason {
	masks := func(point string) bool { m := s.mountAt(point); return m != nil && m.inaccessible() }
	switch {
	case point == "/home" || point == "/root" || point == "/run/user":
		if masks("/home") && masks("/root") {
			return s.reason("ProtectHome=yes", "hides "+point, "write ProtectHome=read-only")
		}
	case strings.HasPrefix(point, "/proc/"):
		return s.reason("ProtectKernelTunables=yes or ProtectKernelLogs=yes", "hides "+point, "write =no for both")
	case point == "/usr/lib/modules" || point == "/lib/modules":
		return s.reason("ProtectKernelModules=yes", "hides "+point, "write ProtectKernelModules=no")
	case point == "/dev/kmsg":
		return s.reason("ProtectKernelLogs=yes", "hides "+point, "write ProtectKernelLogs=no")
	}
	return s.reason("InaccessiblePaths=", "hides "+point, "take it out of that list")
}

// ReadOnly returns the reason why nothing can be written at path, or nil.
func (s *Sandbox) ReadOnly(path string) *Reason {
	if s == nil {
		return nil
	}
	dir := filepath.Dir(path)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	path = filepath.Join(dir, filepath.Base(path))
	m := s.mountOf(path)
	if m == nil || !m.readOnly() {
		return nil
	}
	below := func(dir string) bool { return m.point == dir || strings.HasPrefix(m.point, dir+"/") }
	lift := "write ReadWritePaths=" + dir
	switch root := s.mountAt("/"); {
	case below("/sys/fs/cgroup"):
		return s.reason("ProtectControlGroups=yes", "makes "+m.point+" read-only", "write ProtectControlGroups=no")
	case below("/proc"), below("/sys"):
		return s.reason("ProtectKernelTunables=yes", "makes "+m.point+" read-only", "write ProtectKernelTunables=no")
	case root != nil && root.readOnly():
		return s.reason("ProtectSystem=strict", "makes "+dir+" read-only", lift)
	case !s.bound(m):
		return nil // perhaps the administrator's own
	case below("/usr"), below("/boot"), below("/efi"), below("/etc"):
		return s.reason("ProtectSystem=", "makes "+m.point+" read-only", lift)
	}
	return s.reason("ReadOnlyPaths= or ProtectHome=read-only", "makes "+m.point+" read-only", lift)
}

// NoExec returns the reason why nothing in the file system of path can be executed, or nil.
func (s *Sandbox) NoExec(path string) *Reason {
	if s == nil {
		return nil
	}
	m := s.mountOf(resolved(path))
	if root := s.mountAt("/"); m == nil || !m.has("noexec") || !s.bound(m) && (root == nil || !root.has("noexec")) {
		return nil
	}
	return s.reason("NoExecPaths="+m.point, "lets nothing there be executed", "write ExecPaths="+path)
}

// IgnoresID returns the reason why a program with these mode bits does not get the rights of
// its owner or group, or nil.
func (s *Sandbox) IgnoresID(mode fs.FileMode) *Reason {
	if s == nil || !s.noNewPrivileges || mode&(fs.ModeSetuid|fs.ModeSetgid) == 0 {
		return nil
	}
	return s.noNewPrivs()
}

func (s *Sandbox) noNewPrivs() *Reason {
	return s.reason("NoNewPrivileges=yes", "keeps programs from gaining privileges (set-user-ID, set-group-ID, sudo)",
		"write NoNewPrivileges=no, and lift what implies it, as compat.conf does")
}

// Ended returns the reason why a signal, by its name, ended a program, or nil.
func (s *Sandbox) Ended(signal string) *Reason {
	switch {
	case s == nil:
	case signal == "bad system call" && s.seccomp:
		return s.reason("SystemCallFilter= or, for a 32-bit program, SystemCallArchitectures=", "forbids a system call that it made, unless it has a filter of its own",
			"allow the call whose number ausearch -m seccomp or dmesg shows")
	case s.denyWriteExec && (signal == "segmentation fault" || signal == "trace/breakpoint trap" || signal == "aborted"):
		return s.reason("MemoryDenyWriteExecute=yes", "stops programs that compile as they run (Node.js, Java, .NET, PHP with JIT), which this may be",
			"write MemoryDenyWriteExecute=no")
	}
	return nil
}

// Said returns the reason behind what a program says on stderr, a line in English, or nil.
func (s *Sandbox) Said(line string) *Reason {
	if s == nil {
		return nil
	}
	switch {
	case strings.Contains(line, "ead-only file system"):
		return s.readOnlyIn(line)
	case strings.Contains(line, "No such file or directory"):
		return s.hidesOneOf(line, fs.ErrNotExist)
	case strings.Contains(line, "ermission denied"):
		return s.hidesOneOf(line, fs.ErrPermission)
	case s.noNewPrivileges && (strings.Contains(line, "effective uid is not 0") || strings.Contains(line, "no new privileges") ||
		strings.Contains(line, "must be setuid root")):
		return s.noNewPrivs()
	case s.families && strings.Contains(line, "Address family not supported by protocol"):
		return s.reason("RestrictAddressFamilies=", "forbids all kinds of sockets but those that it lists", "add the one that the program needs")
	case strings.Contains(line, "/proc must be mounted"): // free, top, uptime
		return s.Hides("/proc/uptime", fs.ErrNotExist)
	}
	return nil
}

// readOnlyIn returns the reason why what line names is read-only. The last path in it counts: the
// first one often is the program's own.
func (s *Sandbox) readOnlyIn(line string) (r *Reason) {
	for path := range paths(line) {
		if !strings.HasPrefix(line, path+":") {
			r = s.ReadOnly(path)
		}
	}
	if root := s.mountAt("/"); r == nil && root != nil && root.readOnly() {
		return s.reason("ProtectSystem=strict", "makes all but a few directories read-only", "name the directory in ReadWritePaths=")
	}
	return r
}

func (s *Sandbox) hidesOneOf(line string, err error) *Reason {
	for path := range paths(line) {
		if r := s.Hides(path, err); r != nil {
			return r
		}
	}
	return nil
}

// reason returns the Reason that a setting does something.
func (s *Sandbox) reason(setting, does, remedy string) *Reason {
	unit, edit := s.unit, s.unit
	if unit == "" {
		unit, edit = "the systemd unit", "UNIT"
	}
	return &Reason{
		Detail: fmt.Sprintf("%s of %s %s", setting, unit, does),
		Remedy: fmt.Sprintf("%s (systemctl edit %s, and restart it)", remedy, edit),
	}
}

// resolved returns what path leads to, as far as that can be looked up.
func resolved(path string) string {
	real, err := filepath.EvalSymlinks(path)
	var pe *fs.PathError
	switch {
	case err == nil:
		return real
	case errors.As(err, &pe) && filepath.IsAbs(pe.Path):
		return pe.Path
	}
	return path
}
