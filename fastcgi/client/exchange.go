package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/fastcgi/record"
)

const (
	// maxKept bounds what is kept of a response while others read the connection, beside
	// the record that came last.
	maxKept = 64 << 10
	// maxStderr bounds what is kept of STDERR.
	maxStderr = 64 << 10
)

// errStopped is that what was to be written is no longer wanted.
var errStopped = errors.New("fastcgi: the request has ended")

// An exchange is a request in flight, or whatever else waits for a record or for its turn
// to write.
type exchange struct {
	conn *Conn
	id   uint16
	keep bool
	quit chan struct{} // closed when nothing more is to be written; made when somebody waits for that

	aborts *exchange // whose ABORT_REQUEST this one writes, or nil

	patience time.Duration // of write, if positive

	least int // of the content of a record, in bytes, to be left in the socket; zero: none is

	// The rest is guarded by conn.mu.
	deadline time.Time // of reading, or zero
	stopped  bool      // quit is closed
	readCut  bool      // the read deadline was set, to interrupt
	writeCut bool      // the write deadline was set, to interrupt
	late     bool      // deadline has passed
	err      error     // of this exchange alone: that of its context, or of its streams
	kept     []byte    // unread bytes of STDOUT that had to make room
	view     []byte    // unread bytes behind those, in the buffer of conn.records
	left     int       // bytes behind view that are still in the socket
	received int64     // bytes of STDOUT
	stderr   []byte    // not yet passed on

	file *File // the rest of the body, or nil

	stdoutEnded bool
	ended       bool // END_REQUEST has come
	end         record.End
	closed      bool // nobody wants what comes
	written     bool // something of it has been sent

	replied      bool // to a management record
	reply        record.Type
	replyContent []byte
}

// watch ends x with the error of ctx once that is done. The caller calls stop.
func (x *exchange) watch(ctx context.Context) (stop func() bool) {
	if late, ok := ctx.(interface{ Context() context.Context }); ok {
		ctx = late.Context() // what is late must not be asked once the request is over
	}
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { x.cancel(context.Cause(ctx)) })
}

// cancel ends x, and interrupts what it does. Once its END_REQUEST has come, that counts.
func (x *exchange) cancel(err error) {
	c := x.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.ended || x.closed || x.err != nil {
		return
	}
	x.err = err
	x.stop()
	if c.reader == x {
		x.readCut = true
		c.nc.SetReadDeadline(longPast)
	}
	if c.writer == x {
		x.writeCut = true
		c.nc.SetWriteDeadline(longPast)
	}
	c.cond.Broadcast()
}

// stop keeps x from beginning to write.
func (x *exchange) stop() {
	if !x.stopped && x.quit != nil {
		close(x.quit)
	}
	x.stopped = true
}

// write writes whole records when it is the turn of x. After an error of the socket
// nobody writes any more; what the application has sent is still read. If a record was
// cut off because its exchange was cancelled, no other can be sent to its end.
func (x *exchange) write(b []byte) error {
	c := x.conn
	if x.waitTurn() {
		defer func() { <-c.writing }()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case x.err != nil:
		return x.err
	case x.stopped || x.aborts != nil && x.aborts.ended:
		return errStopped
	case c.err != nil:
		return c.err
	case c.writeErr == ErrAbandoned:
		x.err = ErrAbandoned
		return x.err
	case c.writeErr != nil:
		return c.writeErr
	}
	c.writer = x
	if x.patience > 0 {
		c.nc.SetWriteDeadline(time.Now().Add(x.patience))
	}
	c.mu.Unlock()
	n, err := c.out.Write(b)
	c.mu.Lock()
	c.writer = nil
	if x.patience > 0 && !x.writeCut {
		c.nc.SetWriteDeadline(time.Time{})
	}
	x.noteWritten(n)
	if x.writeCut {
		x.writeCut = false
		c.nc.SetWriteDeadline(time.Time{}) // what it cut, or came too late for, is over
	}
	switch {
	case err == nil:
	case x.err == nil:
		c.writeErr = err
	case n == 0:
		return x.err
	default:
		c.writeErr = ErrAbandoned
		return x.err
	}
	return err
}

// noteWritten notes that n bytes have been sent. mu is held.
func (x *exchange) noteWritten(n int) {
	if n > 0 && !x.written {
		x.written = true
		if x.id != 0 {
			x.conn.begun++
		}
	}
}

// writeAwait writes b, and waits for the first record of the response, in one step. It returns
// what is still to be written: all of b where that cannot be done, or others use the
// connection.
func (x *exchange) writeAwait(b []byte, wait time.Duration) (rest []byte) {
	c := x.conn
	if c.direct == nil || wait <= 0 {
		return b
	}
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	default:
		return b
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unwritable() || len(c.active) > 1 || c.manage != nil || c.reader != nil || c.holder != nil || c.leaver != nil || c.records.Buffered() > 0 {
		return b
	}
	c.pending, x.deadline = b, time.Now().Add(wait)
	c.advance(x)
	rest = c.pending
	c.pending, x.deadline, x.late = nil, time.Time{}, false
	return rest
}

// waitTurn waits until x may write, and reports false if it need not any more.
func (x *exchange) waitTurn() bool {
	c := x.conn
	select {
	case c.writing <- struct{}{}:
		return true
	default:
	}
	c.mu.Lock()
	if x.quit == nil {
		if x.quit = make(chan struct{}); x.stopped {
			close(x.quit)
		}
	}
	c.mu.Unlock()
	select {
	case c.writing <- struct{}{}:
		return true
	case <-x.quit:
	case <-c.failed:
	}
	return false
}

// advance reads one record, for whomever it is, or waits until something has changed. mu
// is held.
func (c *Conn) advance(x *exchange) {
	if c.reader != nil || !c.makeRoom() {
		c.cond.Wait()
		return
	}
	h, content, err := c.next(x)
	if err == nil {
		err = c.dispatch(h, content)
	}
	c.noteRead(x, err)
}

// noteRead notes how x has read.
func (c *Conn) noteRead(x *exchange, err error) {
	switch {
	case err == nil || err == errInterrupted || err == errUnwritten:
	case !x.deadline.IsZero() && isTimeout(err):
		x.late = true
	default:
		c.fail(err)
	}
	c.cond.Broadcast()
}

// makeRoom frees the buffer of records. It reports false if what is there, or was left in
// the socket, has to be read first.
func (c *Conn) makeRoom() bool {
	if c.leaver != nil {
		return false
	}
	x := c.holder
	if x == nil {
		return true
	}
	if len(x.kept)+len(x.view) > maxKept {
		return false
	}
	x.kept = append(x.kept, x.view...)
	x.view, c.holder = nil, nil
	return true
}

// dispatch puts a record where it belongs.
func (c *Conn) dispatch(h record.Header, content []byte) error {
	wrong := func(reason string) error { return &ProtocolError{h.Type(), h.ID(), reason} }
	if h.ID() == 0 {
		// net/http/fcgi sends a second, empty GET_VALUES_RESULT: nobody waits for it.
		if x := c.manage; x != nil && !x.replied {
			x.replied, x.reply, x.replyContent = true, h.Type(), slices.Clone(content)
		} else {
			c.unasked++
		}
		return nil
	}
	x := c.active[h.ID()]
	if x == nil {
		return wrong("no such request")
	}
	switch h.Type() {
	case record.Stdout:
		if x.stdoutEnded && h.ContentLength() > 0 {
			return wrong("the stream has ended")
		}
		x.stdoutEnded = h.ContentLength() == 0
		x.received += int64(len(content))
		if len(content) > 0 && !x.closed {
			x.view, c.holder = content, x
		}
	case record.Stderr:
		if !x.closed {
			x.stderr = append(x.stderr, content[:min(len(content), maxStderr-len(x.stderr))]...)
		}
	case record.Data:
		if reason := x.takeFile(content); reason != "" {
			return wrong(reason)
		}
	case record.EndRequest:
		if reason := c.refuseFile(); reason != "" {
			return wrong(reason)
		}
		end, err := record.ParseEnd(content)
		if err != nil {
			return wrong(err.Error())
		}
		x.end, x.ended = end, true
		x.stop()
		delete(c.active, x.id)
		if len(c.active) == 0 && c.manage == nil && c.spent == nil && !c.takeUnasked() {
			// The next request could take it for its own.
			c.spent = wrong("more came behind it")
		}
	default:
		return wrong("not a record of a response")
	}
	return nil
}

// unread returns bytes of STDOUT that have come.
func (x *exchange) unread() []byte {
	if len(x.kept) > 0 {
		return x.kept
	}
	return x.view
}

// consume takes n of those bytes.
func (x *exchange) consume(n int) {
	if len(x.kept) > 0 {
		x.kept = x.kept[n:]
		if len(x.kept) == 0 {
			x.kept = nil
		}
	} else {
		x.view = x.view[n:]
	}
	if x.conn.holder == x {
		if len(x.view) == 0 {
			x.conn.holder = nil
		}
		x.conn.cond.Broadcast() // there is room
	}
}

// discard lets all of it go.
func (x *exchange) discard() {
	x.kept, x.view, x.stderr = nil, nil, nil
	if x.file != nil {
		x.file.Close()
		x.file = nil
	}
	if x.conn.holder == x {
		x.conn.holder = nil
	}
	if x.conn.leaver == x {
		x.conn.leaver, x.left = nil, 0 // the next record is read behind it
	}
	x.conn.cond.Broadcast()
}
