package fastcgi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
)

// bodyHeld is how much of a body is kept in memory that nobody has read.
const bodyHeld = 64 << 10

// queueSize is the size of a queue, which holds bodyHeld, and the part of a record that goes
// over it.
const queueSize = bodyHeld + frontend.BufferSize

// queues holds the queues of bodies.
var queues = sync.Pool{New: func() any { return new([queueSize]byte) }}

func getQueue() []byte { return queues.Get().(*[queueSize]byte)[:0] }

func putQueue(q []byte) {
	if cap(q) == queueSize {
		queues.Put((*[queueSize]byte)(q[:cap(q)]))
	}
}

// A stream is STDIN, or the DATA of a Filter, on its way from the web server to the
// application. The connection's mu guards it.
type stream struct {
	r    *request
	typ  record.Type
	body *body // what the application reads it by; nil if there is nothing to read

	queue   []byte        // from the connection's reader
	taken   int           // of the queue
	spool   *spool.Spool  // what did not fit in the queue
	ended   bool          // its empty record has come
	wanted  int64         // bytes that the stream has, or may have
	room    int64         // bytes that are still wanted
	left    int64         // bytes that Read still has to give; -1: until it ends
	excess  int64         // bytes beyond the length, which were cut
	err     error         // what Read returns when the queue is empty
	reading bool          // a Read has borrowed the reading
	waiting bool          // a Read waits for bytes
	since   time.Duration // since when

	pace     cgi.Pace
	measured time.Duration // when the tick last measured it
}

// expect sets how many bytes the stream has; -1 if its end is to tell.
func (s *stream) expect(length int64) {
	s.left, s.room = length, length
	if length < 0 {
		s.room = 1<<63 - 1
	}
	s.wanted = s.room
}

// setBody returns the length of the stream, and what reads it. One that has ended before
// its request is run has a length even if no variable states one.
func (s *stream) setBody() (length int64, r io.Reader) {
	if s.left < 0 && s.ended && s.spool == nil {
		s.left = int64(len(s.queue) - s.taken)
	}
	if s.left == 0 || s.r.refuse != nil {
		return s.left, http.NoBody
	}
	s.body = &body{c: s.r.c, s: s}
	return s.left, s.body
}

// detach takes the stream from its readers. A goroutine that the application left behind
// may be one.
func (s *stream) detach() {
	c := s.r.c
	s.err = cgi.ErrBodyClosed
	for s.reading {
		c.sock.Kick()
		c.cond.Wait()
	}
	if s.body != nil {
		s.body.s = nil
		c.cond.Broadcast()
	}
}

// free gives back what the stream holds.
func (s *stream) free() {
	if s.spool != nil {
		s.spool.Close()
	}
	if cap(s.queue) > 0 {
		putQueue(s.queue)
		s.r.set.T.limits.Spool.MemoryTotal.Release(queueSize)
	}
}

// A body reads a stream. It outlives its request, so that a goroutine that the
// application left behind reads an error, and never another's body.
type body struct {
	c *conn
	s *stream // nil once the request has ended; guarded by c.mu
}

// A target is where bytes of a body go: to memory or, if that is nil, to a pipe.
type target struct {
	p    []byte
	pipe int
	max  int64 // bytes
}

// Read implements io.Reader. It waits at most Limits.BodyRead for the next byte, and
// Limits.BodyRate holds.
func (b *body) Read(p []byte) (int, error) {
	if p == nil {
		p = []byte{}
	}
	n, err := b.read(target{p: p, max: int64(len(p))})
	return int(n), err
}

// read moves bytes that are queued, or reads for itself while nobody else does.
func (b *body) read(t target) (int64, error) {
	c := b.c
	c.mu.Lock()
	defer c.mu.Unlock()
	defer b.rest()
	for {
		s, err := b.stream()
		switch {
		case err != nil:
			return 0, err
		case t.p == nil && (c.phase != inline || s.buffered() || !c.sock.CanSplice()):
			return 0, http.ErrNotSupported
		case t.p != nil:
			if n := s.dequeue(t.p); n > 0 {
				if c.phase == paused && len(s.queue)-s.taken <= bodyHeld/2 {
					c.sock.Kick()
				}
				return int64(n), nil
			}
		}
		if err := s.readError(); err != nil || t.max <= 0 {
			return 0, err
		}
		s.await()
		if c.phase != inline {
			c.cond.Wait()
			continue
		}
		if n, err := c.borrow(s, t); n > 0 || err != nil {
			return n, err
		}
	}
}

// stream returns what is read, or why nothing can be. The connection's mu is held.
func (b *body) stream() (*stream, error) {
	switch {
	case b.s == nil:
		return nil, cgi.ErrBodyClosed
	case b.s.expired():
		return nil, frontend.ErrReadLate
	}
	return b.s, nil
}

// await notes that a Read waits for bytes. The connection's mu is held, as it is for rest.
func (s *stream) await() {
	if !s.waiting {
		s.waiting, s.since = true, s.r.c.srv.acceptor.Now()
	}
}

// rest notes that it does not any more.
func (b *body) rest() {
	if b.s != nil {
		b.s.waiting = false
	}
}

// Close implements io.Closer: it ends the reading, also one that is under way.
func (b *body) Close() error {
	c := b.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := b.s; s != nil {
		s.err, s.left = cgi.ErrBodyClosed, -1
		s.room, s.queue, s.taken = 0, s.queue[:0], 0
		if s.spool != nil {
			s.spool.Close()
			s.spool = nil
		}
		if s.reading || c.phase == paused {
			c.sock.Kick()
		}
		c.cond.Broadcast()
	}
	return nil
}

// dequeue gives bytes that the connection's reader has queued. The connection's mu
// is held.
func (s *stream) dequeue(p []byte) int {
	if s.taken < len(s.queue) {
		n := copy(p, s.queue[s.taken:])
		s.taken += n
		if s.taken == len(s.queue) {
			s.queue, s.taken = s.queue[:0], 0
		}
		s.consumed(n)
		return n
	}
	if s.spool != nil && s.spool.Len() > 0 {
		n, err := s.spool.Read(p)
		if err != nil && err != io.EOF {
			s.err = err
		}
		s.consumed(n)
		return n
	}
	return 0
}

func (s *stream) consumed(n int) {
	if s.left > 0 {
		s.left -= int64(n)
	}
}

// readError returns why nothing more comes, or nil. The queue is empty.
func (s *stream) readError() error {
	switch {
	case s.left == 0:
		return io.EOF
	case s.err != nil:
		return s.err
	case s.ended && s.left > 0:
		return fmt.Errorf("the body ended %d bytes before its length: %w", s.left, io.ErrUnexpectedEOF)
	case s.ended:
		return io.EOF
	}
	return nil
}

// deliver takes a part of the stream from the connection's reader: to the queue, then
// to the spool if other requests must not wait, nor a Filter that reads its data
// first. It returns how much it took; 0 means that the reader has to wait until the
// application has read. The connection's mu is held.
func (s *stream) deliver(b []byte) int {
	n := len(b)
	if s.err != nil {
		return n
	}
	keep := b[:min(int64(n), s.room)]
	s.excess += int64(n - len(keep))
	if s.left < 0 && !s.admit(len(keep)) || len(keep) == 0 {
		return n
	}
	if len(s.queue)-s.taken < bodyHeld && (s.spool == nil || s.spool.Len() == 0) && s.hasQueue() {
		if len(s.queue)+len(keep) > cap(s.queue) {
			s.queue = s.queue[:copy(s.queue, s.queue[s.taken:])]
			s.taken = 0
		}
		s.queue = append(s.queue, keep...)
	} else if s.queue != nil && !s.r.c.shared() && (s.typ == record.Data || s.r.data == nil) {
		return 0
	} else if err := s.spill(keep); err != nil {
		s.err = err
	}
	s.room -= int64(len(keep))
	s.r.c.cond.Broadcast()
	return n
}

// hasQueue takes a queue, and reports whether there is memory for one. Without it the spool
// has everything.
func (s *stream) hasQueue() bool {
	if s.queue == nil && s.r.set.T.limits.Spool.MemoryTotal.Reserve(queueSize) {
		s.queue = getQueue()
	}
	return s.queue != nil
}

// admit holds a body of unknown length to Limits.BodyBytes.
func (s *stream) admit(n int) bool {
	limit := s.r.set.T.limits.BodyBytes
	if s.wanted-s.room+int64(n) <= limit {
		return true
	}
	s.err = &cgi.StatusError{Code: http.StatusRequestEntityTooLarge,
		Err: fmt.Errorf("body of more than %d bytes (body_bytes)", limit), Check: "body_bytes"}
	s.r.c.cond.Broadcast()
	return false
}

// spill puts a part of the body in the spool.
func (s *stream) spill(b []byte) error {
	if s.spool == nil {
		s.spool = spool.New(s.r.set.T.limits.Spool)
	}
	if _, err := s.spool.Write(b); err != nil {
		return cgi.SpoolError(err)
	}
	return nil
}

// buffered reports whether bytes of the stream are in memory or in its spool. The
// connection's mu is held.
func (s *stream) buffered() bool {
	return s.taken < len(s.queue) || s.spool != nil && s.spool.Len() > 0
}

// borrow reads for s: content of its own straight to t, else it sorts what comes. It
// returns how many bytes it moved; an error is that of the pipe, or why none may be. The
// connection's mu is held, and unlocked meanwhile.
func (c *conn) borrow(s *stream, t target) (n int64, err error) {
	c.phase, s.reading = borrowed, true
	if s.left >= 0 {
		t.max = min(t.max, s.left)
	}
	c.mu.Unlock()
	var readErr error
	in := &c.in
	if in.open && in.typ == s.typ && in.id == s.r.id && in.left > 0 {
		t.max = min(t.max, int64(in.left))
		n, err, readErr = in.moveTo(t)
	} else {
		in.short = t.p == nil && in.size >= spliceMin && in.left == 0
		readErr = c.step()
		in.short = false
	}
	c.mu.Lock()
	switch {
	case n == 0:
	case n > s.room:
		n, err = 0, cgi.ErrBodyClosed // meanwhile
	case s.left < 0 && !s.admit(int(n)):
		n, err = 0, s.err
	default:
		s.room -= n
		s.consumed(int(n))
	}
	c.phase, s.reading = inline, false
	c.progress.reads++
	c.startReady()
	if readErr != nil {
		c.readFailed(readErr)
	}
	c.cond.Broadcast()
	return n, err
}

// moveTo moves content of the open record to t, and reads if nothing is buffered. The
// errors are that of the pipe and that of reading.
func (in *input) moveTo(t target) (n int64, pipeErr, readErr error) {
	b, m := in.buffered(), 0
	b = b[:min(t.max, int64(len(b)))]
	switch {
	case t.p != nil && len(b) > 0:
		m = copy(t.p, b)
		in.consume(m)
	case t.p != nil:
		m, readErr = in.readInto(t.p[:t.max])
	case len(b) > 0:
		m, pipeErr = frontend.WriteNow(t.pipe, b)
		in.consume(m)
	default:
		in.release()
		m, readErr = in.sock.SpliceTo(t.pipe, int(t.max))
		in.left -= m
		if readErr == frontend.ErrPipeFull || errors.Is(readErr, syscall.EPIPE) {
			pipeErr, readErr = readErr, nil
		}
		readErr = inRecord(readErr)
	}
	return int64(m), pipeErr, readErr
}
