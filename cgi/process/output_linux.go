package process

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// largePipe is the size of a pipe that carries much. An ordinary user has room for
// some hundred of them (fs.pipe-user-pages-soft); beyond it pipes stay as they are.
const largePipe = 256 << 10

// enlargeFrom is how much a full pipe of the usual size holds.
const enlargeFrom = 64 << 10

// An Output is our end of a pipe that a program writes to. One goroutine reads and
// closes it; any may interrupt that one.
type Output struct {
	fd          int
	file        *os.File // puts fd into the runtime's poller; nil until Open
	conn        syscall.RawConn
	interrupted atomic.Bool
	exited      atomic.Bool // the program has been reaped

	// What follows belongs to the reading goroutine.
	large    bool // enlarging has been tried
	draining bool // only what is there is read
	left     int  // of that, in bytes

	// The arguments and results of try, which is one closure for all reads.
	buf   []byte
	n     int
	err   error
	least int // see ReadOr
	ready int
	step  func(uintptr) bool
}

// Open puts the pipe into the runtime's poller, where reads can wait. It is called once,
// and before Wait.
func (o *Output) Open() {
	_, _ = unix.FcntlInt(uintptr(o.fd), unix.F_SETFL, unix.O_NONBLOCK)
	o.file = os.NewFile(uintptr(o.fd), "pipe")
	o.conn, _ = o.file.SyscallConn()
	o.step = o.try
}

// try reads once, and reports whether there is no need to wait.
func (o *Output) try(fd uintptr) (done bool) {
	if o.ready = 0; o.least > 0 {
		if n := o.pending(); n >= o.least {
			o.ready, o.err = n, nil
			return true
		}
	}
	o.readOnce(int(fd))
	return o.err != syscall.EAGAIN
}

func (o *Output) readOnce(fd int) {
	for {
		o.n, o.err = syscall.Read(fd, o.buf)
		if o.err != syscall.EINTR {
			return
		}
	}
}

// Read reads what is there, or waits for it. It returns io.EOF at the end,
// os.ErrDeadlineExceeded when the deadline has passed, and ErrInterrupted. When
// the program has ended it returns what is left, then io.EOF, also where a child of the
// program holds the pipe open.
func (o *Output) Read(p []byte) (int, error) {
	n, _, err := o.ReadOr(p, 0)
	return n, err
}

// ReadOr is Read, unless least bytes or more are in the pipe while the program lives:
// it leaves them there and reports how many are ready. If least is zero, it reads in any
// case.
func (o *Output) ReadOr(p []byte, least int) (n, ready int, err error) {
	if o.draining || o.file == nil {
		n, err = o.drain(p)
		return n, 0, err
	}
	o.buf, o.least = p, least
	err = o.conn.Read(o.step)
	o.buf = nil
	switch {
	case err == nil:
		return o.result()
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return 0, 0, err
	}
	if o.interrupted.Load() {
		return 0, 0, ErrInterrupted
	}
	if o.exited.Load() {
		n, err = o.drain(p)
	}
	return n, 0, err
}

// result returns what try has found.
func (o *Output) result() (n, ready int, err error) {
	switch {
	case o.ready > 0:
		if !o.large && o.ready >= enlargeFrom {
			o.large = true
			EnlargePipe(o.fd)
		}
		return 0, o.ready, nil
	case o.err != nil:
		return 0, 0, o.err
	case o.n == 0:
		return 0, 0, io.EOF
	}
	return o.n, 0, nil
}

// drain reads what was there when the program's end was noticed.
func (o *Output) drain(p []byte) (int, error) {
	if !o.draining {
		o.draining, o.left = true, o.pending()
	}
	if o.left <= 0 {
		return 0, io.EOF
	}
	o.buf = p[:min(o.left, len(p))]
	o.readOnce(o.fd)
	o.buf = nil
	if o.err != nil || o.n == 0 {
		return 0, io.EOF
	}
	o.left -= o.n
	return o.n, nil
}

// pending returns how many bytes are in the pipe.
func (o *Output) pending() int {
	n, err := unix.IoctlGetInt(o.fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// Fd returns the descriptor of the pipe, for the reading goroutine to move what is ready
// on without a copy. It belongs to the Output.
func (o *Output) Fd() int { return o.fd }

// SetReadDeadline bounds the next reads; the zero time is no bound.
func (o *Output) SetReadDeadline(t time.Time) error {
	err := o.file.SetReadDeadline(t)
	if o.interrupted.Load() || o.exited.Load() {
		o.wake()
	}
	return err
}

// Interrupt makes the read that is under way, and later ones, return ErrInterrupted. The
// Output must be open.
func (o *Output) Interrupt() {
	o.interrupted.Store(true)
	o.wake()
}

// writerExited makes reads come to an end.
func (o *Output) writerExited() {
	o.exited.Store(true)
	if o.file != nil {
		o.wake()
	}
}

func (o *Output) wake() { o.file.SetReadDeadline(time.Unix(1, 0)) }

// Close closes the pipe.
func (o *Output) Close() error {
	if o.file == nil {
		return unix.Close(o.fd)
	}
	return o.file.Close()
}

// EnlargePipe makes a pipe larger, if the system lets it.
func EnlargePipe(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, largePipe) }
