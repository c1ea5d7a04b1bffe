package client

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/nowait"
)

// A Conn is a connection to a FastCGI application. It may be used by several goroutines
// at once; [Conn.ReadRecord] by one, and not while a request is in flight.
type Conn struct {
	// HeadBytes bounds the head of a response, in bytes. Zero is 64 KiB; a negative number
	// is no limit.
	HeadBytes int

	// ParamsBytes bounds the variables of a request, in bytes of name-value pairs. Zero is
	// 1 MiB; a negative number is no limit.
	ParamsBytes int

	// KeepAborted has [Response.Close] keep the connection, if the response has not ended: that
	// request is aborted, and what still comes of it is skipped by whoever reads next.
	KeepAborted bool

	nc      net.Conn
	direct  exchanger // nc, if it can write and wait for the response in one step
	splicer splicer   // nc or direct, if what comes can be moved to a pipe
	files   fileTaker // nc or direct, if descriptors may come along
	out     io.Writer // nc or direct
	records *record.Reader
	armed   time.Time // the read deadline that the socket has, unless an exchange is interrupted

	writing chan struct{} // holds a value while somebody writes
	failed  chan struct{} // closed when err is set

	mu       sync.Mutex
	cond     sync.Cond            // something of what follows, or of an exchange, has changed
	err      error                // the connection is closed, because of this
	writeErr error                // nothing can be written; what comes is still read
	spent    error                // no further request may begin, because of this
	active   map[uint16]*exchange // from BEGIN_REQUEST to END_REQUEST
	manage   *exchange            // waits for a management record, or nil
	begun    int                  // requests of which something was sent
	unasked  int                  // management records that nobody waited for
	reader   *exchange            // is reading a record, or nil
	writer   *exchange            // is writing, or nil
	holder   *exchange            // has unread bytes in the buffer of records, or nil
	leaver   *exchange            // has content of a record in the socket, or nil: nobody else reads
	pending  []byte               // a request that the reader writes first, or nil
}

// An exchanger can write and wait for the response in one step. What it returns is what
// nowait.Conn.WriteRead does.
type exchanger interface {
	net.Conn
	WriteRead(b, p []byte) (written, read int, err error)
}

// longPast is a deadline that interrupts what is under way.
var longPast = time.Unix(1, 0)

// New returns a Conn over nc, which it owns from now on.
func New(nc net.Conn) *Conn {
	c := &Conn{
		nc:      nc,
		out:     nc,
		writing: make(chan struct{}, 1),
		failed:  make(chan struct{}),
		active:  make(map[uint16]*exchange),
	}
	if d, ok := nc.(exchanger); ok {
		c.direct = d
	} else if d := nowait.New(nc); d != nil {
		c.direct, c.out = d, d
	}
	c.splicer, _ = c.direct.(splicer)
	c.files, _ = c.direct.(fileTaker)
	c.records = record.NewReader(source{c})
	c.cond.L = &c.mu
	return c
}

// Dial connects to an application. The networks are those of [net.Dial]; ctx bounds the
// dialing alone.
func Dial(ctx context.Context, network, address string) (*Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return New(nc), nil
}

// NetConn returns the connection beneath. To read from it, or to set deadlines while a
// request is in flight, corrupts the state of the Conn.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Err returns why the connection takes no further request, or nil. It does not look at
// the socket: an application that has closed an idle connection shows in the next request,
// by a [TruncatedError].
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unusable()
}

func (c *Conn) unusable() error {
	switch {
	case c.err != nil:
		return c.err
	case c.writeErr != nil:
		return c.writeErr
	}
	return c.spent
}

// unwritable reports whether nothing can be written any more. mu is held.
func (c *Conn) unwritable() bool { return c.err != nil || c.writeErr != nil }

// Close closes the connection. Requests in flight fail with [ErrClosed]. It may be called
// more than once, and waits for nothing.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(ErrClosed)
	return nil
}

// fail closes the socket, for the first reason there is.
func (c *Conn) fail(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	close(c.failed)
	c.nc.Close()
	c.cond.Broadcast()
}

// Send writes b as it is, behind what others are writing. After an error, that of ctx
// included, the application may have a part of it, and nothing can be written any more.
func (c *Conn) Send(ctx context.Context, b []byte) error {
	x := &exchange{conn: c}
	stop := x.watch(ctx)
	defer stop()
	return x.write(b)
}

// ReadRecord returns the next record, whatever it is. Header and content are good until
// the next call. The errors are those of [record.Reader.Next], and ctx's. After one of ctx
// it may be called again, and no byte is lost.
//
// It is for those who send records themselves: it must not be called while a request of
// Do, or GetValues, is in flight.
func (c *Conn) ReadRecord(ctx context.Context) (record.Header, []byte, error) {
	x := &exchange{conn: c}
	stop := x.watch(ctx)
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for x.err == nil && c.err == nil && (c.reader != nil || !c.makeRoom()) {
		c.cond.Wait()
	}
	if c.err != nil {
		return nil, nil, c.err
	}
	if x.err != nil {
		return nil, nil, x.err
	}
	defer c.cond.Broadcast()
	h, content, err := c.next(x)
	if err == errInterrupted {
		err = x.err
	}
	return h, content, err
}

// errInterrupted is that the exchange has an error of its own.
var errInterrupted = errors.New("interrupted")

// next reads a record on behalf of x, which may be interrupted. It releases mu meanwhile. The
// content may be left in the socket, as x.least says.
func (c *Conn) next(x *exchange) (record.Header, []byte, error) {
	c.beginRead(x)
	h, content, left, err := c.records.NextOr(record.Stdout, x.id, x.least)
	if err := c.endRead(x, err); err != nil {
		return nil, nil, err
	}
	if left > 0 {
		x.left, c.leaver = left, x
	}
	return h, content, nil
}

// beginRead releases mu while x reads.
func (c *Conn) beginRead(x *exchange) {
	c.reader = x
	c.mu.Unlock()
}

// endRead takes mu again, after x has read with the result err.
func (c *Conn) endRead(x *exchange, err error) error {
	c.mu.Lock()
	c.reader = nil
	if x.readCut {
		x.readCut = false
		c.nc.SetReadDeadline(time.Time{})
		c.armed = time.Time{}
	}
	switch {
	case err == nil:
	case c.err != nil:
		return c.err
	case x.err != nil && isTimeout(err):
		return errInterrupted
	}
	return err
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// A source reads the socket of a Conn.
type source struct{ c *Conn }

// Read implements io.Reader.
func (s source) Read(p []byte) (int, error) { return s.c.read(p, noPipe, 0) }

// read reads the socket, until the deadline of the exchange that reads: to p or, if there is a
// pipe, up to max bytes to that. A deadline of the socket that comes too early does no harm, so
// it is not set anew for each request.
func (c *Conn) read(p []byte, pipe, max int) (int, error) {
	for exact := false; ; exact = true {
		c.mu.Lock()
		x := c.reader
		until := x.deadline
		if !x.readCut && (exact || until.IsZero() != c.armed.IsZero() || until.Before(c.armed)) && !until.Equal(c.armed) {
			c.nc.SetReadDeadline(until)
			c.armed = until
		}
		pending := c.pending
		c.mu.Unlock()
		var n int
		var err error
		switch {
		case pipe != noPipe:
			n, err = c.splicer.SpliceTo(pipe, max)
		case len(pending) > 0:
			n, err = c.writeRead(x, pending, p)
		case c.direct != nil:
			_, n, err = c.direct.WriteRead(nil, p)
		default:
			n, err = c.nc.Read(p)
		}
		if n > 0 || err == nil || !isTimeout(err) {
			return n, err
		}
		c.mu.Lock()
		early := !x.readCut && (x.deadline.IsZero() || time.Now().Before(x.deadline))
		c.mu.Unlock()
		if !early {
			return 0, err
		}
	}
}

// errUnwritten is that not all of the pending request was written.
var errUnwritten = errors.New("not written")

// writeRead writes the pending request of x, and waits for the response. What it could not
// write is pending still, unless that failed.
func (c *Conn) writeRead(x *exchange, b, p []byte) (int, error) {
	written, n, err := c.direct.WriteRead(b, p)
	if written == 0 && isTimeout(err) {
		return 0, err // the deadline of the socket may be an old one
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x.noteWritten(written)
	c.pending = b[written:]
	if written == len(b) {
		return n, err
	}
	if err != nil {
		c.pending, c.writeErr = nil, err
	}
	return 0, errUnwritten
}
