package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi/cgihead"
	"gatehouse/fastcgi/record"
)

// watchBytes is how much may be sent before the context is watched: every socket takes as
// much at once.
const watchBytes = 16 << 10

// A Response is what an application answers to one request. It is for one goroutine at a
// time. Read returns its body.
type Response struct {
	// Head is its head (RFC 3875 § 6), with the status settled.
	Head *cgihead.Head

	x      exchange
	copied bool // large records are not moved to a pipe: see ReadPipe
	stderr io.Writer
	ctx    context.Context // to be watched
	unhook func() bool     // of ctx

	streams   [2]io.Reader  // of the request
	outgoing  [2]stream     // the same, as they are sent
	sent      chan struct{} // closed when they are no longer read; nil if they were not to begin with
	complete  atomic.Bool   // all of them were sent
	closeOnce sync.Once     // closes them
}

// Do sends a request and reads the response until its head has come. The context bounds
// the request until its end, the Response's body included.
//
// With an error there is no Response, and the streams of the request have been closed.
// The errors are an [EndError], a [TruncatedError], a *cgihead.Error, what Err returns for
// a connection that takes no request, what ErrID and ErrParamsBytes say, and those of the
// context and of the request's streams.
func (c *Conn) Do(ctx context.Context, req *Request) (*Response, error) {
	r := &Response{stderr: req.Stderr, streams: [2]io.Reader{req.Stdin, req.Data}}
	err := context.Cause(ctx)
	var rest []stream
	if err == nil {
		rest, err = r.begin(c, ctx, req, 0)
	}
	if err != nil {
		r.closeStreams()
		return nil, err
	}
	r.stream(rest)
	if err := r.readHead(c.HeadBytes); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Begin is Do without the head: Head is nil, and Read returns all output, for a caller who
// parses it. It does not wait for the response. The context of a request that is sent at once,
// with at most 16 KiB, only counts once Watch has been called, because that costs as much as
// the rest.
//
// If nothing at all of the request could be sent, the error wraps ErrNotSent, and its
// streams have been neither read, but for those of at most 8 KiB, nor closed: it may be
// sent on another connection. After any other error they have been closed.
func (c *Conn) Begin(ctx context.Context, req *Request) (*Response, error) {
	r := new(Response)
	if err := r.Begin(ctx, c, req); err != nil {
		return nil, err
	}
	return r, nil
}

// Begin is [Conn.Begin] for a Response of the caller's: a new one, or one that Reset has made
// new. After an error it is not used any more.
func (r *Response) Begin(ctx context.Context, c *Conn, req *Request) error {
	*r = Response{stderr: req.Stderr, streams: [2]io.Reader{req.Stdin, req.Data}}
	rest, err := r.begin(c, ctx, req, watchBytes)
	if err == nil {
		err = r.unsent()
	}
	switch {
	case err == nil:
		r.stream(rest)
	case errors.Is(err, ErrNotSent):
		r.closeOnce.Do(func() {})
		r.Close()
	default:
		r.closeStreams()
	}
	return err
}

// Reset makes r a new Response, and reports whether it could. It could not if r has not been
// closed, if the response had not ended by then, or if more was to be done for it than to write the
// request and to read the response: then others may still have r.
func (r *Response) Reset() bool {
	x := &r.x
	if x.conn != nil && !(x.ended && x.closed) || r.unhook != nil || r.sent != nil {
		return false
	}
	*r = Response{}
	return true
}

// Watch lets the request end with the error of the context that Begin got, once that is done.
func (r *Response) Watch() {
	if r.unhook == nil {
		r.unhook = r.x.watch(r.ctx)
	}
}

// Interrupt ends the request with an error, unless its end has come: what reads it returns err.
// Any goroutine may call it.
func (r *Response) Interrupt(err error) { r.x.cancel(err) }

// unsent returns an error that wraps ErrNotSent if nothing of the request was written.
func (r *Response) unsent() error {
	c := r.x.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.x.written || c.writeErr == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNotSent, c.writeErr)
}

// stream sends the rest of the streams, while the response is read.
func (r *Response) stream(rest []stream) {
	if rest == nil {
		r.complete.Store(true)
		r.closeStreams()
		return
	}
	r.sent = make(chan struct{})
	go r.send(rest)
}

// Sent reports whether the application has been sent all of the request's streams. If not,
// one that has ended the request may mistake what comes next on the connection.
func (r *Response) Sent() bool { return r.complete.Load() }

// SetReadDeadline bounds the calls of Read to come: they return os.ErrDeadlineExceeded
// once t has passed, and may be called again. The zero time is no bound. It must not be used
// while other requests are in flight on the connection, for which this one may read.
func (r *Response) SetReadDeadline(t time.Time) error {
	r.x.conn.mu.Lock()
	r.x.deadline = t
	r.x.conn.mu.Unlock()
	return nil
}

// begin sends the request, and returns those of its streams that are not sent yet. If the
// application does not take it, that shows when the response is read.
//
// The context is watched if there is a rest, or more than unwatched bytes are sent.
func (r *Response) begin(c *Conn, ctx context.Context, req *Request, unwatched int) (rest []stream, err error) {
	if req.Data != nil && req.Role != record.Filter {
		return nil, fmt.Errorf("fastcgi: Request.Data is for the role %v", record.Filter)
	}
	buf := bufferPool.Get().(*[]byte)
	defer freeBuffer(buf)
	if err := c.reserve(&r.x, req); err != nil {
		return nil, err
	}
	b, err := req.appendBegin(*buf, r.x.id, c.ParamsBytes)
	if err == nil {
		b, rest, err = appendSmall(b, r.x.id, req.appendStreams(r.outgoing[:0]))
	}
	if err != nil {
		c.release(&r.x)
		return nil, err
	}
	*buf = b
	r.ctx = ctx
	if rest != nil || len(b) > unwatched {
		r.Watch()
	}
	if rest == nil {
		b = r.x.writeAwait(b, req.Await)
	}
	if len(b) > 0 {
		r.x.patience = req.SendTimeout
		r.x.write(b)
		r.x.patience = 0
	}
	return rest, nil
}

// reserve begins the exchange x.
func (c *Conn) reserve(x *exchange, req *Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.unusable(); err != nil {
		return err
	}
	id := req.ID
	if id == 0 {
		for id = 1; c.active[id] != nil; id++ {
		}
	}
	if id == 0 || c.active[id] != nil {
		return fmt.Errorf("%w: %d", ErrID, req.ID)
	}
	x.conn, x.id, x.keep = c, id, req.KeepConn
	c.active[id] = x
	if !req.KeepConn {
		c.spent = ErrNotKept
	}
	return nil
}

// release takes back a request of which nothing was sent.
func (c *Conn) release(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.active, x.id)
	if !x.keep {
		c.spent = nil
	}
}

// send sends the streams while the response is read.
func (r *Response) send(streams []stream) {
	defer close(r.sent)
	defer r.closeStreams()
	r.complete.Store(r.x.sendStreams(streams) == nil)
}

// closeStreams closes the streams of the request.
func (r *Response) closeStreams() {
	r.closeOnce.Do(func() {
		for _, s := range r.streams {
			if c, ok := s.(io.Closer); ok {
				c.Close()
			}
		}
	})
}

// readHead reads until the head has come.
func (r *Response) readHead(limit int) error {
	p := cgihead.NewParser(limit)
	var headErr error
	err := r.receive(func(b []byte) (n int, done bool) {
		n, done, headErr = p.Feed(b)
		return n, done || headErr != nil
	})
	switch {
	case headErr != nil:
		return headErr
	case err == io.EOF:
		return &EndError{End: r.x.end, Err: p.End()}
	case err != nil:
		return err
	}
	r.Head = p.Head()
	return nil
}

// receive hands what comes in STDOUT to use, until that has what it needs. It returns
// io.EOF at the end of the response, and errLeft where the next bytes have been left in the
// socket.
func (r *Response) receive(use func(b []byte) (n int, done bool)) error {
	x, c := &r.x, r.x.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if x.closed {
			return ErrClosed
		}
		r.passStderr()
		for b := x.unread(); len(b) > 0 && x.err == nil; b = x.unread() {
			n, done := use(b)
			x.consume(n)
			if done {
				return nil
			}
		}
		switch {
		case x.err != nil:
			return x.err
		case x.ended && x.end.ProtocolStatus != record.RequestComplete:
			return &EndError{End: x.end}
		case x.ended:
			return io.EOF
		case c.err != nil:
			return &TruncatedError{Received: x.received, Err: c.err}
		case x.late:
			x.late = false
			return os.ErrDeadlineExceeded
		case x.left > 0:
			return errLeft
		}
		c.advance(x)
	}
}

// endRead returns io.EOF if all of the response has been read, and its end has come along with
// that: whoever passes a small response on then knows that it is whole.
func (r *Response) endRead() error {
	x, c := &r.x, r.x.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for !x.ended && x.err == nil && c.err == nil && c.reader == nil && c.leaver == nil && len(x.unread()) == 0 && c.records.Whole() {
		c.advance(x)
	}
	if x.ended && x.end.ProtocolStatus == record.RequestComplete && x.err == nil && len(x.unread()) == 0 {
		r.passStderr()
		return io.EOF
	}
	return nil
}

// passStderr passes on what has come of STDERR. It releases the lock meanwhile.
func (r *Response) passStderr() {
	x, c := &r.x, r.x.conn
	b := x.stderr
	if x.stderr = nil; len(b) == 0 || r.stderr == nil {
		return
	}
	c.mu.Unlock()
	r.stderr.Write(b)
	c.mu.Lock()
}

// Read reads from the body. It returns io.EOF when the response is complete, perhaps along with
// its last bytes: then the connection is free for the next request. If the response breaks off, it
// returns an error: see [TruncatedError] and [EndError].
func (r *Response) Read(p []byte) (int, error) {
	n, _, err := r.ReadPipe(p, noPipe, 0)
	return n, err
}

// ID returns the id of the request.
func (r *Response) ID() uint16 { return r.x.id }

// End returns what END_REQUEST said: the application's exit status, and whether the
// request was refused. ok is false if it has not come.
func (r *Response) End() (end record.End, ok bool) {
	r.x.conn.mu.Lock()
	defer r.x.conn.mu.Unlock()
	return r.x.end, r.x.ended
}

// Abort asks the application to end the request (ABORT_REQUEST, FastCGI 1.0 § 5.4). No
// more of the request's streams is sent. The response has to be read to its end, which
// may be a complete one, or closed.
func (r *Response) Abort() error {
	err := r.x.write(record.AppendRecord(nil, record.AbortRequest, r.x.id, nil))
	r.x.conn.mu.Lock()
	r.x.stop()
	r.x.conn.mu.Unlock()
	if err == errStopped {
		return nil
	}
	return err
}
