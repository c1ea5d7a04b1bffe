package fastcgi

import (
	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
)

// wholeRequest takes a request that is buffered from its BEGIN_REQUEST to the end of
// its STDIN, with nothing behind it: nearly every one that has no body. It does what
// the sorting of its four records would do, without the steps between them. If it
// reports false, it has done nothing.
func (c *conn) wholeRequest() (r *request, ok bool) {
	b := c.in.buffered()
	if c.in.open || len(b) == 0 {
		return nil, false
	}
	begin, b := cut(b, record.BeginRequest, 1)
	params, b := cut(b, record.Params, 1)
	paramsEnd, b := cut(b, record.Params, 1)
	stdin, b := cut(b, record.Stdin, 1)
	if len(begin) != 8 || len(params) == 0 || paramsEnd == nil || stdin == nil || len(paramsEnd)+len(stdin)+len(b) > 0 {
		return nil, false
	}
	body, err := record.ParseBegin(begin)
	set := c.srv.current.Acquire()
	defer func() {
		if !ok {
			set.Release()
		}
	}()
	if err != nil || set.T.app(cgi.Role(body.Role)) == nil || body.Role == record.Filter || len(params) > set.T.limits.ParamsBytes {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.idle() || c.overdue > 0 || c.mux || c.dead != nil || len(c.ready) > 0 || !c.holding.Grow(frontend.FreeMemory) {
		return nil, false
	}
	r = newRequest(c, 1, body, set)
	r.ready, r.stdin.ended = true, true
	r.refuse = r.prepare(params)
	c.reqs = append(c.reqs, r)
	c.in.typ, c.in.size = record.Stdin, 0
	c.in.r = c.in.w
	return r, true
}

// cut cuts a record of the given type and id off b, and returns its content, not nil,
// and what follows its padding. If b does not begin with one, both are nil.
func cut(b []byte, t record.Type, id uint16) (content, rest []byte) {
	if len(b) < record.HeaderLen {
		return nil, nil
	}
	h := record.Header(b)
	end := record.HeaderLen + h.ContentLength()
	if h.Version() != record.Version1 || h.Type() != t || h.ID() != id || len(b) < end+h.PaddingLength() {
		return nil, nil
	}
	return b[record.HeaderLen:end:end], b[end+h.PaddingLength():]
}
