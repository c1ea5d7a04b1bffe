package simpleserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/internal/frontend"
)

const (
	// inBuffer is the size of the buffer that a connection reads into, in bytes.
	inBuffer = 4 << 10
	// drainGrace is how long a connection that has sent nothing has to begin a request
	// once the server shuts down.
	drainGrace = 100 * time.Millisecond
	// abortGrace bounds the writing of an error page at a forced shutdown.
	abortGrace = time.Second
)

// longAgo is a deadline that has always passed.
var longAgo = time.Unix(1, 0)

// A conn is a connection, which carries one request. The application runs on its
// goroutine.
type conn struct {
	srv  *Server
	l    *listener
	sock *frontend.Socket
	in   *bufio.Reader
	host string // of the client

	req     cgi.Request
	body    body
	sink    sink
	writing sync.Mutex // held during a write to the socket

	closed   sync.Once
	overtime sync.WaitGroup // of who closes it while the application still runs

	mu          sync.Mutex // guards what follows, and orders it with the deadlines
	begun       bool       // a byte of the request has come
	headRead    bool       // the head has been read
	sent        bool       // a byte of the response may have left
	aborted     bool       // the server is being closed
	finished    bool       // the request has ended: the rest of it is only drained
	ownDeadline [2]bool    // the application has set a deadline for reading, for writing
	stopped     error      // why no more is read of the request, or nil
	context     frontend.Context
	draining    bool
}

func (s *Server) newConn(_ context.Context, l net.Listener, nc net.Conn) frontend.Conn {
	c := &conn{srv: s, l: l.(*listener), sock: frontend.NewSocket(nc), host: remoteHost(nc.RemoteAddr())}
	c.sock.HalfClose = s.HalfClose
	c.in = bufio.NewReaderSize(c, inBuffer)
	c.body.c = c
	c.sink = sink{c: c, preamble: preamble{version: "1.0", software: s.software()}, end: cgi.Complete}
	return c
}

// Start implements frontend.Conn.
func (c *conn) Start() { go c.serve() }

func (c *conn) serve() {
	defer c.srv.acceptor.Remove(c)
	defer c.l.connClosed()
	defer c.sock.Close()
	defer c.overtime.Wait()
	c.startReadLimit(c.srv.limits.Idle)
	h, err := readHead(c.in, c.srv.head)
	c.sink.protocol = h.version
	if err == nil {
		err = c.prepare(h)
	}
	if err != nil {
		c.refuse(h, err)
		c.body.detach()
		return
	}
	c.run(h)
	c.closeOnce()
}

// prepare makes the Request of a head, and takes a chunked body.
func (c *conn) prepare(h *head) error {
	s := c.srv
	c.mu.Lock()
	c.headRead = true
	c.mu.Unlock()
	env, err := s.environ(c.l.base, h, c.host)
	c.req.Env = env
	if err != nil {
		return err
	}
	var f framing
	if s.Compat {
		f = h.framingCompat()
	} else if f, err = h.framing(s.limits.BodyBytes); err != nil {
		return err
	}
	expect, _ := h.get("Expect")
	c.body.expect = !s.Compat && h.version != "HTTP/1.0" && h.version != "HTTP/0.9" && strings.EqualFold(expect, "100-continue")
	c.body.raw, c.body.left = f.raw, f.length
	if f.chunked {
		if f.length, err = c.readChunked(); err != nil {
			return err
		}
		env.Set("CONTENT_LENGTH", strconv.FormatInt(f.length, 10))
	}
	c.req.ContentLength, c.req.Body = f.length, &c.body
	c.req.Paths, c.req.Multithread, c.req.Protocol = cgi.PathKeep, !s.Compat, "http"
	if s.ErrorLog != nil {
		c.req.Stderr = s.ErrorLog
	}
	c.req.SetContextSource(c)
	return nil
}

// readChunked reads a chunked body to its end.
func (c *conn) readChunked() (int64, error) {
	if c.body.expect && c.in.Buffered() == 0 {
		c.sink.writeContinue()
	}
	c.body.expect = false
	c.body.left, c.body.spool = 0, spool.New(c.srv.limits.Spool)
	c.startReadLimit(c.srv.limits.BodyRead)
	err := decodeChunked(c.in, c.body.spool, c.srv.limits.BodyBytes, c.srv.head)
	return c.body.spool.Len(), err
}

// Read reads from the socket, for the bufio.Reader. A body that is taken as a whole
// gets its limit for every byte anew.
func (c *conn) Read(p []byte) (int, error) {
	if c.body.spool != nil {
		c.startReadLimit(c.srv.limits.BodyRead)
	}
	n, err := c.sock.Read(p)
	if n > 0 {
		c.mu.Lock()
		c.begun = true
		c.mu.Unlock()
	}
	return n, err
}

// run runs the application.
func (c *conn) run(h *head) {
	app := c.srv.App
	if c.srv.Compat {
		c.srv.serial.Lock()
		defer c.srv.serial.Unlock()
		app = compatApp{app: app, method: h.method}
		c.req.Env.Set("REQUEST_METHOD", compatMethod(h.method))
	}
	var res cgi.Result
	if err := c.stopCause(); err != nil {
		res = c.srv.handler.Refuse(&c.req, &c.sink, err)
	} else {
		res = c.srv.handler.Run(&c.req, &c.sink, app)
	}
	code := "-"
	if res.Code != 0 {
		code = strconv.Itoa(res.Code)
	}
	c.srv.logRequest(c.host, h.line, code, strconv.FormatInt(res.Bytes, 10))
}

// refuse responds to a request that no application sees.
func (c *conn) refuse(h *head, err error) {
	e := c.refusal(h, err)
	if e == nil {
		if err != errNoRequest && h.line != "" {
			c.srv.log().Info("client gone", "peer", c.host, "error", err.Error())
			c.srv.logRequest(c.host, h.line, "-", "0")
		}
		return
	}
	c.srv.log().Warn("request refused", "peer", c.host, "status", e.code, "error", e.Error())
	c.sink.out = e.append(c.sink.out[:0], c.sink.preamble, h.method, c.srv.now())
	ferr := c.sink.Flush()
	c.srv.logRequest(c.host, h.line, strconv.Itoa(e.code), "-")
	if ferr == nil {
		c.drain()
	}
}

// refusal returns the response to a request that could not be read, or nil if nobody
// waits for one.
func (c *conn) refusal(h *head, err error) *requestError {
	var e *requestError
	switch c.mu.Lock(); {
	case c.stopped != nil || err == errNoRequest:
	case errors.As(err, &e):
	case errors.Is(err, spool.ErrFull):
		e = &requestError{code: 413}
	case errors.Is(err, os.ErrDeadlineExceeded):
		if c.begun && !c.draining {
			e = &requestError{code: 408}
		}
	case c.body.spool != nil && !isNetError(err):
		e = &requestError{code: 503, explain: err.Error()}
	}
	c.mu.Unlock()
	return e
}

// isNetError reports whether err is one of the connection.
func isNetError(err error) bool {
	var e *net.OpError
	return errors.As(err, &e) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// closeOnce ends the connection, after the request or as soon as its response has ended
// for an application that is over its time limit. It returns when that is done.
func (c *conn) closeOnce() {
	c.closed.Do(func() {
		c.close()
		c.sock.Close()
	})
}

// close ends the connection the way its response ended: one that broke off is reset,
// so that the client cannot take its part for the whole.
func (c *conn) close() {
	c.body.detach()
	c.mu.Lock()
	c.finished = true
	reset := c.sink.end != cgi.Complete && c.sent
	c.context.End()
	c.mu.Unlock()
	if reset {
		c.sock.Reset()
	} else {
		// Also where the request was read as a whole: something may come behind it.
		c.drain()
	}
}

// drain reads what the client still sends, for at most Limits.Linger, so that the response is
// not overtaken by the reset of a connection that is closed with bytes unread.
func (c *conn) drain() {
	if _, ok := c.sock.Conn.(interface{ CloseWrite() error }); !ok {
		return
	}
	c.sock.CloseWrite()
	c.mu.Lock()
	c.finished = true
	c.mu.Unlock()
	c.startReadLimit(c.srv.limits.Linger)
	io.Copy(io.Discard, c.sock.Conn)
}
