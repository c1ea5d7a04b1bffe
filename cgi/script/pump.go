package script

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/cgi/relay"
	"gatehouse/internal/frontend"
)

// copyBuffer is the size of the pooled buffers, as much as a pipe holds.
const copyBuffer = 64 << 10

var bufferPool = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// A body is what a program will read.
type body struct {
	cgi.TakenBody
	pipe frontend.PipeBody // what the rest comes from, or nil
}

// takeBody returns the body of r when its program can start. Unless the App is Streaming, who
// sends slowly waits here, and not in a program's place.
func (a *App) takeBody(r *cgi.Request) (b body, err error) {
	if b.TakenBody, err = cgi.TakeBody(r, a.state.limits.Spool, a.Streaming); err == nil && b.Length >= relay.SpliceMin {
		b.pipe, _ = b.Rest().(frontend.PipeBody)
	}
	return b, err
}

// A pump passes the body to the program's stdin, on a goroutine of its own, so
// that the program may respond before it reads, or never read.
type pump struct {
	run     *run
	stopped atomic.Bool   // the response needs no more of the body
	large   bool          // enlarging has been tried
	done    chan struct{} // closed when the goroutine has ended
}

// pass copies the body and closes the pipe at its end. After a failure the pipe
// stays open until the program has ended, so that it never takes a part of the
// body for the whole.
func (m *pump) pass(b *body) {
	defer close(m.done)
	u := m.run
	defer u.activity.BodyPassed()
	for left := b.Length; left > 0; {
		var n int64
		var rerr, werr error
		switch {
		case b.Ahead() > 0:
			n, rerr, werr = m.copy(b)
		case b.pipe != nil:
			n, rerr, werr = m.move(b, left)
		default:
			n, rerr, werr = m.copy(io.LimitReader(b.Rest(), left))
		}
		u.activity.Touch()
		if werr != nil {
			u.leaveBody() // the program reads no more of it, which is its right
			return
		}
		left -= n
		if rerr != nil && left > 0 {
			if !m.stopped.Load() {
				u.abort(cgi.BodyError(rerr))
			}
			return
		}
	}
	u.proc.Stdin.Close()
}

// copy copies a part of the body to the pipe. An error is of reading or of writing.
func (m *pump) copy(from io.Reader) (n int64, rerr, werr error) {
	buf := bufferPool.Get().(*[copyBuffer]byte)
	defer bufferPool.Put(buf)
	k, rerr := from.Read(buf[:])
	if k > 0 {
		m.run.activity.Touch()
		_, werr = m.run.proc.Stdin.Write(buf[:k])
	}
	return int64(k), rerr, werr
}

// move moves a part of the body to the pipe without a copy, or copies one where that
// cannot be.
func (m *pump) move(b *body, left int64) (n int64, rerr, werr error) {
	conn, err := m.run.proc.Stdin.SyscallConn()
	if err != nil {
		return 0, nil, err
	}
	// The pipe is not closed while Control is at work.
	werr = conn.Control(func(fd uintptr) {
		if !m.large {
			m.large = true
			process.EnlargePipe(int(fd))
		}
		n, rerr = b.pipe.ReadPipe(int(fd), left)
	})
	switch {
	case werr != nil || rerr == nil:
	case errors.Is(rerr, frontend.ErrPipeFull):
		return n, nil, conn.Write(hasRoom)
	case errors.Is(rerr, syscall.EPIPE):
		return n, nil, rerr
	case errors.Is(rerr, http.ErrNotSupported):
		return m.copy(io.LimitReader(b.Rest(), left))
	}
	return n, rerr, werr
}

// hasEnded reports whether the goroutine has ended, or is about to.
func (m *pump) hasEnded() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// stop ends the goroutine. The pipe is not closed.
func (m *pump) stop(r *cgi.Request, b *body) {
	if m.hasEnded() {
		return
	}
	m.stopped.Store(true)
	m.run.proc.Stdin.SetWriteDeadline(time.Unix(1, 0))
	if b.Rest() != nil {
		r.CloseBody()
	}
	<-m.done
}
