package fastcgi

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
)

// A conn is a connection from a web server. One goroutine, its loop, reads and sorts
// records, and runs the handler of a request that is alone on the connection itself. Its
// phases:
//
//	          a request is alone             its handler reads the body
//	reading ─────────────────────▶ inline ◀───────────────────────────▶ borrowed
//	│ ▲   ▲                          │                                    │
//	│ │   └──────────────────────────┴────────────────────────────────────┘
//	│ │     the handler returns; or another request has come, or a tick has
//	│ │     passed: then a new loop takes over, and the old one ends with its handler
//	│ ▼
//	│ paused       a body that nobody reads is full, or the peer sends no more
//	▼
//	lingering      no request is left, and the connection is to be closed
//
// From each of them close leads to the end.
type conn struct {
	srv  *Server
	sock *frontend.Socket
	base context.Context
	out  outlet

	// These belong to whoever reads.
	in     input
	ready  []*request // PARAMS have ended, not started yet
	values []byte     // of a GET_VALUES record

	mu         sync.Mutex // guards what follows
	cond       sync.Cond  // of bodies that wait, and of the end of their reading
	phase      phase
	gen        uint32     // of the loop: tells one whose handler has returned that another has taken over
	reqs       []*request // begun, and END_REQUEST not yet on its way
	running    int        // handlers that have not returned
	overdue    int        // those of them whose request has been answered: a time limit has passed
	answering  int        // responses on their way in place of overdue handlers
	goroutines int
	dead       error // why the connection is closed
	closing    bool  // close when no request is left
	evicted    bool  // close if the next request has not begun to come
	eof        bool  // the peer sends no more
	mux        bool  // the peer is known to multiplex
	spilling   bool  // a response waits for the peer, and perhaps the peer for us
	unended    bool  // the last request ended before its STDIN
	queued     int   // bytes in the socket that lookAhead has seen
	holding    frontend.Holding

	idleSince    time.Duration
	lingerSince  time.Duration
	stack        stack
	progress     progress
	tickProgress progress // as of the last tick
}

// A phase says who reads a connection.
type phase uint8

const (
	reading   phase = iota // the loop
	inline                 // nobody: a handler runs on the loop's goroutine
	borrowed               // that handler, or a goroutine of its own, reads a body
	paused                 // nobody: the loop waits for a kick, or until the peer has gone
	lingering              // the loop, which throws away what comes
)

// An outlet is the writing side of a connection.
type outlet struct {
	mu     sync.Mutex           // held for each write; locked before conn.mu, if both are
	owner  atomic.Pointer[sink] // whose write is under way; nil: the connection's own
	since  atomic.Int64         // when the write under way began or last moved on; 0: none
	unsent int                  // as of the last tick
}

// A stack says what the loop's goroutine has for a stack: once a handler has run on it,
// it is larger than an idle connection should keep.
type stack uint8

const (
	fresh stack = iota
	grown
	outgrown // the loop is to move to a fresh goroutine
)

// progress tells a tick whether a connection gets on.
type progress struct {
	served uint32 // requests finished
	reads  uint32 // of bodies, by their handlers
}

// Start implements frontend.Conn.
func (c *conn) Start() {
	c.goroutines = 1
	c.in.sock = c.sock
	c.srv.acceptor.Go(func() { c.loop(0) })
}

// loop reads records, and runs requests, until the connection ends or another loop has
// taken its place.
func (c *conn) loop(gen uint32) {
	defer c.goroutineDone()
	for c.proceed(gen) {
		var err error
		if len(c.in.buffered()) == 0 && !c.in.open {
			err = c.in.fill()
		}
		if r, ok := c.wholeRequest(); ok {
			if !c.runHere(r, gen) {
				return
			}
			continue
		}
		for err == nil && len(c.ready) == 0 {
			err = c.step()
		}
		switch {
		case err != nil:
			c.mu.Lock()
			c.readFailed(err)
			if c.dead == nil {
				c.startReady()
			}
			c.mu.Unlock()
		case c.alone():
			r := c.ready[0]
			c.ready = c.ready[:0]
			if !c.runHere(r, gen) {
				return
			}
		default:
			c.mu.Lock()
			c.startReady()
			c.mu.Unlock()
		}
	}
}

// proceed reports whether the loop goes on, and waits where there is nothing to
// read.
func (c *conn) proceed(gen uint32) bool {
	c.mu.Lock()
	for c.dead == nil && (c.phase == paused || c.eof && !c.idle()) {
		c.watch()
	}
	switch {
	case c.dead != nil:
		c.mu.Unlock()
		return false
	case c.idle() && (c.closing || c.eof || c.drained()):
		overdue := c.overdue > 0
		c.mu.Unlock()
		c.linger()
		if overdue { // their goroutines do not end with the connection
			c.mu.Lock()
			c.close(ErrConnClosed)
			c.mu.Unlock()
		}
		return false
	case c.stack == outgrown:
		c.stack = fresh
		c.goroutines++
		c.mu.Unlock()
		go c.loop(gen)
		return false
	}
	c.mu.Unlock()
	return true
}

// pause has the loop wait. mu is held.
func (c *conn) pause() { c.phase, c.queued = paused, 0 }

// watch waits until the peer has gone, or for a kick, without reading. mu is held,
// and unlocked meanwhile.
func (c *conn) watch() {
	c.pause()
	c.mu.Unlock()
	err := c.sock.WaitGone()
	c.mu.Lock()
	c.phase = reading
	switch {
	case err == nil:
		c.close(ErrConnClosed)
	case frontend.IsKick(err):
		c.sock.Unkick()
	default:
		c.close(fmt.Errorf("%w: %w", ErrConnClosed, err))
	}
}

// alone reports whether the one request that is ready can run on the loop's
// goroutine: no other is begun, and nothing but its own body is buffered. An end
// of STDIN that is buffered is taken first, so that the common request leaves
// nothing behind.
func (c *conn) alone() bool {
	r := c.ready[0]
	if n, ok := c.in.peekIs(record.Stdin, r.id); ok && n == 0 && len(c.ready) == 1 {
		if c.step() != nil {
			return false
		}
	}
	ownBody := len(c.in.buffered()) == 0
	if !ownBody {
		_, ownBody = c.in.peekIs(record.Stdin, r.id)
	}
	if !ownBody && r.data != nil {
		_, ownBody = c.in.peekIs(record.Data, r.id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return ownBody && len(c.reqs) == 1 && len(c.ready) == 1 && c.running == 0 && !c.mux
}

// runHere runs r on the loop's goroutine. It reports whether that goroutine still
// is the loop.
func (c *conn) runHere(r *request, gen uint32) bool {
	c.in.release()
	c.mu.Lock()
	c.phase = inline
	c.running++
	r.setBodies()
	c.mu.Unlock()
	c.srv.acceptor.Wake()
	c.runHandler(r)
	c.mu.Lock()
	if c.gen == gen && c.phase == inline {
		r.stdin.excess += c.bufferedExcess(r)
	}
	c.finishRequest(r)
	still := c.gen == gen
	if still {
		c.phase = reading
		if c.progress.served == 1 {
			// Many connections have no second request for long.
			c.stack = outgrown
		}
	}
	c.mu.Unlock()
	r.free()
	return still
}

// bufferedExcess returns how many bytes of r's body are buffered, or announced, beyond
// its length. mu is held, and nobody reads.
func (c *conn) bufferedExcess(r *request) int64 {
	if r.cgi.ContentLength < 0 || r.stdin.left != 0 {
		return 0
	}
	if c.in.open && c.in.typ == record.Stdin && c.in.id == r.id {
		return int64(c.in.left)
	}
	n, _ := c.in.peekIs(record.Stdin, r.id)
	return int64(n)
}

// startReady starts the requests that are ready on goroutines of their own. mu is
// held.
func (c *conn) startReady() {
	for _, r := range c.ready {
		r.setBodies()
		c.running++
		c.goroutines++
		go c.runApart(r)
	}
	if len(c.ready) > 0 {
		c.srv.acceptor.Wake()
		if c.phase == inline {
			c.startReader()
		}
	}
	clear(c.ready)
	c.ready = c.ready[:0]
}

// runApart runs r beside other requests.
func (c *conn) runApart(r *request) {
	defer c.goroutineDone()
	c.runHandler(r)
	c.mu.Lock()
	c.finishRequest(r)
	c.mu.Unlock()
	r.free()
}

// runHandler has the handler respond to r.
func (c *conn) runHandler(r *request) {
	returned := false
	defer func() {
		if !returned {
			c.abandon(r)
		}
	}()
	if r.refuse != nil {
		r.set.T.handler.Refuse(&r.cgi, &r.sink, r.refuse)
	} else {
		r.set.T.handler.Run(&r.cgi, &r.sink, r.set.T.app(r.role))
	}
	returned = true
}

// abandon closes the connection for a handler that has ended its goroutine
// (runtime.Goexit): its request gets no response.
func (c *conn) abandon(r *request) {
	if d := r.sink.deadlines.Load(); d != nil {
		d.detach()
	}
	c.mu.Lock()
	c.srv.log().Error("connection closed: a handler ended its goroutine", "peer", c.peer(), r.cgi.LogAttr())
	c.close(fmt.Errorf("%w: a handler ended its goroutine", ErrConnClosed))
	c.finishRequest(r)
	c.mu.Unlock()
	r.free()
}

// startReader gives the connection a new loop while its handler runs. mu is held, and
// the phase is inline.
func (c *conn) startReader() {
	c.phase = reading
	c.gen++
	c.goroutines++
	go c.loop(c.gen)
}

// finishRequest takes a request off the connection whose handler has returned. mu is
// held.
func (c *conn) finishRequest(r *request) {
	ended := true
	for s := range r.streams {
		s.detach()
		ended = ended && s.ended
		if s.excess > 0 && r.refuse == nil {
			c.srv.acceptor.Warn("body cut at its length", r.cgi.LogAttr(), "excess", s.excess)
		}
	}
	r.context.End()
	c.remove(r)
	c.holding.Shrink(r.held)
	c.running--
	c.cond.Broadcast()
	if r.overdue {
		c.overdue--
	} else {
		c.unended = !ended
	}
	c.progress.served++
	if c.stack == fresh {
		c.stack = grown
	}
	if c.phase != inline && (c.phase == paused || c.eof || c.ending() && c.idle()) {
		// The loop is on another goroutine, and has to see this.
		c.sock.Kick()
	}
}

// remove takes r off the wire: its id may be used anew. mu is held.
func (c *conn) remove(r *request) {
	if i := slices.Index(c.reqs, r); i >= 0 {
		c.reqs = slices.Delete(c.reqs, i, i+1)
	}
	if !r.keep {
		c.closing = true
	}
	c.idleSince = c.srv.acceptor.Now()
}

// idle reports whether there is no request that the web server waits for. mu is held.
func (c *conn) idle() bool { return len(c.reqs) == 0 && c.running == c.overdue && c.answering == 0 }

// find returns the request with the given id, or nil. mu is held.
func (c *conn) find(id uint16) *request {
	for _, r := range c.reqs {
		if r.id == id {
			return r
		}
	}
	return nil
}

// shared reports whether a body that nobody reads must not stop the connection.
// mu is held.
func (c *conn) shared() bool {
	return c.mux || c.spilling || len(c.reqs) > 1 || !c.sock.CanWatch()
}
