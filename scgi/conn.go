package scgi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// A conn is a connection, which carries one request. The application runs on its
// goroutine.
type conn struct {
	srv  *Server
	sock *frontend.Socket
	base context.Context
	set  *frontend.Settings[settings] // from the end of the head on

	// peek says that bytes are peeked at before they are read, so that the last one of
	// the request can stay in the socket.
	peek bool

	// What has been received. It belongs to the owner of the reading side.
	buf      *frontend.Buffer
	off, end int   // the bytes of buf that nobody took yet
	unread   int   // of the bytes up to end, or given to the application, how many are still in the socket
	length   int64 // of the body
	left     int64 // bytes of the body that the application has not read
	refused  bool  // how many bytes the peer will send is not known

	deadlines atomic.Pointer[deadlines] // nil until one is set

	req  cgi.Request
	sink sink
	body body
	readSide

	holding frontend.Holding // guarded by mu

	closed   sync.Once
	overtime sync.WaitGroup // of who closes it while the application still runs
}

// environs holds variables that no request uses.
var environs = sync.Pool{New: func() any { return new(cgi.Environ) }}

func newConn(s *Server, base context.Context, nc net.Conn) *conn {
	c := &conn{srv: s, sock: frontend.NewSocket(nc), base: base}
	set := s.current.Get()
	c.sock.HalfClose = set.halfClose
	c.peek = c.sock.Unix && c.sock.CanPeek()
	c.body.c, c.sink.c = c, c
	c.sink.end = cgi.Aborted
	c.holding.Budget = set.limits.ParamsTotal
	c.holding.Grow(frontend.FreeMemory)
	c.readSide.init()
	c.ticked = s.acceptor.Now()
	return c
}

// Start implements frontend.Conn.
func (c *conn) Start() { go c.serve() }

func (c *conn) serve() {
	defer c.srv.acceptor.Remove(c)
	defer func() { c.set.Release() }()
	defer c.giveBack()
	defer c.overtime.Wait()
	defer c.closeOnce()
	block, err := c.readHead()
	c.set = c.srv.current.Acquire()
	c.release()
	var full *cgi.StatusError
	if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) && !errors.As(err, &full) {
		if c.buf != nil && !errors.Is(err, cgi.ErrShutdown) {
			c.srv.acceptor.Warn("SCGI request broke off in its head", "peer", c.peer(), "error", err.Error())
		}
		return
	}
	env := environs.Get().(*cgi.Environ)
	defer func() {
		env.Reset()
		environs.Put(env)
	}()
	set := &c.set.T
	switch {
	case err == nil:
		err = c.decode(env, block)
	case full == nil:
		err = c.refusal(err)
	}
	c.req.Env, c.req.Body, c.req.Paths, c.req.Multithread = env, &c.body, set.paths, true
	c.req.Protocol = "scgi"
	c.req.SetContextSource(c)
	if err != nil {
		c.req.ContentLength, c.left, c.refused = 0, 0, true
		set.handler.Refuse(&c.req, &c.sink, err)
		return
	}
	if c.left == 0 && c.off == c.end {
		c.freeBuffer()
	}
	set.handler.Run(&c.req, &c.sink, set.app)
}

// decode takes the variables and the length of the body from a header block. Its
// error is a StatusError.
func (c *conn) decode(env *cgi.Environ, block string) error {
	err := ParseHeaders(env, block, c.set.T.limits.ParamsCount)
	if err == nil {
		err = checkHeaders(env)
	}
	if err != nil {
		return c.refusal(err)
	}
	n := env.BodyLength(false)
	switch {
	case n < 0:
		return &cgi.StatusError{Code: http.StatusLengthRequired,
			Err: fmt.Errorf("CONTENT_LENGTH is %.40q, not a number of bytes", env.Get("CONTENT_LENGTH")), Check: "params"}
	case n > c.set.T.limits.BodyBytes:
		return &cgi.StatusError{Code: http.StatusRequestEntityTooLarge,
			Err: fmt.Errorf("body of %d bytes is over the limit of %d (body_bytes)", n, c.set.T.limits.BodyBytes), Check: "body_bytes"}
	}
	c.req.ContentLength, c.length, c.left = n, n, n
	return nil
}

// refusal gives a broken head its status, and logs it.
func (c *conn) refusal(err error) error {
	code, check := http.StatusBadRequest, "params"
	if errors.Is(err, ErrTooLarge) {
		code, check = http.StatusRequestHeaderFieldsTooLarge, "params_bytes"
		err = fmt.Errorf("%w (params_bytes, params_count)", err)
	}
	return c.srv.acceptor.Refusal(&cgi.StatusError{Code: code, Err: err, Check: check}, c.peer())
}

// peer names the other side in a log line. Clients of unix sockets seldom have a
// name, so the socket is named.
func (c *conn) peer() string {
	if c.sock.Unix {
		return "a peer on " + c.sock.LocalAddr().String()
	}
	return c.sock.RemoteAddr().String()
}

// giveBack gives back what the connection holds.
func (c *conn) giveBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holding.Close()
}

// closeOnce ends the connection, after the request or as soon as its response has ended
// for an application that is over its time limit. It returns when that is done.
func (c *conn) closeOnce() { c.closed.Do(c.close) }

// close ends the connection the way its response ended.
func (c *conn) close() {
	c.acquireForClose()
	if c.sink.end == cgi.Complete {
		c.closeComplete()
	} else {
		c.closeVisibly()
	}
	c.sock.Close()
	c.freeBuffer()
}

// closeComplete reads the rest of the request, so that the response is not overtaken
// by a reset. It does so after the response was written, since until then an end must
// be visible. What has not arrived yet is waited for, at most for Limits.Linger.
func (c *conn) closeComplete() {
	rest := c.left - int64(c.end-c.off) // bytes that are still to come; below 0: unknown
	if c.refused {
		rest = -1
	}
	if c.buf == nil && (c.unread > 0 || rest != 0) {
		c.buf = frontend.GetBuffer()
	}
	if c.unread > 0 {
		n := 0
		for n < c.unread {
			m, err := c.sock.Read(c.buf[:])
			if err != nil {
				return
			}
			n += m
		}
		rest = remaining(rest, n-c.unread)
		c.unread = 0
	}
	if rest == 0 {
		return
	}
	c.sock.CloseWrite()
	c.waitFor(lingering)
	for rest != 0 {
		n, err := c.sock.Read(c.buf[:])
		if err != nil {
			return
		}
		rest = remaining(rest, n)
	}
}

// remaining takes n from rest. A peer that sent too much may send anything.
func remaining(rest int64, n int) int64 {
	if rest < 0 || int64(n) > rest {
		return -1
	}
	return rest - int64(n)
}

// closeVisibly prepares an end that the peer cannot take for the end of the response, if
// part of one was sent: a reset on TCP, and on unix a byte in the socket that was not read. If all that has come was read, it waits for one, at
// most for Limits.Linger.
func (c *conn) closeVisibly() {
	if !c.sink.sent {
		return
	}
	c.sock.Reset()
	if !c.peek || c.unread > 0 || c.left == 0 || c.cancelled() != nil && c.sock.Gone() {
		return
	}
	c.waitFor(lingering)
	var b [1]byte
	c.sock.Peek(b[:])
}

// freeBuffer returns the buffer.
func (c *conn) freeBuffer() {
	if c.buf != nil {
		frontend.PutBuffer(c.buf)
		c.buf, c.off, c.end = nil, 0, 0
	}
}
