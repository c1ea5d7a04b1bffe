package process

import (
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// resources are the limits of a process, and its priority.
type resources struct {
	limits []rlimit
	nice   int // 0: not set
	keys   []string
}

type rlimit struct {
	key      string
	resource int
	value    uint64
}

// newResources returns those that the rules ask for, nil if there are none.
func newResources(rules *Rules) (*resources, error) {
	r := &resources{nice: rules.Confinement.Nice}
	l := &rules.Limits
	add := func(key string, resource int, value int64) error {
		var own unix.Rlimit
		if err := unix.Getrlimit(resource, &own); err != nil {
			return fmt.Errorf("%s: %w", key, os.NewSyscallError("getrlimit", err))
		}
		// A limit of this process that is stricter cannot be raised by everybody.
		r.limits = append(r.limits, rlimit{key, resource, min(uint64(value), own.Max)})
		r.keys = append(r.keys, key)
		return nil
	}
	for _, x := range []struct {
		key      string
		resource int
		value    int64
	}{
		{"address_space", unix.RLIMIT_AS, l.AddressSpace},
		{"open_files", unix.RLIMIT_NOFILE, int64(l.OpenFiles)},
		{"file_bytes", unix.RLIMIT_FSIZE, l.FileBytes},
		{"processes", unix.RLIMIT_NPROC, int64(l.Processes)},
	} {
		if x.value > 0 && x.value < math.MaxInt64 {
			if err := add(x.key, x.resource, x.value); err != nil {
				return nil, err
			}
		}
	}
	if rules.Confinement.NoCore {
		if err := add("no_core", unix.RLIMIT_CORE, 0); err != nil {
			return nil, err
		}
	}
	if r.nice != 0 {
		r.keys = append(r.keys, "nice")
	}
	if len(r.keys) == 0 {
		return nil, nil
	}
	return r, nil
}

// The codes of waitid(2).
const cldTrapped = 4

// apply waits until the child, which is traced by this thread, is stopped at its
// execve, sets its limits and lets it go, or kills it there. Whoever waits for the
// process learns how it ended, unless there is an error: then it is gone.
func (r *resources) apply(pid int, kill bool) error {
	for {
		var si unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &si, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("waitid", err)
		}
		if si.Code != cldTrapped {
			if !kill {
				return nil // it has been killed, which others tell
			}
			var ws syscall.WaitStatus
			wait4(pid, &ws)
			return fmt.Errorf("a child ended at once: %v", Status{Code: ws.ExitStatus(), Signal: signalName(ws)})
		}
		var ws syscall.WaitStatus
		if err := wait4(pid, &ws); err != nil {
			return os.NewSyscallError("wait4", err)
		}
		if !ws.Stopped() {
			return nil
		}
		if ws.StopSignal() == syscall.SIGTRAP {
			break
		}
		if err := unix.PtraceCont(pid, int(ws.StopSignal())); err != nil && err != unix.ESRCH {
			return os.NewSyscallError("ptrace", err)
		}
	}
	err := r.setLimits(pid)
	if err == nil && !kill {
		if err = unix.PtraceDetach(pid); err == unix.ESRCH {
			err = nil // it has been killed
		}
	}
	if err == nil && !kill {
		return nil
	}
	unix.Kill(pid, unix.SIGKILL)
	var ws syscall.WaitStatus
	for wait4(pid, &ws) == nil && ws.Stopped() {
	}
	return err
}

func (r *resources) setLimits(pid int) error {
	for _, l := range r.limits {
		if err := unix.Prlimit(pid, l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}, nil); err != nil && err != unix.ESRCH {
			return &limitError{l.key, "CAP_SYS_RESOURCE", os.NewSyscallError("prlimit", err)}
		}
	}
	if r.nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, pid, r.nice); err != nil && err != unix.ESRCH {
			return &limitError{"nice", "CAP_SYS_NICE", os.NewSyscallError("setpriority", err)}
		}
	}
	return nil
}

// A limitError is a limit that could not be set, and the capability that sets it for
// a process of another user.
type limitError struct {
	key, capability string
	err             error
}

func (e *limitError) Error() string { return fmt.Sprintf("%s: %v", e.key, e.err) }
func (e *limitError) Unwrap() error { return e.err }

func wait4(pid int, ws *syscall.WaitStatus) error {
	for {
		if _, err := syscall.Wait4(pid, ws, 0, nil); err != syscall.EINTR {
			return err
		}
	}
}

func signalName(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return ws.Signal().String()
	}
	return ""
}
