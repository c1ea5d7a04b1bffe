package cgi

import (
	"errors"
	"io"
	"sync"

	"gatehouse/cgi/spool"
)

// A bufferedBody wraps a request's body, so that the rest of it can be read from the web
// server before the head of the response is sent.
//
// nginx stops sending a body for good when it sees the head of the response. An application
// that sends its head first and then reads (git-http-backend does) would wait for the rest
// forever.
type bufferedBody struct {
	src     io.Reader
	limits  spool.Limits
	timeout *timeout // nil without a time limit
	flight  *flight  // of the request; nil in tests

	progress *Progress // nil unless somebody watches; under mu
	noted    bool      // in progress: somebody is in src.Read

	mu        sync.Mutex
	changed   sync.Cond    // signalled when reading, buffering, what is buffered, or err changes
	reading   bool         // somebody is in src.Read
	buffering bool         // buffer is at work: nobody else reads src
	spool     *spool.Spool // what buffer has read; nil for nothing
	rest      []byte       // what follows the spool, which had no room for it
	closed    bool
	expired   error // the time limit that has passed, or the abort, and closed the body
	err       error // what Read returns once nothing is buffered; errors of src but its end are left to src
}

func newBufferedBody(src io.Reader, limits spool.Limits) *bufferedBody {
	b := &bufferedBody{src: src, limits: limits}
	b.changed.L = &b.mu
	return b
}

// Read implements io.Reader.
func (b *bufferedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(p) > 0 {
		if n := b.readBuffered(p); n > 0 {
			return n, nil
		}
		if b.err != nil {
			return 0, b.err
		}
		if !b.buffering && !b.reading {
			return b.read(p)
		}
		b.changed.Wait()
	}
	return 0, nil
}

// readBuffered reads what buffer has read. mu is held.
func (b *bufferedBody) readBuffered(p []byte) int {
	if b.spool != nil && b.spool.Len() > 0 {
		n, err := b.spool.Read(p)
		if err != nil {
			b.err, b.rest = SpoolError(err), nil
		}
		return n
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n
}

// read reads from src. mu is held, but not while it waits.
func (b *bufferedBody) read(p []byte) (n int, err error) {
	b.beginReading()
	defer func() { err = b.endReading(int64(n), err) }()
	return b.src.Read(p)
}

// beginReading comes before a read of src. mu is held, and released.
func (b *bufferedBody) beginReading() {
	b.reading = true
	if b.progress != nil {
		b.progress.body.Add(1)
		b.noted = true
	}
	b.mu.Unlock()
	if b.flight != nil {
		b.flight.reading.Add(1)
	}
	if b.timeout != nil {
		b.timeout.beginRead()
	}
}

// endReading comes after it, with how many bytes there were. It acquires mu, and returns the
// error to pass on.
func (b *bufferedBody) endReading(n int64, err error) error {
	if b.flight != nil {
		b.flight.reading.Add(-1)
		b.flight.in.Add(n)
	}
	if b.timeout != nil {
		b.timeout.endRead()
	}
	b.mu.Lock()
	if b.expired != nil && n == 0 {
		err = b.expired
	}
	b.reading = false
	if b.noted {
		b.progress.body.Add(1)
		b.noted = false
	}
	if err == io.EOF && b.err == nil {
		b.err = io.EOF
	}
	b.changed.Broadcast()
	return err
}

// bodyPool holds the buffers of bufferedBody.buffer. They are small, since each peer that
// sends slowly holds one.
var bodyPool = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// buffer reads the rest of the body into the spool. It returns at the end of the body, when
// reading fails, or when the spool (or the disk) is full: the next Read meets the same
// error, or reads on after what is buffered. A StatusError that the body fails with is
// returned, since it can still be the response.
func (b *bufferedBody) buffer() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buffering = true
	defer func() { b.buffering = false; b.changed.Broadcast() }()
	for b.reading {
		b.changed.Wait()
	}
	buf := bodyPool.Get().(*[16 << 10]byte)
	defer bodyPool.Put(buf)
	for b.err == nil {
		n, err := b.read(buf[:])
		var refused *StatusError
		switch {
		case b.closed:
			return nil
		case n > 0 && !b.store(buf[:n]):
			return nil
		case errors.As(err, &refused):
			return err
		case err != nil:
			return nil
		}
	}
	return nil
}

// stopBuffering discards the body as Close does, but closes src only if buffer is reading
// it.
func (b *bufferedBody) stopBuffering() {
	b.mu.Lock()
	b.discardLocked()
	taking := b.buffering
	b.mu.Unlock()
	if c, ok := b.src.(io.Closer); ok && taking {
		c.Close()
	}
}

// store buffers p and reports whether there is room for more. mu is held.
func (b *bufferedBody) store(p []byte) bool {
	if b.spool == nil {
		b.spool = spool.New(b.limits)
	}
	_, err := b.spool.Write(p)
	if err != nil {
		b.rest = append([]byte(nil), p...)
	}
	b.changed.Broadcast()
	return err == nil
}

// Close implements io.Closer. A Read that is under way returns.
func (b *bufferedBody) Close() error {
	b.discard()
	if c, ok := b.src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// abort closes the body because a time limit has passed, or the request was aborted. Read returns err from now on.
func (b *bufferedBody) abort(err error) {
	b.mu.Lock()
	b.expired = err
	b.discardLocked()
	b.mu.Unlock()
	if c, ok := b.src.(io.Closer); ok {
		c.Close()
	}
}

// discard closes the body and drops what is buffered.
func (b *bufferedBody) discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.discardLocked()
}

func (b *bufferedBody) discardLocked() {
	b.closed, b.err, b.rest = true, ErrBodyClosed, nil
	if b.expired != nil {
		b.err = b.expired
	}
	if b.spool != nil {
		b.spool.Close()
		b.spool = nil
	}
	b.changed.Broadcast()
}
