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

// A conn is a connection from a web server.
//
// Whoever holds the baton reads and sorts records: the loop, or a Body.Read while
// the only handler runs on the loop's own goroutine. The loop's generation tells a
// loop whose handler has come back that another has taken its place.
type conn struct {
	srv  *Server
	sock *frontend.Socket
	base context.Context

	// These belong to the holder of the baton.
	in     input
	ready  []*request // PARAMS have ended, not started yet
	values []byte     // of a GET_VALUES record

	refusals  int           // since the last line of the log about one
	refusedAt time.Duration // when that was; 0: never

	wmu        sync.Mutex           // held for each write; taken before mu, if both are
	writer     atomic.Pointer[sink] // whose write is under way; nil: the connection's own
	writeSince atomic.Int64         // when the write under way began or last moved on; 0: none
	unsent     int                  // as of the last tick

	mu         sync.Mutex // guards what follows
	cond       sync.Cond  // of bodies that wait, and of the end of their reading
	reqs       []*request // begun, and END_REQUEST not yet on its way
	running    int        // handlers that have not come back
	overdue    int        // those of them whose request has been answered: a time limit has passed
	baton      bool       // held
	inline     bool       // a handler runs on the loop's goroutine
	gen        uint32     // of the loop
	goroutines int
	dead       error // why the connection is of no use any more
	closing    bool  // close when no request is left
	eof        bool  // the peer sends no more
	paused     bool  // the loop waits for a body to be read
	mux        bool  // the peer is known to multiplex
	spilling   bool  // an answer waits for the peer, and perhaps the peer for us
	unended    bool  // the last request ended before its STDIN
	answering  int   // answers on their way in the place of handlers that were let go
	watching   bool  // the loop is in watch
	queued     int   // bytes in the socket that lookAhead has seen
	refresh    bool  // move the idle loop to a fresh goroutine
	fresh      bool  // that was done
	idleSince  time.Duration
	lingering  time.Duration // since when; 0: not

	served, uses         uint32 // requests ended; uses of the baton by bodies
	tickServed, tickUses uint32 // as of the last tick
}

// Start implements frontend.Conn.
func (c *conn) Start() {
	c.goroutines, c.baton = 1, true
	c.in.sock = c.sock
	c.srv.acceptor.Go(func() { c.loop(0) })
}

// loop reads records, and runs requests, until the connection ends or another
// loop has taken its place. It begins with the baton.
func (c *conn) loop(gen uint32) {
	defer c.leave()
	for c.proceed(gen) {
		var err error
		if len(c.in.buffered()) == 0 && !c.in.open {
			err = c.in.fill()
		}
		if r, ok := c.whole(); ok {
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
	for c.dead == nil && (c.paused || c.eof && !c.idle()) {
		c.watch()
	}
	switch {
	case c.dead != nil:
		c.mu.Unlock()
		return false
	case c.idle() && (c.closing || c.eof):
		overdue := c.overdue > 0
		c.mu.Unlock()
		c.linger()
		if overdue { // their goroutines do not end with the connection
			c.mu.Lock()
			c.fail(ErrConnClosed)
			c.mu.Unlock()
		}
		return false
	case c.refresh:
		// A goroutine that has run a handler keeps its grown stack while it waits.
		c.refresh, c.fresh = false, true
		c.goroutines++
		c.mu.Unlock()
		go c.loop(gen)
		return false
	}
	c.mu.Unlock()
	return true
}

// watch waits until the peer has gone, or for a kick, without reading. mu is held,
// and let go meanwhile.
func (c *conn) watch() {
	c.watching, c.queued = true, 0
	c.mu.Unlock()
	err := c.sock.WaitGone()
	c.mu.Lock()
	c.watching, c.paused = false, false
	switch {
	case err == nil:
		c.fail(ErrConnClosed)
	case frontend.IsKick(err):
		c.sock.Unkick()
	default:
		c.fail(fmt.Errorf("%w: %w", ErrConnClosed, err))
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
	c.baton, c.inline = false, true
	c.running++
	r.settle()
	c.mu.Unlock()
	c.srv.acceptor.Wake()
	c.run(r)
	c.mu.Lock()
	if c.gen == gen && !c.baton {
		r.stdin.excess += c.unwanted(r)
	}
	c.end(r)
	still := c.gen == gen
	if still {
		c.baton, c.inline = true, false
		if c.served == 1 {
			// The goroutine that the connection began with has a stack for another one's first
			// request; many connections have no second one for long.
			c.refresh = true
		}
	}
	c.mu.Unlock()
	r.free()
	return still
}

// unwanted returns how many bytes of r's body are buffered, or announced, beyond
// its length. mu is held, and the baton free.
func (c *conn) unwanted(r *request) int64 {
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
		r.settle()
		c.running++
		c.goroutines++
		go c.runApart(r)
	}
	if len(c.ready) > 0 {
		c.srv.acceptor.Wake()
		if !c.baton {
			c.startReader()
		}
	}
	clear(c.ready)
	c.ready = c.ready[:0]
}

// runApart runs r beside other requests.
func (c *conn) runApart(r *request) {
	defer c.leave()
	c.run(r)
	c.mu.Lock()
	c.end(r)
	c.mu.Unlock()
	r.free()
}

// run has the handler answer r.
func (c *conn) run(r *request) {
	back := false
	defer func() {
		if !back {
			c.abandon(r)
		}
	}()
	if r.refuse != nil {
		c.srv.handler.Refuse(&r.cgi, &r.sink, r.refuse)
	} else {
		c.srv.handler.Run(&r.cgi, &r.sink, c.srv.app(r.role))
	}
	back = true
}

// abandon ends the connection for a handler that has ended its goroutine
// (runtime.Goexit): nobody answers its request.
func (c *conn) abandon(r *request) {
	if d := r.sink.deadlines.Load(); d != nil {
		d.end()
	}
	c.mu.Lock()
	c.srv.log().Error("connection closed: a handler ended its goroutine", "peer", c.peer(), "request", r.cgi.ID)
	c.fail(fmt.Errorf("%w: a handler ended its goroutine", ErrConnClosed))
	c.end(r)
	c.mu.Unlock()
	r.free()
}

// startReader gives the connection a new loop while its handler runs. mu is held,
// and the baton free.
func (c *conn) startReader() {
	c.baton, c.inline = true, false
	c.gen++
	c.goroutines++
	go c.loop(c.gen)
}

// end takes a request off the connection. mu is held.
func (c *conn) end(r *request) {
	ended := true
	for s := range r.streams {
		s.end()
		ended = ended && s.ended
		if s.excess > 0 && r.refuse == nil {
			c.srv.log().Warn("body cut at its length", "request", r.cgi.ID, "excess", s.excess)
		}
	}
	r.context.End()
	c.remove(r)
	c.running--
	if r.overdue {
		c.overdue--
	} else {
		c.unended = !ended
	}
	c.served++
	if c.baton && (c.paused || c.eof || c.closing && c.idle()) {
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
	c.idleSince, c.fresh = c.srv.acceptor.Now(), false
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
