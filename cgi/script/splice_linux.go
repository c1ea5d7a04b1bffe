package script

import (
	"golang.org/x/sys/unix"

	"gatehouse/cgi"
)

const (
	// spliceMin is from how many bytes on, at once, output or a body is moved between
	// pipe and socket, and not copied.
	spliceMin = 16 << 10

	// largePipe is the size of a pipe that carries much. An ordinary user has room for
	// some hundred of them (fs.pipe-user-pages-soft); beyond it pipes stay as they are.
	largePipe = 256 << 10
)

// readOr is read, unless least bytes or more stand in the pipe, which it leaves there
// and reports as ready.
func (p *outPipe) readOr(b []byte, least int) (n, ready int, err error) {
	p.least = least
	n, err = p.read(b)
	ready, p.least, p.ready = p.ready, 0, 0
	if ready > 0 && err == nil {
		n = 0
	}
	return n, ready, err
}

// stands reports whether as many bytes stand in the pipe as readOr leaves there.
func (p *outPipe) stands() bool {
	p.ready = 0
	if p.least > 0 {
		if n := p.pending(); n >= p.least {
			p.ready = n
		}
	}
	return p.ready > 0
}

// send passes on n bytes that stand in the pipe.
func (p *outPipe) send(w cgi.ResponseWriter, n int) (int, error) {
	if !p.large && n >= copyBuffer {
		p.large = true
		enlarge(p.fd)
	}
	return cgi.SendPipe(w, p.fd, n)
}

// enlarge makes a pipe larger, if the system lets it.
func enlarge(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, largePipe) }

// hasRoom reports whether a pipe takes bytes, or has no reader.
func hasRoom(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	return n > 0 || err != nil && err != unix.EINTR
}
