package fault

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Child makes a command run where something is scarce. The zero value changes nothing.
// The resource limits are also those of what the command starts. It needs sh and, for a
// disk or a user, root.
type Child struct {
	Files     int // descriptors of a process; beyond them there is EMFILE
	Processes int // processes and threads of User, all together; beyond them fork says EAGAIN
	Memory    int // bytes of address space of a process; beyond them there is ENOMEM

	// Disk is a directory which the command finds on an empty disk of DiskBytes; when that is
	// full there is ENOSPC. Nobody else sees that disk, and it ends with the last process.
	Disk      string
	DiskBytes int

	// User is who the command runs as. RLIMIT_NPROC does not hold for root.
	User *syscall.Credential
}

// Apply changes a command that has not been started.
func (c Child) Apply(cmd *exec.Cmd) {
	var script strings.Builder
	args := []string{"sh", "-c", "", cmd.Path}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	if c.Disk != "" {
		// os/exec makes the mounts of a new namespace private.
		cmd.SysProcAttr.Unshareflags |= unix.CLONE_NEWNS
		fmt.Fprintf(&script, `mount -t tmpfs -o size=%d,mode=1777 tmpfs "$1" || exit 125; shift; `, c.DiskBytes)
		args = append(args, c.Disk)
	}
	for _, limit := range []struct {
		flag  string
		value int
	}{{"n", c.Files}, {"p", c.Processes}, {"v", c.Memory >> 10}} {
		if limit.value > 0 {
			fmt.Fprintf(&script, "ulimit -%s %d || exit 125; ", limit.flag, limit.value)
		}
	}
	script.WriteString(`exec `)
	if c.User != nil {
		fmt.Fprintf(&script, "setpriv --reuid %d --regid %d --clear-groups -- ", c.User.Uid, c.User.Gid)
	}
	script.WriteString(`"$0" "$@"`)
	args[2] = script.String()
	sh, err := exec.LookPath("sh")
	if err != nil {
		cmd.Err = err
		return
	}
	cmd.Args = append(args, cmd.Args[1:]...)
	cmd.Path = sh
}

// Squeeze sets a resource limit of a process that runs, such as RLIMIT_NOFILE, until the
// function that it returns is called. What the process has beyond the limit it keeps.
func Squeeze(pid, resource int, limit uint64) (release func() error, err error) {
	var old unix.Rlimit
	err = unix.Prlimit(pid, resource, nil, &old)
	if err == nil {
		err = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: limit, Max: old.Max}, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("resource limit %d of process %d: %w", resource, pid, err)
	}
	return func() error { return unix.Prlimit(pid, resource, &old, nil) }, nil
}
