package process

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// childPipes are the program's ends of its three descriptors.
type childPipes struct {
	fds  [3]int
	kept bool // the first is somebody else's file
}

// closed is no descriptor.
const closed = -1

// openPipes opens the pipes of p. The result is to be closed, also after an error.
func (p *Process) openPipes(stdin *os.File) (child childPipes, err error) {
	child.fds = [3]int{closed, closed, closed}
	if stdin != nil {
		child.fds[0], child.kept = int(stdin.Fd()), true
	} else {
		r, w, err := pipe()
		if err != nil {
			return child, err
		}
		child.fds[0] = r
		if _, err := unix.FcntlInt(uintptr(w), unix.F_SETFL, unix.O_NONBLOCK); err != nil {
			unix.Close(w)
			return child, os.NewSyscallError("fcntl", err)
		}
		p.Stdin = os.NewFile(uintptr(w), "stdin")
	}
	for i, out := range []**Output{&p.Stdout, &p.Stderr} {
		r, w, err := pipe()
		if err != nil {
			return child, err
		}
		child.fds[1+i] = w
		*out = &Output{fd: r}
	}
	p.Stdout.Open()
	return child, nil
}

func pipe() (r, w int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return closed, closed, os.NewSyscallError("pipe2", err)
	}
	return fds[0], fds[1], nil
}

func (c *childPipes) files() []uintptr {
	return []uintptr{uintptr(c.fds[0]), uintptr(c.fds[1]), uintptr(c.fds[2])}
}

// chown makes the user the owner, so that the program can open /dev/stdin and
// /dev/stderr anew, as shell scripts do.
func (c *childPipes) chown(user *syscall.Credential) {
	for _, fd := range c.fds {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && (st.Mode&unix.S_IFMT == unix.S_IFIFO || st.Mode&unix.S_IFMT == unix.S_IFREG) {
			unix.Fchown(fd, int(user.Uid), int(user.Gid))
		}
	}
}

func (c *childPipes) close() {
	for i, fd := range c.fds {
		if fd != closed && (i > 0 || !c.kept) {
			unix.Close(fd)
		}
	}
}
