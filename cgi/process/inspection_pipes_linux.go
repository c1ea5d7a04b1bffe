package process

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ends is what our ends of the pipes to and from a program show. They are ours, so that no
// right is needed for that.
type ends struct{ stdin, stdout end }

// An end is one of a pipe. The zero end is none.
type end struct {
	link           string // as /proc/PID/fd shows the pipe: "pipe:[NUMBER]"
	held, capacity int    // bytes that are in it, and how many have room
}

func (p *Process) ends() (e ends) {
	if p.Stdin != nil {
		if conn, err := p.Stdin.SyscallConn(); err == nil {
			e.stdin = endOf(conn)
		}
	}
	if p.Stdout != nil && p.Stdout.conn != nil {
		e.stdout = endOf(p.Stdout.conn)
	}
	return e
}

// endOf looks at an end, which is not closed meanwhile.
func endOf(conn syscall.RawConn) (e end) {
	conn.Control(func(fd uintptr) {
		var st unix.Stat_t
		if unix.Fstat(int(fd), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
			return
		}
		e.link = fmt.Sprintf("pipe:[%d]", st.Ino)
		e.held, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		e.capacity, _ = unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
	})
	return e
}

// describe says what is held up in the pipes.
func (e ends) describe() (lines []string) {
	if e.stdin.held > 0 {
		lines = append(lines, fmt.Sprintf("its stdin holds %d bytes of the request's body that it has not read", e.stdin.held))
	}
	switch o := e.stdout; {
	case o.held > 0 && o.capacity-o.held < os.Getpagesize():
		lines = append(lines, fmt.Sprintf("its stdout is full: %d bytes have not been taken", o.held))
	case o.held > 0:
		lines = append(lines, fmt.Sprintf("its stdout holds %d bytes that have not been taken", o.held))
	}
	return lines
}
