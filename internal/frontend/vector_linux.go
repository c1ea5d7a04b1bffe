package frontend

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"gatehouse/internal/nowait"
)

// A vectorRead holds the state of ReadVector.
type vectorRead struct {
	try    func(fd uintptr) bool
	vector nowait.Vector
	parts  [2][]byte
	window int
	buf    *Buffer
	n      int
	err    error
}

// ReadVector waits for bytes and reads them into p and, once p is full, up to window
// bytes into a pooled buffer, which the caller owns. It holds no buffer while it waits.
// b is nil if p was not exceeded. It requires CanReadVector.
func (s *Socket) ReadVector(p []byte, window int) (n int, b *Buffer, m int, err error) {
	v := s.vector
	if v == nil {
		v = new(vectorRead)
		v.try = v.read
		s.vector = v
	}
	v.parts[0], v.window = p, window
	err = s.raw.Read(v.try)
	v.parts = [2][]byte{}
	if err != nil {
		return 0, nil, 0, err
	}
	b, n, err, v.buf = v.buf, v.n, v.err, nil
	if m = n - len(p); m > 0 {
		return len(p), b, m, err
	}
	if b != nil {
		PutBuffer(b)
	}
	return n, nil, 0, err
}

// CanReadVector reports whether ReadVector works on this socket.
func (s *Socket) CanReadVector() bool { return s.raw != nil }

// read reads once, and reports false if there is nothing to read yet.
func (v *vectorRead) read(fd uintptr) bool {
	v.buf, v.n, v.err = GetBuffer(), 0, nil
	v.parts[1] = v.buf[:v.window]
	for {
		n, err := v.vector.Read(fd, v.parts[:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			PutBuffer(v.buf)
			v.buf = nil
			return false
		case err != nil:
			v.err = os.NewSyscallError("recv", err)
		case n == 0:
			v.err = io.EOF
		default:
			v.n = n
		}
		return true
	}
}
