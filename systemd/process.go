package systemd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// firstFD is the first descriptor that systemd passes (SD_LISTEN_FDS_START).
const firstFD = 3

// A Process is the process whose descriptors and environment are looked up. The zero
// value is the current process; the fields are for tests.
type Process struct {
	LookupEnv   func(string) (string, bool)
	Unsetenv    func(string) error
	PID         int
	PIDFDID     func() (uint64, bool)     // inode number on pidfs, if the kernel has it
	Inspect     func(int) (Socket, error) // fails if there is no such descriptor
	CloseOnExec func(fd int) error
}

func (p Process) withDefaults() Process {
	if p.LookupEnv == nil {
		p.LookupEnv = os.LookupEnv
	}
	if p.Unsetenv == nil {
		p.Unsetenv = os.Unsetenv
	}
	if p.PID == 0 {
		p.PID = os.Getpid()
	}
	if p.PIDFDID == nil {
		p.PIDFDID = pidfdID
	}
	if p.Inspect == nil {
		p.Inspect = Inspect
	}
	if p.CloseOnExec == nil {
		p.CloseOnExec = closeOnExec
	}
	return p
}

// Descriptors returns the descriptors that systemd passed to this process. It returns
// none, and no error, if the variables are absent or meant for another process. It
// removes the variables even if it fails, so a second call returns none.
//
// It follows sd_listen_fds_with_names(3): LISTEN_PID must be this process, as must
// LISTEN_PIDFDID if it is set and the kernel supports it. LISTEN_FDNAMES must have as
// many names as there are descriptors.
func (p Process) Descriptors() ([]Descriptor, error) {
	p = p.withDefaults()
	vars := make(map[string]string)
	for _, name := range []string{"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if v, ok := p.LookupEnv(name); ok {
			vars[name] = v
			if err := p.Unsetenv(name); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	mine, err := p.addressed(vars)
	if err != nil || !mine {
		return nil, err
	}
	count, ok := vars["LISTEN_FDS"]
	if !ok {
		return nil, nil
	}
	n, err := strconv.ParseInt(count, 10, 32)
	if err != nil || n <= 0 {
		return nil, fmt.Errorf("LISTEN_FDS is %q, not a number of descriptors: unset it", count)
	}
	var names []string
	if list, ok := vars["LISTEN_FDNAMES"]; ok {
		names = strings.Split(list, ":")
		if int64(len(names)) != n {
			return nil, fmt.Errorf("LISTEN_FDNAMES has %d names for the %d descriptors of LISTEN_FDS: write as many, or unset it", len(names), n)
		}
	}
	return p.passed(int(n), names)
}

// addressed reports whether the variables are meant for this process, and not for an
// ancestor.
func (p Process) addressed(vars map[string]string) (bool, error) {
	v, ok := vars["LISTEN_PID"]
	if !ok {
		return false, nil
	}
	pid, err := strconv.ParseInt(v, 10, 32)
	if err != nil || pid <= 0 {
		return false, fmt.Errorf("LISTEN_PID is %q, not the id of a process: unset it", v)
	}
	if int(pid) != p.PID {
		return false, nil
	}
	v, ok = vars["LISTEN_PIDFDID"]
	if !ok {
		return true, nil
	}
	id, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return false, fmt.Errorf("LISTEN_PIDFDID is %q, not the id of a process: unset it", v)
	}
	own, known := p.PIDFDID()
	return !known || own == id, nil
}

// passed inspects n descriptors. It stops at the first that is not open, so a large n
// does no harm.
func (p Process) passed(n int, names []string) ([]Descriptor, error) {
	var list []Descriptor
	for i := range n {
		d := Descriptor{FD: firstFD + i, Name: "unknown"}
		if names != nil {
			d.Name = names[i]
		}
		s, err := p.Inspect(d.FD)
		if err != nil {
			return nil, fmt.Errorf("LISTEN_FDS is %d, but %w: pass as many sockets, or unset it", n, err)
		}
		d.Socket = s
		if err := p.CloseOnExec(d.FD); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}
