package pool

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/cgi/relay"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/nowait"
)

// A conn is the connection to a process. It implements backend.Supplied for the request that
// has it.
type conn struct {
	*nowait.Conn
	worker *worker
	raw    syscall.RawConn

	ahead  bool // the first byte of the next request has been sent
	atOnce bool // what is read does not wait
	served int
	client any

	// Of the request that has it.
	failed error
	clock  *clock                // or nil
	cause  atomic.Pointer[error] // why the process was terminated
}

// newConn returns the connection to w over nc, which it owns.
func newConn(w *worker, nc *net.UnixConn) (*conn, error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &conn{Conn: nowait.New(nc), worker: w, raw: raw}, nil
}

// firstByte is that of every request: its BEGIN_REQUEST has the version of the protocol.
var firstByte = []byte{record.Version1}

// sendAhead sends the first byte of the next request. If that fails, the connection is closed,
// which shows when it is looked at.
func (c *conn) sendAhead() {
	c.ahead = true
	c.Conn.Write(firstByte)
}

// Write implements net.Conn. The first byte of a request has been sent.
func (c *conn) Write(b []byte) (int, error) {
	if !c.ahead || len(b) == 0 {
		return c.Conn.Write(b)
	}
	n, err := c.Conn.Write(b[1:])
	if n == 0 && err != nil {
		return 0, err // of a request that is not even a header nothing was begun
	}
	c.ahead = false
	return n + 1, err
}

// Read implements net.Conn. The end of a process that was terminated has the reason for that.
func (c *conn) Read(b []byte) (int, error) {
	_, n, err := c.WriteRead(nil, b)
	return n, err
}

// WriteRead writes the request b and waits for the response, as nowait.Conn.WriteRead does.
func (c *conn) WriteRead(b, p []byte) (written, read int, err error) {
	if c.atOnce && len(b) == 0 {
		read, err = c.Conn.ReadNow(p)
	} else if c.ahead && len(b) > 0 {
		written, read, err = c.Conn.WriteRead(b[1:], p)
		if written > 0 {
			c.ahead = false
			written++
		}
	} else {
		written, read, err = c.Conn.WriteRead(b, p)
	}
	return written, read, c.explain(err)
}

// SpliceTo is nowait.Conn.SpliceTo. The end of a process that was terminated has the reason.
func (c *conn) SpliceTo(pipe, max int) (int, error) {
	n, err := c.Conn.SpliceTo(pipe, max)
	return n, c.explain(err)
}

// explain replaces an error of the connection by the reason for which the process was terminated.
func (c *conn) explain(err error) error {
	if err == nil {
		return nil
	}
	var op *net.OpError
	if cause := c.cause.Load(); cause != nil {
		err = *cause
	} else if errors.As(err, &op) && !op.Timeout() {
		err = op.Err // without the name that the socket had for a moment
	}
	return err
}

// orphaned ends the connection of a process that has ended, whose response has not: a child of it
// has the connection, too.
func (c *conn) orphaned() {
	err := error(&cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: it has ended, and a child that it has left holds the connection open", c.Name())})
	c.cause.CompareAndSwap(nil, &err)
	c.Close()
}

// Name implements backend.Supplied.
func (c *conn) Name() string { return c.worker.name }

// Worker returns the process, as a cgi.Worker for the request of this activity.
func (c *conn) Worker(a *relay.Activity) cgi.Worker { return &serving{c.worker, a} }

// A serving is a process at work on a request. It may outlive both.
type serving struct {
	worker   *worker
	activity *relay.Activity
}

// Name implements cgi.Worker.
func (s *serving) Name() string { return s.worker.name }

// Silence implements cgi.Worker.
func (s *serving) Silence() (d time.Duration, responded bool) { return s.activity.Silence() }

// Inspect returns what the process and its descendants do at the moment.
func (s *serving) Inspect() process.Inspection { return s.worker.proc.Inspect() }

// PID implements backend.Supplied.
func (c *conn) PID() int { return c.worker.proc.PID() }

// Served implements backend.Supplied.
func (c *conn) Served() int { return c.served }

// Client implements backend.Supplied.
func (c *conn) Client() any { return c.client }
