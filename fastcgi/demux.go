package fastcgi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
)

// errPaused stops the loop until a body has been read, or its request has ended.
var errPaused = errors.New("waiting for a body to be read")

// step reads and sorts one record, or a part of it: this is FastCGI, as the side of the
// application sees it. It may be called again after an error that was a kick.
func (c *conn) step() error {
	in := &c.in
	switch opened := in.open; {
	case opened && in.left == 0:
		return in.finish()
	case !opened:
		if err := in.header(); err != nil {
			return err
		}
		if err := c.checkHeader(); err != nil {
			return err
		}
		if in.left > 0 {
			return nil // its content may go straight to whoever reads it
		}
	}
	empty := in.left == 0
	switch {
	case in.id == 0:
		return c.management()
	case in.typ == record.BeginRequest:
		return c.beginRequest()
	case in.typ == record.AbortRequest:
		return errors.Join(c.abortRequest(), in.finish())
	case in.typ == record.Params && empty:
		c.endParams()
	case in.typ == record.Params:
		return c.content(c.keepParams)
	case (in.typ == record.Stdin || in.typ == record.Data) && empty:
		c.endStream()
	case in.typ == record.Stdin || in.typ == record.Data:
		return c.content(c.deliver)
	}
	// Unknown types (F15), and those that only an application sends, are skipped.
	return in.finish()
}

// checkHeader returns what is wrong with the record that begins.
func (c *conn) checkHeader() error {
	in := &c.in
	switch {
	case in.id == 0 && !in.typ.IsManagement() && in.typ <= record.UnknownType && in.typ != 0:
		return malformed("%v record with request id 0", in.typ)
	case in.id == 0:
		return nil
	case in.typ == record.Data && c.early(in.typ):
		return malformed("DATA record for request %d before the end of its STDIN", in.id)
	case in.typ == record.Stdin && in.left > 0 && c.early(in.typ):
		return malformed("STDIN record for request %d before the end of its PARAMS", in.id)
	}
	return nil
}

// content hands what has arrived of the open record's content to consume, which returns
// how much it took: if that is nothing, the loop has to wait.
func (c *conn) content(consume func([]byte) int) error {
	in := &c.in
	b, err := in.content()
	if err != nil {
		return err
	}
	n := consume(b)
	if n == 0 {
		return errPaused
	}
	in.consume(n)
	if in.left == 0 && in.pad == 0 {
		in.open = false
	}
	return nil
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
	if err := c.addRequest(in.id, b); err != nil {
		return err
	}
	return in.finish()
}

// addRequest begins a request, or refuses it.
func (c *conn) addRequest(id uint16, b record.Begin) error {
	set, begun := c.srv.current.Acquire(), false
	defer func() {
		if !begun {
			set.Release()
		}
	}()
	c.mu.Lock()
	switch {
	case c.dead != nil:
		// It is too late to cancel a request that begins now.
		defer c.mu.Unlock()
		return c.dead
	case c.find(id) != nil:
		c.mu.Unlock()
		return malformed("BEGIN_REQUEST for request %d, which is active", id)
	case set.T.app(cgi.Role(b.Role)) == nil:
		if b.Flags&record.KeepConn == 0 {
			c.closing = true
		}
		c.mu.Unlock()
		c.srv.acceptor.Decline("role")
		c.srv.acceptor.Warn("request refused: unknown role", "peer", c.peer(), "role", uint16(b.Role))
		return c.refuseBegin(id, record.UnknownRole)
	case c.full(&set.T.limits):
		c.mu.Unlock()
		c.srv.acceptor.Decline(set.T.requestsKey)
		c.srv.acceptor.Warn("request refused: too many on one connection", "peer", c.peer(), "limit", set.T.requestsKey, "requests", set.T.limits.Requests)
		return c.refuseBegin(id, record.CantMpxConn)
	case !c.growForRequest():
		c.mu.Unlock()
		c.srv.acceptor.Decline("params_total")
		c.srv.acceptor.Warn("request refused: the requests of all connections hold too much memory", "peer", c.peer(), "limit", "params_total", "bytes", c.holding.Budget.Max())
		return c.refuseBegin(id, record.CantMpxConn)
	}
	begun = true
	c.reqs = append(c.reqs, newRequest(c, id, b, set))
	if id != 1 || len(c.reqs) > 1 {
		c.mux = true
	}
	c.mu.Unlock()
	return nil
}

// full reports whether the connection carries as many requests as it may. One whose
// response waits for the peer has left reqs, but its handler has not returned. mu is held.
func (c *conn) full(limits *cgi.Limits) bool {
	limit := limits.Requests
	return len(c.reqs)+c.overdue >= limit || c.running-c.overdue-returning >= limit
}

// growForRequest has the connection's holding grow for one more request, and reports whether
// it may. Where the web server has the responses to all others, it waits for their memory. mu
// is held, and unlocked meanwhile.
func (c *conn) growForRequest() bool {
	for !c.holding.Grow(frontend.FreeMemory) {
		if len(c.reqs) > 0 || c.running == c.overdue {
			return false
		}
		c.cond.Wait()
		if c.dead != nil {
			return true // which ends the loop
		}
	}
	return true
}

// returning is how many handlers may be about to return: the web server may have their
// responses already, and begin other requests.
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

// keepParams keeps a part of the PARAMS stream.
func (c *conn) keepParams(b []byte) int {
	r := c.begun()
	if r == nil {
		return len(b)
	}
	limit, size := r.set.T.limits.ParamsBytes, len(r.params)+len(b)
	var refuse *cgi.StatusError
	switch {
	case size > limit:
		refuse = &cgi.StatusError{Code: http.StatusRequestHeaderFieldsTooLarge,
			Err: fmt.Errorf("variables of more than %d bytes (params_bytes)", limit), Check: "params_bytes"}
	case size > r.room && !c.growForParams(r, size):
		refuse = c.holding.Refusal()
	default:
		r.params = append(r.params, b...)
		return len(b)
	}
	// Nothing is known of where this stream ends, so the connection is of no use after
	// the response.
	r.params, r.keep = nil, false
	c.makeReady(r, c.srv.acceptor.Refusal(refuse, c.peer()))
	return len(b)
}

// growForParams has the connection's holding grow for size bytes of r's variables. If it may
// not, it keeps what every request has.
func (c *conn) growForParams(r *request, size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := int64(size-r.room+paramsStep-1) / paramsStep * paramsStep
	if !c.holding.Grow(n) {
		c.holding.Shrink(r.held - frontend.FreeMemory)
		r.held = frontend.FreeMemory
		return false
	}
	r.held, r.room = r.held+n, r.room+int(n)
	return true
}

// paramsStep is by how much the room for variables grows.
const paramsStep = 32 << 10

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

// deliver gives a part of a body to its request, and returns how much that took.
func (c *conn) deliver(b []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stream()
	if s == nil {
		return len(b)
	}
	n := s.deliver(b)
	if n == 0 && c.phase == reading {
		c.pause()
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
	c.holding.Shrink(r.held)
	id, stop := r.id, c.ending() && c.idle()
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
		Err: fmt.Errorf("no byte of the body came for %v (body_read)", limit), Check: "body_read"}
}
