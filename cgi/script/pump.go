package script

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/cgi/relay"
	"gatehouse/cgi/spool"
	"gatehouse/internal/frontend"
)

// copyBuffer is the size of the pooled buffers, as much as a pipe holds.
const copyBuffer = 64 << 10

var bufferPool = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// A program starts when its body has come, or this much of it.
const startBytes = 64 << 10

// A body is what a program will read: what has come before it starts, in the spool and then
// in the buffer first, and the rest. Each client that sends slowly holds such a buffer, as part
// of what a connection may hold.
type body struct {
	length int64
	spool  *spool.Spool      // nil for none
	first  *frontend.Buffer  // nil for none
	held   int               // bytes in first
	source io.Reader         // where the rest comes from; nil if the length was unknown
	pipe   frontend.PipeBody // what source is, or nil
}

// takeBody returns the body of r when its program can start, with its length known: one of
// unknown length has come whole. Unless the App is Streaming, who sends slowly waits here,
// and not in a program's place.
func (a *App) takeBody(r *cgi.Request) (b body, err error) {
	b.length = r.ContentLength
	limits := a.state.limits.Spool.WithDefaults()
	if b.length < 0 {
		b.length, err = b.take(r.Body, math.MaxInt64, limits)
		if err == io.EOF {
			err = nil
		}
	} else if b.length > 0 {
		b.source = r.Body
		if b.length >= relay.SpliceMin {
			b.pipe, _ = r.Body.(frontend.PipeBody)
		}
		if !a.Streaming {
			_, err = b.take(r.Body, min(b.length, startBytes, limits.Max), limits)
		}
	}
	if err != nil {
		b.close()
		return body{}, cgi.BodyError(err)
	}
	return b, nil
}

// take reads want bytes of the body, and returns how many it has read: fewer with an error,
// which is io.EOF at the end. A small body stays in the buffer, so that one that has come
// with its request costs nothing more.
func (b *body) take(from io.Reader, want int64, limits spool.Limits) (taken int64, err error) {
	b.first = frontend.GetBuffer()
	size := int(min(frontend.BufferSize, limits.Max))
	for taken < want && err == nil {
		if b.held == size {
			if err := b.spill(limits); err != nil {
				return taken, err
			}
		}
		var n int
		n, err = from.Read(b.first[b.held:min(int64(size), int64(b.held)+want-taken)])
		b.held += n
		taken += int64(n)
	}
	if taken == want {
		err = nil
	}
	if b.spool != nil {
		if serr := b.spill(limits); serr != nil {
			return taken, serr
		}
	}
	if b.held == 0 {
		b.freeFirst()
	}
	return taken, err
}

// spill moves what the buffer holds to the spool.
func (b *body) spill(limits spool.Limits) error {
	if b.spool == nil {
		b.spool = spool.New(limits)
	}
	if _, err := b.spool.Write(b.first[:b.held]); err != nil {
		return fmt.Errorf("body that its program waits for: %w", cgi.SpoolError(err))
	}
	b.held = 0
	return nil
}

func (b *body) freeFirst() {
	if b.first != nil {
		frontend.PutBuffer(b.first)
		b.first, b.held = nil, 0
	}
}

func (b *body) close() {
	b.freeFirst()
	if b.spool != nil {
		b.spool.Close()
	}
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
	for left := b.length; left > 0; {
		var n int64
		var rerr, werr error
		switch {
		case b.spool != nil && b.spool.Len() > 0:
			n, rerr, werr = m.copy(b.spool)
		case b.first != nil:
			n = int64(b.held)
			_, werr = u.proc.Stdin.Write(b.first[:b.held])
			b.freeFirst()
		case b.pipe != nil:
			n, rerr, werr = m.move(b, left)
		default:
			n, rerr, werr = m.copy(io.LimitReader(b.source, left))
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
		return m.copy(io.LimitReader(b.source, left))
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
	if b.source != nil {
		r.CloseBody()
	}
	<-m.done
}
