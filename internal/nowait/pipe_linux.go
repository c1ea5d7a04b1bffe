package nowait

import (
	"os"

	"golang.org/x/sys/unix"
)

// PipeDescriptors is how many descriptors a Pipe takes.
const PipeDescriptors = 2

// pipeSize is the size of a Pipe, if the system lets it: that many pages, or parts of pages,
// fit in. An ordinary user has room for some hundred of them (fs.pipe-user-pages-soft); beyond
// it they stay as they are.
const pipeSize = 256 << 10

// A Pipe is one that what comes on a socket is moved to, by Conn.SpliceTo, and from there on to
// another one. It is for one goroutine at a time.
type Pipe struct{ r, w int }

// NewPipe returns a pipe, or nil if there is no descriptor for it. The caller closes it.
func NewPipe() *Pipe {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize)
	return &Pipe{fds[0], fds[1]}
}

// In returns the descriptor of the end that is written to.
func (p *Pipe) In() int { return p.w }

// Out returns the descriptor of the end that is read.
func (p *Pipe) Out() int { return p.r }

// Len returns how many bytes are in the pipe.
func (p *Pipe) Len() int { return queued(uintptr(p.r)) }

// Read reads what is in the pipe. It does not wait.
func (p *Pipe) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(p.r, b)
		if err != unix.EINTR {
			return max(n, 0), os.NewSyscallError("read", err)
		}
	}
}

// Close closes both ends.
func (p *Pipe) Close() {
	unix.Close(p.r)
	unix.Close(p.w)
}
