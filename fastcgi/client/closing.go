package client

import (
	"context"
	"syscall"
	"time"

	"gatehouse/fastcgi/record"
)

// closeWait bounds how long closing a response waits for a record to be taken: one that
// is being written, or ABORT_REQUEST.
const closeWait = time.Second

// mentionWait bounds how long a connection that will be closed waits to take ABORT_REQUEST.
const mentionWait = 10 * time.Millisecond

// Close lets the response go. If it has not ended, the connection is closed, unless other
// requests are in flight on it, or Conn.KeepAborted is set: then this one is aborted. An application that has been sent
// all of the request gets ABORT_REQUEST in any case, if the socket takes it at once: one that
// reads it before it misses the connection ends sooner. In the midst of a stream php-fpm
// takes that for a broken one.
//
// Close waits until nothing reads the streams of the request. For a record that the
// application does not take it waits a second, and closes the connection then. It returns
// nil.
func (r *Response) Close() error {
	if r.unhook != nil {
		r.unhook()
	}
	r.detach()
	r.closeStreams()
	if r.sent == nil {
		return nil
	}
	select {
	case <-r.sent:
	default:
		t := time.AfterFunc(closeWait, r.x.abandon)
		defer t.Stop()
		<-r.sent
	}
	return nil
}

// detach ends what is between the connection and the response.
func (r *Response) detach() {
	x, c := &r.x, r.x.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.closed {
		return
	}
	r.passStderr()
	x.closed = true
	x.stop()
	x.discard()
	switch {
	case c.err != nil:
	case c.KeepAborted && !x.written && c.writer != x: // it was cancelled before
		delete(c.active, x.id)
	case !x.ended && !c.wanted() && !c.KeepAborted:
		if r.complete.Load() {
			c.mention(x)
		}
		c.fail(ErrAbandoned)
	case !x.ended:
		c.mu.Unlock()
		x.abort()
		c.mu.Lock()
	}
}

// wanted reports whether anybody waits for a response.
func (c *Conn) wanted() bool {
	for _, x := range c.active {
		if !x.closed {
			return true
		}
	}
	return false
}

// abort sends ABORT_REQUEST, for an exchange whose own time may be over.
func (x *exchange) abort() {
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeWait, ErrAbandoned)
	defer cancel()
	a := &exchange{conn: x.conn, aborts: x}
	defer a.watch(ctx)()
	a.write(record.AppendRecord(nil, record.AbortRequest, x.id, nil))
}

// mention sends ABORT_REQUEST ahead of the end of the connection, if the socket has room for
// it. mu is held.
func (c *Conn) mention(x *exchange) {
	if _, socket := c.nc.(syscall.Conn); !socket || c.writer != nil || c.writeErr != nil {
		return
	}
	c.nc.SetWriteDeadline(time.Now().Add(mentionWait))
	c.nc.Write(record.AppendRecord(nil, record.AbortRequest, x.id, nil))
}

// abandon closes the connection if x is still writing to it.
func (x *exchange) abandon() {
	c := x.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writer == x {
		c.fail(ErrAbandoned)
	}
}
