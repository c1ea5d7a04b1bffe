package fastcgi

import (
	"fmt"
	"io"
	"net/http"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/frontend"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi/record"
)

// bodyHeld is how much of a body is kept in memory that nobody has read.
const bodyHeld = 64 << 10

// queues holds the queues of bodies. One holds bodyHeld, and the part of a record
// that goes over it.
var queues = sync.Pool{New: func() any {
	return new([bodyHeld + frontend.BufferSize]byte)
}}

func getQueue() []byte { return queues.Get().(*[bodyHeld + frontend.BufferSize]byte)[:0] }

func putQueue(q []byte) {
	if cap(q) == bodyHeld+frontend.BufferSize {
		queues.Put((*[bodyHeld + frontend.BufferSize]byte)(q[:cap(q)]))
	}
}

// A body is the STDIN stream of a request. It outlives its request, so that a
// goroutine that the application left behind reads an error, and never another's
// body.
type body struct {
	c *conn
	r *request // nil once the request has ended; guarded by c.mu
}

// Read implements io.Reader. It waits at most Limits.BodyRead for the next byte.
func (b *body) Read(p []byte) (int, error) {
	c := b.c
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		if b.r != nil {
			b.r.waiting = false
		}
	}()
	for {
		r := b.r
		if r == nil {
			return 0, cgi.ErrBodyClosed
		}
		if n := r.dequeue(p); n > 0 {
			if c.paused && len(r.queue)-r.taken <= bodyHeld/2 {
				c.sock.Kick()
			}
			return n, nil
		}
		if err := r.bodyEnd(); err != nil {
			return 0, err
		}
		if len(p) == 0 {
			return 0, nil
		}
		if !r.waiting {
			r.waiting, r.since = true, c.srv.acceptor.Now()
		}
		n := 0
		if c.baton {
			c.cond.Wait()
		} else {
			n = c.readBody(r, p)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// Close implements io.Closer: it ends the reading, also one that is under way.
func (b *body) Close() error {
	c := b.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := b.r; r != nil {
		r.bodyErr, r.left = cgi.ErrBodyClosed, -1
		r.room, r.queue, r.taken = 0, r.queue[:0], 0
		if r.spool != nil {
			r.spool.Close()
			r.spool = nil
		}
		if r.reading || c.paused {
			c.sock.Kick()
		}
		c.cond.Broadcast()
	}
	return nil
}

// dequeue gives bytes that the connection's reader has queued. The connection's mu
// is held.
func (r *request) dequeue(p []byte) int {
	if r.taken < len(r.queue) {
		n := copy(p, r.queue[r.taken:])
		r.taken += n
		if r.taken == len(r.queue) {
			r.queue, r.taken = r.queue[:0], 0
		}
		r.consumed(n)
		return n
	}
	if r.spool != nil && r.spool.Len() > 0 {
		n, err := r.spool.Read(p)
		if err != nil && err != io.EOF {
			r.bodyErr = err
		}
		r.consumed(n)
		return n
	}
	return 0
}

func (r *request) consumed(n int) {
	if r.left > 0 {
		r.left -= int64(n)
	}
}

// bodyEnd returns why nothing more comes, or nil. The queue is empty.
func (r *request) bodyEnd() error {
	switch {
	case r.left == 0:
		return io.EOF
	case r.bodyErr != nil:
		return r.bodyErr
	case r.ended && r.left > 0:
		return fmt.Errorf("the body ended %d bytes before its length: %w", r.left, io.ErrUnexpectedEOF)
	case r.ended:
		return io.EOF
	}
	return nil
}

// deliver takes a part of STDIN from the connection's reader: to the queue, then
// to the spool if other requests must not wait. It returns how much it took; 0
// means that the reader has to wait until the application has read. The
// connection's mu is held.
func (r *request) deliver(b []byte) int {
	n := len(b)
	keep := b[:min(int64(n), r.room)]
	r.excess += int64(n - len(keep))
	if r.bodyErr != nil {
		return n
	}
	if r.left < 0 && !r.admit(len(keep)) || len(keep) == 0 {
		return n
	}
	if len(r.queue)-r.taken < bodyHeld && (r.spool == nil || r.spool.Len() == 0) {
		if r.queue == nil {
			r.queue = getQueue()
		}
		if len(r.queue)+len(keep) > cap(r.queue) {
			r.queue = r.queue[:copy(r.queue, r.queue[r.taken:])]
			r.taken = 0
		}
		r.queue = append(r.queue, keep...)
	} else if !r.c.shared() {
		return 0
	} else if err := r.spill(keep); err != nil {
		r.bodyErr = err
	}
	r.room -= int64(len(keep))
	r.c.cond.Broadcast()
	return n
}

// admit holds a body of unknown length to Limits.BodyBytes.
func (r *request) admit(n int) bool {
	limit := r.c.srv.limits.BodyBytes
	if 1<<63-1-r.room+int64(n) <= limit {
		return true
	}
	r.bodyErr = &cgi.StatusError{Code: http.StatusRequestEntityTooLarge,
		Err: fmt.Errorf("body of more than %d bytes (body_bytes)", limit)}
	r.c.cond.Broadcast()
	return false
}

// spill puts a part of the body in the spool.
func (r *request) spill(b []byte) error {
	if r.spool == nil {
		r.spool = spool.New(r.c.srv.limits.Spool)
	}
	if _, err := r.spool.Write(b); err != nil {
		return cgi.SpoolError(err)
	}
	return nil
}

// readBody takes the baton to read for r: directly into p where the bytes are r's,
// else by sorting what comes. It returns how many bytes it put in p. The
// connection's mu is held, and let go meanwhile.
func (c *conn) readBody(r *request, p []byte) (n int) {
	c.baton, r.reading = true, true
	limit := int64(len(p))
	if r.left >= 0 {
		limit = min(limit, r.left)
	}
	c.mu.Unlock()
	var err error
	in := &c.in
	if in.open && in.typ == record.Stdin && in.id == r.id && in.left > 0 {
		p = p[:min(limit, int64(in.left))]
		if b := in.buffered(); len(b) > 0 {
			n = copy(p, b)
			in.take(n)
		} else {
			n, err = in.sock.Read(p)
			in.left -= n
			if n > 0 {
				err = nil
			}
			err = inRecord(err)
		}
	} else {
		err = c.step()
	}
	c.mu.Lock()
	if int64(n) > r.room {
		n = 0 // the body was closed meanwhile
	}
	if n > 0 {
		if r.left < 0 && !r.admit(n) {
			n = 0
		}
		r.room -= int64(n)
		r.consumed(n)
	}
	r.reading, c.baton = false, false
	c.uses++
	c.startReady()
	if err != nil {
		c.readFailed(err)
	}
	c.cond.Broadcast()
	return n
}
