package fault

import (
	"fmt"
	"os"
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

// Squeeze sets a resource limit of a process that runs, by the name that prlimit(1) has for it,
// such as "nofile", until the function that it returns is called. What the process has beyond
// the limit it keeps.
func Squeeze(pid int, resource string, limit uint64) (release func() error, err error) {
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return nil, err
	}
	owner := info.Sys().(*syscall.Stat_t)
	// Without CAP_SYS_RESOURCE root may not, but the process's own user may.
	prlimit := func(args ...string) (string, error) {
		cmd := exec.Command("prlimit", append([]string{"--pid", fmt.Sprint(pid)}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("prlimit %v of process %d: %w: %s", args, pid, err, out)
		}
		return strings.TrimSpace(string(out)), err
	}
	old, err := prlimit("--"+resource, "--output", "SOFT", "--noheadings")
	if err == nil {
		_, err = prlimit(fmt.Sprintf("--%s=%d:", resource, limit))
	}
	if err != nil {
		return nil, err
	}
	return func() error { _, err := prlimit(fmt.Sprintf("--%s=%s:", resource, old)); return err }, nil
}
