package nowait

import (
	"os"

	"golang.org/x/sys/unix"
)

// FillMost is how many bytes of a file a Pipe takes at once: whole pages, so that the next
// bytes begin with one.
const FillMost = pipeSize - 4*4096

// Fill moves up to n bytes of a file to the pipe, from an offset on, without copying them to this
// process. It may wait for the disk. At the end of the file it returns 0.
func (p *Pipe) Fill(f *os.File, offset int64, n int) (filled int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) {
		for {
			var m int64
			m, err = unix.Splice(int(fd), &offset, p.w, nil, min(n, FillMost), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
			filled = max(int(m), 0)
			if err != unix.EINTR {
				return
			}
		}
	})
	if cerr != nil {
		err = cerr
	}
	return filled, os.NewSyscallError("splice", err)
}
