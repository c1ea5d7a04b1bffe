// Package frontend holds what the front-ends share, whatever their wire format: a bounded
// accept loop with back-off, the peers that may connect, the tick that enforces time
// limits, and socket operations: waiting without a buffer, noticing that a peer has
// disconnected despite unread data, and closing a connection so that the peer notices a
// truncation.
package frontend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/cgi"
)

// ErrServerClosed is returned by Serve after Shutdown or Close.
var ErrServerClosed = http.ErrServerClosed

// The interval of the tick: short while any connection is busy, so that a disconnected
// client is noticed soon, and long otherwise.
const (
	busyTick = 25 * time.Millisecond
	idleTick = 500 * time.Millisecond

	// tickCost lengthens the interval for each connection, so that ticks never take more
	// than a few percent of the CPU time.
	tickCost = 5 * time.Microsecond
)

// A Conn is a connection that a front-end serves.
type Conn interface {
	// Start starts to serve the connection, on its own goroutines, and returns. The Conn
	// calls Acceptor.Remove after the last of them has ended.
	Start()

	// Tick is called at every tick, with the time since the Acceptor started. It must
	// not block. It reports whether the connection has anything in flight.
	Tick(now time.Duration) (busy bool)

	// Drain closes the connection once nothing is in flight on it. What has come counts as
	// in flight, and so does, until Acceptor.Impatient, a first request that has not come.
	Drain()

	// Abort closes the connection at once. Requests are cancelled with the cause, and
	// their responses visibly truncated.
	Abort(cause error)
}

// An Acceptor accepts connections and keeps track of them.
type Acceptor struct {
	// NewConn returns the Conn for an accepted connection. The context comes from
	// BaseContext and ConnContext.
	NewConn func(ctx context.Context, l net.Listener, c net.Conn) Conn

	// BaseContext, if not nil, is called once for each Serve, after which Shutdown knows of
	// the listener. It must not return nil.
	BaseContext func(net.Listener) context.Context

	// ConnContext, if not nil, is called once for each connection, with the context from
	// BaseContext. If it returns nil, the connection is closed.
	ConnContext func(ctx context.Context, c net.Conn) context.Context

	// Connections is the maximum number of open connections of a listener. At the
	// maximum, the longest idle ones are closed; while none is idle, it stops accepting.
	// Zero means 10,000.
	Connections int

	// Shared bounds the connections of several Acceptors together, in the same way. It may
	// be nil.
	Shared *cgi.ConnectionBudget

	// Peers says who may connect.
	Peers Peers

	// Log receives a line when accepting fails, and those of Warn.
	Log *slog.Logger

	mu         sync.Mutex
	listeners  map[net.Listener]*cgi.ConnectionBudget // its own
	conns      map[Conn]*cgi.ConnectionBudget         // its listener's
	serving    int                                    // calls of Serve
	empty      chan struct{}                          // closed when there is neither; nil unless waited for
	hurry      chan struct{}                          // closed with closing
	closing    atomic.Bool                            // no listener is accepted any more
	aborted    chan struct{}                          // closed when a connection is not, either
	patience   atomic.Int64                           // when it ends, since the Acceptor started; 0: no drain
	stop       chan struct{}                          // ends the tick
	ticking    sync.WaitGroup
	wake       chan struct{} // makes the next tick come soon
	slow       atomic.Bool   // the next tick is far
	began      time.Time
	now        atomic.Int64
	goroutines goroutinePool
	floods     floods
	counts     counts

	// What follows belongs to the tick.
	turns   int           // see Turn
	evicted int           // connections closed by makeRoom since that was logged …
	logged  time.Duration // … at this time; 0: never
}

// turnsPerTick is how many calls of Turn return true in one tick.
const turnsPerTick = 200

// Turn reports whether a connection may do something in its Tick that needs memory for a
// moment. If all of them did so in the same tick, the process would keep the memory.
func (a *Acceptor) Turn() bool {
	a.turns--
	return a.turns >= 0
}

// Go runs f on its own goroutine, which Shutdown and Close wait for. It is for the first
// goroutine of a connection.
func (a *Acceptor) Go(f func()) { a.goroutines.run(f) }

// Wake switches to the short tick interval. A Conn calls it when it has something in
// flight.
func (a *Acceptor) Wake() {
	if a.slow.Load() && a.slow.CompareAndSwap(true, false) {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// Now returns the time since the Acceptor started, as of the last tick.
func (a *Acceptor) Now() time.Duration { return time.Duration(a.now.Load()) }

func (a *Acceptor) log() *slog.Logger {
	if a.Log != nil {
		return a.Log
	}
	return slog.Default()
}

// Serve accepts connections until Shutdown or Close, and then returns ErrServerClosed. On
// Shutdown it accepts first what is queued on l, if that is a Listener. It closes l. After
// a temporary error of Accept (no free descriptor, a broken connection) it tries again in
// 5 ms to 1 s, and logs the error at first and every 10 s. It returns any other error.
func (a *Acceptor) Serve(l net.Listener) error {
	defer l.Close()
	peers := a.peers()
	if err := peers.Check(); err != nil {
		return err
	}
	own, aborted := a.track(l)
	if own == nil {
		return ErrServerClosed
	}
	defer a.untrack(l)
	defer l.Close() // before who waits for the end of Serve goes on
	base := context.Background()
	if a.BaseContext != nil {
		if base = a.BaseContext(l); base == nil {
			return errors.New("BaseContext returned no context")
		}
	}
	pulse := a.pulse(base, l)
	defer pulse.step(ended)
	var delay, waited time.Duration
	for {
		pulse.step(waiting)
		if !a.acquire(own, aborted) {
			return ErrServerClosed
		}
		pulse.step(accepting)
		c, err := l.Accept()
		pulse.step(working)
		if err != nil {
			a.release(own)
			switch {
			case temporary(err):
			case a.closing.Load():
				return ErrServerClosed
			default:
				return err
			}
			if delay == 0 || waited >= acceptLog {
				if remedy := cgi.Remedy(err); remedy != "" {
					err = fmt.Errorf("%w: %s", err, remedy)
				}
				a.log().Error("accept failed, trying again", "listener", l.Addr().String(), "error", err)
				waited = 0
			}
			a.counts.failed.Add(1)
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			waited += delay
			pulse.step(waiting)
			a.pause(delay)
			continue
		}
		delay, waited = 0, 0
		if pulse.claim(c) {
			a.release(own)
			continue
		}
		ctx := a.admit(base, l, c)
		if ctx == nil {
			c.Close()
			a.release(own)
			continue
		}
		a.serveConn(ctx, l, c, own)
	}
}

// peers says who may connect now.
func (a *Acceptor) peers() Peers {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Peers
}

// connections returns the maximum number of connections of a listener. mu is held.
func (a *Acceptor) connections() int {
	if a.Connections <= 0 {
		return 10_000
	}
	return a.Connections
}

// Reconfigure sets Connections and Peers anew, while the Acceptor serves. They apply to
// connections that are accepted later.
func (a *Acceptor) Reconfigure(connections int, peers Peers) error {
	if err := peers.Check(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Connections, a.Peers = connections, peers
	for _, own := range a.listeners {
		own.Resize(a.connections())
	}
	return nil
}

// acceptLog is how often failures to accept are logged.
const acceptLog = 10 * time.Second

// admit returns the context for a connection, or nil to refuse it.
func (a *Acceptor) admit(ctx context.Context, l net.Listener, c net.Conn) context.Context {
	peers := a.peers()
	if key, err := peers.Refuse(c); err != nil {
		a.counts.refuse(key)
		a.Warn("peer refused", "listener", l.Addr().String(), "peer", c.RemoteAddr().String(), "error", err.Error())
		return nil
	}
	if a.ConnContext != nil {
		if ctx = a.ConnContext(ctx, c); ctx == nil {
			a.counts.refuse("ConnContext")
			a.Warn("connection closed: ConnContext returned no context", "listener", l.Addr().String(), "peer", c.RemoteAddr().String())
		}
	}
	return ctx
}

// pause waits for d, or for a moment if the Acceptor is closing.
func (a *Acceptor) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-a.hurry:
		time.Sleep(min(d, busyTick))
	}
}

// temporary reports whether accepting may succeed later.
func temporary(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// track returns the places of a listener's connections, and a channel that is closed when
// no connection is served any more; nil if the Acceptor is closing.
func (a *Acceptor) track(l net.Listener) (own *cgi.ConnectionBudget, aborted <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing.Load() {
		return nil, nil
	}
	if a.listeners == nil {
		a.listeners = make(map[net.Listener]*cgi.ConnectionBudget)
		a.conns = make(map[Conn]*cgi.ConnectionBudget)
		a.stop = make(chan struct{})
		a.wake = make(chan struct{}, 1)
		a.hurry, a.aborted = make(chan struct{}), make(chan struct{})
		a.began = time.Now()
		a.ticking.Add(1)
		go a.tick(a.stop)
	}
	own = cgi.NewConnectionBudget(a.connections())
	a.listeners[l] = own
	a.serving++
	return own, a.aborted
}

func (a *Acceptor) untrack(l net.Listener) {
	a.mu.Lock()
	a.counts.waited += a.listeners[l].Use().Waited
	delete(a.listeners, l)
	a.serving--
	a.checkEmpty()
	a.mu.Unlock()
}

// serveConn starts to serve a connection, and drains it if the others have been drained
// already. It closes the connection if they have been aborted.
func (a *Acceptor) serveConn(ctx context.Context, l net.Listener, nc net.Conn, own *cgi.ConnectionBudget) {
	a.mu.Lock()
	if a.isAborted() {
		a.mu.Unlock()
		nc.Close()
		a.release(own)
		return
	}
	c := a.NewConn(ctx, l, nc)
	a.conns[c] = own
	a.counts.accepted.Add(1)
	closing := a.closing.Load()
	a.mu.Unlock()
	c.Start()
	if closing {
		c.Drain()
	}
}

// Remove removes a connection that has ended.
func (a *Acceptor) Remove(c Conn) {
	a.mu.Lock()
	own := a.conns[c]
	delete(a.conns, c)
	a.checkEmpty()
	a.mu.Unlock()
	a.release(own)
}

// tick calls Tick of every connection regularly until stop is closed.
func (a *Acceptor) tick(stop chan struct{}) {
	defer a.ticking.Done()
	t := time.NewTimer(idleTick)
	defer t.Stop()
	a.slow.Store(true)
	var conns []Conn
	for {
		select {
		case <-stop:
			return
		case <-a.wake:
			t.Reset(busyTick)
			continue
		case <-t.C:
		}
		now := time.Since(a.began)
		a.now.Store(int64(now))
		a.logFloods(now, false)
		conns = conns[:0]
		a.mu.Lock()
		for c := range a.conns {
			conns = append(conns, c)
		}
		a.mu.Unlock()
		busy := false
		a.turns = turnsPerTick
		for _, c := range conns {
			busy = c.Tick(now) || busy
		}
		busy = a.makeRoom(now) || busy
		clear(conns)
		if busy || a.closing.Load() {
			t.Reset(busyTick + time.Duration(len(conns))*tickCost)
		} else {
			a.goroutines.releaseIdle()
			a.slow.Store(true)
			t.Reset(idleTick)
		}
	}
}
