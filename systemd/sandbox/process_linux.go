package sandbox

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Self returns the sandbox of this process, or nil if systemd did not start it.
func Self() *Sandbox {
	s, err := read("/proc/self")
	if err != nil || s.unit == "" && os.Getenv("INVOCATION_ID") == "" {
		return nil
	}
	s.families, s.denyWriteExec = s.seccomp && !hasNetlink(), deniesWriteExec(s.seccomp)
	return s
}

// Of returns the sandbox of a process of a systemd service. Only root can tell of the processes
// of others.
func Of(pid int) (*Sandbox, error) {
	s, err := read("/proc/" + strconv.Itoa(pid))
	switch {
	case err != nil:
		return nil, err
	case s.unit == "":
		return nil, fmt.Errorf("process %d belongs to no service of systemd", pid)
	}
	return s, nil
}

// MountPoint returns where the file system of path, which is no link, is mounted; "" if /proc
// does not tell.
func MountPoint(path string) string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	s := Sandbox{mounts: parseMounts(string(table))}
	if m := s.mountOf(path); err == nil && m != nil {
		return m.point
	}
	return ""
}

func read(dir string) (*Sandbox, error) {
	var text [3]string
	for i, name := range [...]string{"mountinfo", "status", "cgroup"} {
		b, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			return nil, fmt.Errorf("the sandbox of a process: %w", err)
		}
		text[i] = string(b)
	}
	return Parse(text[0], text[1], text[2]), nil
}

// hasNetlink reports whether this process may use a family of addresses that each Linux has,
// and that no list for network programs needs.
func hasNetlink() bool {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err == nil {
		unix.Close(fd)
	}
	return err != unix.EAFNOSUPPORT
}

// deniesWriteExec reports whether memory of this process cannot be writable and executable:
// by prctl or, in older systemd, by a filter. SELinux says EACCES.
func deniesWriteExec(seccomp bool) bool {
	if flags, err := unix.PrctlRetInt(unix.PR_GET_MDWE, 0, 0, 0, 0); err == nil && flags != 0 {
		return true
	}
	b, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err == nil {
		unix.Munmap(b)
	}
	return seccomp && err == unix.EPERM
}
