package validate

import (
	"io"
	"sync/atomic"

	"gatehouse/cgi"
)

// callWSGI calls a WSGI application, and checks in which order it and the gateway do
// things. What it sends and returns is checked by whoever gets it.
func (x *exchange) callWSGI(app cgi.WSGI, env *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
	c := &wsgiCall{exchange: x, begin: start}
	body, err := app(env, c.startResponse)
	c.setReturned()
	if body == nil {
		if err == nil {
			return nil, c.checkBody()
		}
		return nil, err
	}
	b := &wsgiBody{call: c, next: body}
	x.watch(b)
	return b, err
}

// watch has the end of the request look at a body.
func (x *exchange) watch(b *wsgiBody) {
	if x.parent != nil {
		x = x.parent
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.bodies = append(x.bodies, b)
}

// A wsgiCall is one call of a WSGI application.
type wsgiCall struct {
	exchange *exchange
	begin    cgi.StartResponse

	// Guarded by the exchange's mu.
	started  bool // start was called; if it failed, that is the failure to tell
	returned bool // the application has
}

// V31: there is a body, if only an empty one.
func (c *wsgiCall) checkBody() error {
	e := broken("V31", "the application returned neither a body nor an error")
	e.err = cgi.ErrNoBody
	return c.exchange.noteBroken(e)
}

func (c *wsgiCall) setReturned() {
	c.exchange.mu.Lock()
	defer c.exchange.mu.Unlock()
	c.returned = true
}

// startResponse is start_response.
func (c *wsgiCall) startResponse(status string, headers []cgi.Field, cause error) (cgi.WriteFunc, error) {
	x := c.exchange
	x.beginCall(&x.calls, "start")
	defer x.endCall(&x.calls)
	c.setStarted()
	write, err := c.begin(status, headers, cause)
	return func(block []byte) error { return c.write(write, block) }, err
}

func (c *wsgiCall) setStarted() {
	c.exchange.mu.Lock()
	defer c.exchange.mu.Unlock()
	c.started = true
}

// write is the write callable.
func (c *wsgiCall) write(write cgi.WriteFunc, block []byte) error {
	x := c.exchange
	x.beginCall(&x.calls, "write")
	defer x.endCall(&x.calls)
	if err := c.checkWrite(); err != nil {
		return err
	}
	if write == nil { // a middleware has returned an error alone
		return cgi.ErrNoStart
	}
	return write(block)
}

// V49: the write callable is not used by the body (PEP 3333, "The write() Callable").
func (c *wsgiCall) checkWrite() error {
	x := c.exchange
	x.mu.Lock()
	defer x.mu.Unlock()
	if !c.returned {
		return nil
	}
	e := broken("V49", "the write callable is used after the application has returned")
	x.noteBrokenLocked(e)
	return e
}

// A wsgiBody is the body as the gateway gets it.
type wsgiBody struct {
	call   *wsgiCall
	next   cgi.Body
	closed atomic.Int32 // how often
}

// Next implements cgi.Body.
func (b *wsgiBody) Next() ([]byte, error) {
	if err := b.checkOpen(); err != nil {
		return nil, err
	}
	block, err := b.next.Next()
	if err == nil || err == io.EOF && len(block) > 0 {
		if e := b.checkStarted(); e != nil {
			return nil, e
		}
	}
	return block, err
}

// V34: Next is not called after Close.
func (b *wsgiBody) checkOpen() error {
	if b.closed.Load() > 0 {
		return b.call.exchange.noteBroken(broken("V34", "the body is read after it was closed"))
	}
	return nil
}

// V36: the response is started before the first block is delivered.
func (b *wsgiBody) checkStarted() error {
	x := b.call.exchange
	x.mu.Lock()
	defer x.mu.Unlock()
	if b.call.started {
		return nil
	}
	e := broken("V36", "the body has delivered a block before start was called")
	e.err = cgi.ErrNoStart
	x.noteBrokenLocked(e)
	return e
}

// Len implements cgi.Body: it hides the length (V43).
func (b *wsgiBody) Len() int { return -1 }

// Close implements cgi.Body.
func (b *wsgiBody) Close() error {
	if b.closed.Add(1) > 1 {
		return b.call.exchange.noteBroken(broken("V37", "the body is closed a second time"))
	}
	return b.next.Close()
}

// V37: the body is closed, once. checkClosed is called at the end of the request, with
// the mu of the exchange that watches held.
func (b *wsgiBody) checkClosed() *Error {
	if b.closed.Load() == 0 {
		return broken("V37", "the body of a WSGI application was never closed")
	}
	return nil
}
