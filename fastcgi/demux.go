package fastcgi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// errPaused stops the loop until a body has been read, or its request has ended.
var errPaused = errors.New("waiting for a body to be read")

// step reads and sorts one record, or a part of it. It may be called again after
// an error that was a kick.
func (c *conn) step() error {
	in := &c.in
	switch {
	case !in.open:
		if err := in.header(); err != nil {
			return err
		}
		return c.header()
	case in.left > 0:
		return c.part()
	}
	return in.finish()
}

// header sorts a record by its header.
func (c *conn) header() error {
	in := &c.in
	if in.id == 0 {
		switch {
		case in.typ.IsManagement() || in.typ > record.UnknownType || in.typ == 0:
			if in.left == 0 {
				return c.management()
			}
			return nil
		}
		return malformed("%v record with request id 0", in.typ)
	}
	switch {
	case in.typ == record.Data && c.early(in.typ):
		return malformed("DATA record for request %d before the end of its STDIN", in.id)
	case in.typ == record.Stdin && in.left > 0 && c.early(in.typ):
		return malformed("STDIN record for request %d before the end of its PARAMS", in.id)
	}
	if in.left > 0 {
		return nil
	}
	switch in.typ {
	case record.BeginRequest:
		return malformed("BEGIN_REQUEST without a body")
	case record.Params:
		c.endParams()
	case record.Stdin, record.Data:
		c.endStream()
	case record.AbortRequest:
		return errors.Join(c.abortRequest(), in.finish())
	}
	return in.finish()
}

// part handles what has arrived of the open record's content.
func (c *conn) part() error {
	in := &c.in
	if in.id == 0 {
		return c.management()
	}
	switch in.typ {
	case record.BeginRequest:
		return c.beginRequest()
	case record.AbortRequest:
		return errors.Join(c.abortRequest(), in.finish())
	case record.Params, record.Stdin, record.Data:
	default:
		// Unknown types (F15), and those that only an application sends.
		return in.finish()
	}
	b, err := in.content()
	if err != nil {
		return err
	}
	n := len(b)
	if in.typ == record.Params {
		err = c.takeParams(b)
	} else {
		n = c.takeStream(b)
		if n == 0 {
			return errPaused
		}
	}
	in.take(n)
	if in.left == 0 && in.pad == 0 {
		in.open = false
	}
	return err
}

// beginRequest handles BEGIN_REQUEST (F4–F6, F16–F18).
func (c *conn) beginRequest() error {
	in := &c.in
	if in.left < 8 {
		return malformed("BEGIN_REQUEST body of %d bytes, must be 8", in.left)
	}
	if err := in.need(8); err != nil {
		return inRecord(err)
	}
	b, err := record.ParseBegin(in.buffered()[:8])
	if err != nil {
		return malformed("%v", err)
	}
	// The padding is read last: a kick within that may not lose the record.
	if err := c.begin(in.id, b); err != nil {
		return err
	}
	return in.finish()
}

// begin begins a request, or refuses it.
func (c *conn) begin(id uint16, b record.Begin) error {
	c.mu.Lock()
	switch {
	case c.dead != nil:
		// It is too late to cancel a request that begins now.
		defer c.mu.Unlock()
		return c.dead
	case c.find(id) != nil:
		c.mu.Unlock()
		return malformed("BEGIN_REQUEST for request %d, which is active", id)
	case c.srv.app(cgi.Role(b.Role)) == nil:
		if b.Flags&record.KeepConn == 0 {
			c.closing = true
		}
		c.mu.Unlock()
		c.logRefusal("request refused: unknown role", "role", uint16(b.Role))
		return c.refuseBegin(id, record.UnknownRole)
	case c.full():
		c.mu.Unlock()
		c.logRefusal("request refused: too many on one connection", "limit", c.srv.requestsKey, "requests", c.srv.limits.Requests)
		return c.refuseBegin(id, record.CantMpxConn)
	}
	c.reqs = append(c.reqs, newRequest(c, id, b))
	if id != 1 || len(c.reqs) > 1 {
		c.mux = true
	}
	c.mu.Unlock()
	return nil
}

// logRefusal logs that a BEGIN_REQUEST is refused: the first of a connection, and then one
// a second at most, with how many there were since the last line. A peer sends them as
// fast as it likes.
func (c *conn) logRefusal(text string, args ...any) {
	c.refusals++
	now := c.srv.acceptor.Now()
	if c.refusedAt != 0 && now-c.refusedAt < time.Second {
		return
	}
	args = append(args, "peer", c.peer())
	if c.refusals > 1 {
		args = append(args, "times", c.refusals)
	}
	c.refusals, c.refusedAt = 0, max(now, 1)
	c.srv.log().Warn(text, args...)
}

// full reports whether the connection carries as many requests as it may. One whose
// answer waits for the peer has left reqs, but its handler has not come back. mu is held.
func (c *conn) full() bool {
	limit := c.srv.limits.Requests
	return len(c.reqs)+c.overdue >= limit || c.running-c.overdue-returning >= limit
}

// returning is how many handlers may be about to come back: the web server may have
// their answers already, and begin other requests.
const returning = 16

// refuseBegin answers a BEGIN_REQUEST that makes no request.
func (c *conn) refuseBegin(id uint16, ps record.ProtocolStatus) error {
	if err := c.send(record.AppendEndRequest(nil, id, 0, ps)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing && c.idle() {
		// The rest of the refused request is still to come.
		c.unended = true
		c.sock.Kick()
	}
	return nil
}

// takeParams keeps a part of the PARAMS stream.
func (c *conn) takeParams(b []byte) error {
	r := c.begun()
	if r == nil {
		return nil
	}
	limit := c.srv.limits.ParamsBytes
	if len(r.params)+len(b) <= limit {
		r.params = append(r.params, b...)
		return nil
	}
	// Nothing is known of where this stream ends, so the connection is of no use after
	// the answer.
	r.params, r.keep = r.params[:0], false
	c.makeReady(r, &cgi.StatusError{Code: http.StatusRequestHeaderFieldsTooLarge,
		Err: fmt.Errorf("variables of more than %d bytes (params_bytes)", limit)})
	return nil
}

// endParams ends the PARAMS stream: the request can be run.
func (c *conn) endParams() {
	if r := c.begun(); r != nil {
		c.makeReady(r, nil)
	}
}

// begun returns the request of the open record if its PARAMS have not ended, otherwise
// nil: one that is ready may end, and go back to the pool, at any time.
func (c *conn) begun() *request {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.find(c.in.id); r != nil && !r.ready {
		return r
	}
	return nil
}

func (c *conn) makeReady(r *request, refuse error) {
	if err := r.prepare(r.params); refuse == nil {
		refuse = err
	}
	r.refuse = refuse
	c.ready = append(c.ready, r)
	c.mu.Lock()
	r.ready = true
	c.mu.Unlock()
}

// takeStream gives a part of a body to its request, and returns how much it took.
func (c *conn) takeStream(b []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stream()
	if s == nil {
		return len(b)
	}
	n := s.deliver(b)
	if n == 0 {
		c.paused = true
	}
	return n
}

// endStream ends a body of a request.
func (c *conn) endStream() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.stream(); s != nil {
		s.ended = true
		c.cond.Broadcast()
	}
	if c.idle() {
		c.unended = false
	}
}

// early reports whether the DATA that begins comes before the end of STDIN (F31), or
// STDIN before that of PARAMS. Who reads what should come first might wait for ever, and
// where the body ends is not known before PARAMS do.
func (c *conn) early(typ record.Type) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.find(c.in.id)
	if r == nil {
		return false
	}
	if typ == record.Data {
		return r.data != nil && !r.stdin.ended
	}
	return !r.ready
}

// stream returns the stream that the open record is a part of, or nil if there is none
// that goes on. mu is held.
func (c *conn) stream() *stream {
	if r := c.find(c.in.id); r != nil {
		if s := r.stream(c.in.typ); s != nil && !s.ended {
			return s
		}
	}
	return nil
}

// abortRequest handles ABORT_REQUEST (F19). The END_REQUEST that it asks for comes
// when the handler has ended, or now if there is none yet.
func (c *conn) abortRequest() error {
	c.mu.Lock()
	r := c.find(c.in.id)
	if r == nil {
		c.mu.Unlock()
		return nil
	}
	if r.ready {
		r.abort(ErrRequestAborted)
		c.cond.Broadcast()
		c.mu.Unlock()
		return nil
	}
	c.remove(r)
	id, stop := r.id, c.closing && c.idle()
	c.mu.Unlock()
	r.free()
	err := c.send(record.AppendEndRequest(nil, id, 0, record.RequestComplete))
	if stop {
		c.sock.Kick()
	}
	return err
}

func bodyTimeout(limit time.Duration) error {
	return &cgi.StatusError{Code: http.StatusRequestTimeout,
		Err: fmt.Errorf("no byte of the body came for %v (body_read)", limit)}
}
