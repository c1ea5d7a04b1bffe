package script

import (
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An outPipe is our end of a pipe that a program writes to. One goroutine reads
// and closes it; any may wake that one.
type outPipe struct {
	fd    int
	file  *os.File // puts fd into the runtime's poller
	conn  syscall.RawConn
	woken atomic.Bool

	// The arguments and results of try, which is one closure for all reads.
	buf   []byte
	n     int
	err   error
	park  bool
	least int // see readOr
	ready int

	large bool // enlarge has been tried
	step  func(uintptr) bool
}

// newOutPipe returns our end of a pipe. It is to be opened before it is read.
func newOutPipe(fd int) *outPipe { return &outPipe{fd: fd} }

// open puts the pipe into the runtime's poller.
func (p *outPipe) open() {
	_, _ = unix.FcntlInt(uintptr(p.fd), unix.F_SETFL, unix.O_NONBLOCK)
	p.file = os.NewFile(uintptr(p.fd), "pipe")
	p.conn, _ = p.file.SyscallConn()
	p.step = p.try
}

func (p *outPipe) try(fd uintptr) (done bool) {
	if p.stands() {
		p.err = nil
		return true
	}
	for {
		p.n, p.err = syscall.Read(int(fd), p.buf)
		if p.err != syscall.EINTR {
			break
		}
	}
	return p.err != syscall.EAGAIN || !p.park
}

// read reads what is there, or waits for it. It returns io.EOF at the end, and
// os.ErrDeadlineExceeded when it was woken or the time of waitUntil has come.
func (p *outPipe) read(b []byte) (int, error) {
	p.buf, p.park = b, true
	err := p.conn.Read(p.step)
	p.buf = nil
	if err != nil {
		return 0, err
	}
	if p.err != nil || p.ready > 0 {
		return 0, p.err
	}
	if p.n == 0 {
		return 0, io.EOF
	}
	return p.n, nil
}

// pending returns how many bytes are in the pipe.
func (p *outPipe) pending() int {
	n, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// readNow reads what is there without waiting, after the program has ended.
func (p *outPipe) readNow(b []byte) (int, error) {
	p.buf, p.park = b, false
	p.try(uintptr(p.fd))
	p.buf = nil
	if p.err == nil && p.n == 0 {
		return 0, io.EOF
	}
	return max(p.n, 0), p.err
}

// waitUntil bounds the next reads; the zero time is no bound.
func (p *outPipe) waitUntil(t time.Time) {
	p.file.SetReadDeadline(t)
	if p.woken.Load() {
		p.file.SetReadDeadline(time.Unix(1, 0))
	}
}

// wake makes the read that is under way, and later ones, return.
func (p *outPipe) wake() {
	p.woken.Store(true)
	p.file.SetReadDeadline(time.Unix(1, 0))
}

func (p *outPipe) close() {
	if p.file == nil {
		unix.Close(p.fd)
		return
	}
	p.file.Close()
}
