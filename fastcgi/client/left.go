package client

import (
	"errors"
	"io"
	"syscall"

	"gatehouse/internal/nowait"
)

// leaveFrom is how many bytes of the content of a record are left in the socket at least, to be
// moved from there to a pipe: for fewer, the calls cost more than the copies.
const leaveFrom = 32 << 10

// errLeft is that the next bytes of a response have been left in the socket.
var errLeft = errors.New("left in the socket")

// A splicer can move what comes to a pipe, as nowait.Conn.SpliceTo does.
type splicer interface {
	SpliceTo(pipe, max int) (int, error)
}

// ReadPipe is Read, except that it moves the content of a record of 32 KiB or more from the
// socket to a pipe, given by its descriptor, where the system can: the bytes do not pass through
// this process. It returns how many bytes it has read to p, or how many it has moved: least or
// more, or all of the record, or what the pipe has taken, or what has come until the deadline. It
// does not wait for the pipe, whose writing end must not block, and to which nobody else writes.
//
// It must not be used while other requests are in flight on the connection.
func (r *Response) ReadPipe(p []byte, pipe, least int) (n, moved int, err error) {
	if len(p) == 0 {
		return 0, 0, nil
	}
	x := &r.x
	x.least = 0
	splices := pipe != noPipe && x.conn.splicer != nil
	if splices && !r.copied {
		x.least = leaveFrom
	}
	for {
		err = r.receive(func(b []byte) (int, bool) {
			n = copy(p, b)
			return n, true
		})
		switch {
		case err == nil:
			return n, 0, r.endRead()
		case err != errLeft:
			return n, 0, err
		case splices && !r.copied:
			moved = r.moveLeft(pipe, least)
		default:
			n, _ = x.readLeft(p, noPipe)
		}
		if n > 0 || moved > 0 {
			return n, moved, nil
		}
	}
}

// moveLeft moves what was left to a pipe. If it moves nothing, receive tells why, when it is
// called again, or it has to be read.
func (r *Response) moveLeft(pipe, least int) (moved int) {
	x := &r.x
	for x.left > 0 && moved < least {
		n, err := x.readLeft(nil, pipe)
		moved += n
		switch {
		case err == nil:
			continue
		case err == nowait.ErrPipeFull: // it comes in pieces so small that the pipe takes few
			r.copied = moved < least
		case unsupported(err):
			r.copied = true
		}
		break
	}
	return moved
}

// noPipe is the descriptor of none.
const noPipe = -1

// readLeft takes what has come of what was left: to p or, if there is one, to a pipe. Its
// errors are noted, but for those of a pipe.
func (x *exchange) readLeft(p []byte, pipe int) (n int, err error) {
	c := x.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.err != nil || c.err != nil {
		return 0, errInterrupted
	}
	c.beginRead(x)
	n, err = c.read(p[:min(len(p), x.left)], pipe, x.left)
	switch {
	case n > 0:
		c.records.Taken(n)
		err = nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	err = c.endRead(x, err)
	x.left -= n
	x.received += int64(n)
	if x.left == 0 {
		c.leaver = nil
	}
	if err != nowait.ErrPipeFull && !unsupported(err) {
		c.noteRead(x, err)
	}
	return n, err
}

// unsupported reports whether err is that the system does not move what comes on a socket.
func unsupported(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EOPNOTSUPP)
}
