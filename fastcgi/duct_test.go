package fastcgi

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A duct is one direction of a connection in memory. All that waits on it is
// durably blocked in the sense of testing/synctest, so that a test in a bubble has
// the time of its own.
type duct struct {
	mu       sync.Mutex
	changed  sync.Cond
	b        []byte
	room     int  // how much of b is taken in advance; 0: any amount
	written  bool // the writer has closed
	dropped  bool // the reader has closed
	rdl, wdl time.Time
}

func newDuct(room int) *duct {
	d := &duct{room: room}
	d.changed.L = &d.mu
	return d
}

func (d *duct) read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.dropped:
			return 0, net.ErrClosed
		case passed(d.rdl):
			return 0, os.ErrDeadlineExceeded
		case len(d.b) > 0:
			n := copy(p, d.b)
			d.b = d.b[n:]
			d.changed.Broadcast()
			return n, nil
		case d.written:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		d.changed.Wait()
	}
}

func (d *duct) write(p []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.written:
			return n, net.ErrClosed
		case d.dropped:
			return n, io.ErrClosedPipe
		case passed(d.wdl):
			return n, os.ErrDeadlineExceeded
		}
		m := len(p) - n
		if d.room > 0 {
			m = min(m, d.room-len(d.b))
		}
		if m > 0 {
			d.b = append(d.b, p[n:n+m]...)
			n += m
			d.changed.Broadcast()
		}
		if n == len(p) {
			return n, nil
		}
		d.changed.Wait()
	}
}

func passed(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// set changes d under its lock, and wakes whoever waits.
func (d *duct) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.changed.Broadcast()
}

// at has whoever waits look at a deadline when it passes.
func (d *duct) at(deadline time.Time) {
	if wait := time.Until(deadline); !deadline.IsZero() && wait > 0 {
		time.AfterFunc(wait, func() { d.set(func() {}) })
	}
}

// A pipeConn is an end of a connection in memory, without a descriptor.
type pipeConn struct{ in, out *duct }

// pipe returns the ends of a connection on which the server's side writes room
// bytes ahead of what the client reads; 0 means any amount. What the client writes
// never waits.
func pipe(room int) (client, server *pipeConn) {
	to, from := newDuct(0), newDuct(room)
	return &pipeConn{from, to}, &pipeConn{to, from}
}

func (c *pipeConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *pipeConn) Write(p []byte) (int, error) { return c.out.write(p) }

func (c *pipeConn) Close() error {
	c.in.set(func() { c.in.dropped = true })
	return c.closeWrite()
}

func (c *pipeConn) closeWrite() error {
	c.out.set(func() { c.out.written = true })
	return nil
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.set(func() { c.in.rdl = t })
	c.in.at(t)
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.set(func() { c.out.wdl = t })
	c.out.at(t)
	return nil
}

func (c *pipeConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *pipeConn) LocalAddr() net.Addr  { return pipeAddr{} }
func (c *pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

// A halfConn is a pipeConn that can close its writing side alone.
type halfConn struct{ *pipeConn }

func (c halfConn) CloseWrite() error { return c.closeWrite() }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "memory" }
func (pipeAddr) String() string  { return "memory" }

// A pipeListener accepts the connections that dial makes.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// dial returns the client's end of a new connection. With half the server can close
// its writing side alone.
func (l *pipeListener) dial(room int, half bool) net.Conn {
	client, server := pipe(room)
	var c net.Conn = server
	if half {
		c = halfConn{server}
	}
	select {
	case l.conns <- c:
	case <-l.done:
		server.Close()
	}
	return halfConn{client}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }
