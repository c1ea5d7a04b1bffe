package nowait

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// files has what was sent along with the bytes that a Conn has read.
type files struct {
	held    atomic.Int64 // a descriptor and 1, or 0 for none
	many    atomic.Bool
	closed  atomic.Bool
	message message
}

// ReceiveFiles has Read and WriteRead receive a descriptor that is sent along with bytes on a unix
// socket (SCM_RIGHTS), for TakeFile. By default the system closes it, and SpliceTo never receives
// one. It is called before anything is read.
func (c *Conn) ReceiveFiles() { c.in.files = new(files) }

// TakeFile returns the descriptor that has been received, as a file that the caller closes, or nil
// if there is none. The error is ErrFiles.
func (c *Conn) TakeFile() (*os.File, error) {
	f := c.in.files
	if f == nil || f.held.Load() == 0 && !f.many.Load() {
		return nil, nil
	}
	fd := f.take()
	if f.many.Swap(false) {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, ErrFiles
	}
	if fd < 0 {
		return nil, nil
	}
	return os.NewFile(uintptr(fd), "file"), nil
}

// Close closes the connection, and a descriptor that nobody has taken.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	if f := c.in.files; f != nil {
		f.closed.Store(true)
		f.drop()
	}
	return err
}

func (f *files) take() int { return int(f.held.Swap(0)) - 1 }

func (f *files) drop() {
	if fd := f.take(); fd >= 0 {
		unix.Close(fd)
	}
}

// put keeps a descriptor for TakeFile.
func (f *files) put(fd int) {
	if before := int(f.held.Swap(int64(fd)+1)) - 1; before >= 0 {
		unix.Close(before)
		f.many.Store(true)
	}
	if f.closed.Load() {
		f.drop()
	}
}

// read is Read that also receives a descriptor.
func (f *files) read(fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, passed, many, err := f.message.receive(fd, p[:min(len(p), Most)])
	if passed >= 0 {
		f.put(passed)
	}
	if many {
		f.many.Store(true)
	}
	return n, err
}
