// Package frontend holds what the front-ends on sockets share, whatever their
// wire format: accepting with back-off and a bound, the peers that may connect,
// the tick that sweeps their time limits, and the ways of a socket that a web
// server's side needs (waiting without a buffer, seeing a peer that has gone
// behind bytes that nobody has read, ending a connection visibly).
package frontend

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrServerClosed is returned by Serve after Shutdown or Close.
var ErrServerClosed = http.ErrServerClosed

// The tick sweeps the connections this often: quickly while any of them is busy,
// so that a client that leaves is noticed soon, and slowly otherwise.
const (
	busyTick = 25 * time.Millisecond
	idleTick = 500 * time.Millisecond

	// tickCost makes the ticks rarer by that much for each connection, so that they never
	// take more than some hundredths of the time.
	tickCost = 5 * time.Microsecond
)

// A Conn is a connection that a front-end serves.
type Conn interface {
	// Start begins to serve the connection, on goroutines of its own, and returns. The
	// Conn calls Acceptor.Remove after the last of them has ended.
	Start()

	// Tick is called at every tick, with the time since the Acceptor began. It must
	// not wait. It reports whether the connection has anything in flight.
	Tick(now time.Duration) (busy bool)

	// Drain lets what is in flight end, then closes the connection.
	Drain()

	// Abort ends the connection now: requests are cancelled with the cause, and their
	// responses visibly truncated.
	Abort(cause error)
}

// An Acceptor accepts connections and keeps account of them.
type Acceptor struct {
	// NewConn makes the Conn of an accepted connection. The context is what BaseContext
	// and ConnContext have made.
	NewConn func(ctx context.Context, l net.Listener, c net.Conn) Conn

	// BaseContext, if not nil, is called once for each Serve, and must not return nil.
	BaseContext func(net.Listener) context.Context

	// ConnContext, if not nil, is called once for each connection with the context of
	// BaseContext. A connection for which it returns nil is closed.
	ConnContext func(ctx context.Context, c net.Conn) context.Context

	// Connections bounds the open connections of a listener; beyond it accepting
	// waits. Zero means 10,000.
	Connections int

	// Peers says who may connect.
	Peers Peers

	// Log gets a line when accepting fails or a peer is refused.
	Log *slog.Logger

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[Conn]chan struct{} // the listener's slots
	empty     chan struct{}          // closed when conns becomes empty; nil unless waited for
	closing   atomic.Bool
	stop      chan struct{} // ends the tick
	ticking   sync.WaitGroup
	wake      chan struct{} // makes the next tick come soon
	slow      atomic.Bool   // the next tick is far
	began     time.Time
	now       atomic.Int64
	crew      goroutinePool
	turns     int // see Turn; belongs to the tick
}

// turnsPerTick is how often Turn grants in one tick.
const turnsPerTick = 200

// Turn reports whether a connection may do in its Tick what costs memory for a moment:
// if all of them did it in the same tick, it would be memory for good.
func (a *Acceptor) Turn() bool {
	a.turns--
	return a.turns >= 0
}

// Go runs f on a goroutine of its own, which Shutdown and Close wait for. It is for the
// goroutine that a connection begins with.
func (a *Acceptor) Go(f func()) { a.crew.run(f) }

// Wake makes the ticks come quickly from now on. A Conn calls it when it has
// something in flight.
func (a *Acceptor) Wake() {
	if a.slow.Load() && a.slow.CompareAndSwap(true, false) {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// Now returns the time since the Acceptor began, as of the last tick.
func (a *Acceptor) Now() time.Duration { return time.Duration(a.now.Load()) }

func (a *Acceptor) log() *slog.Logger {
	if a.Log != nil {
		return a.Log
	}
	return slog.Default()
}

// Serve accepts connections until Shutdown or Close, then returns
// ErrServerClosed. It closes l. An error of Accept that may pass (no free
// descriptor, a connection that broke) is tried again after 5 ms to 1 s, and logged
// the first time and every 10 s; any other is returned.
func (a *Acceptor) Serve(l net.Listener) error {
	defer l.Close()
	if err := a.Peers.Check(); err != nil {
		return err
	}
	base := context.Background()
	if a.BaseContext != nil {
		if base = a.BaseContext(l); base == nil {
			return errors.New("BaseContext returned no context")
		}
	}
	if !a.track(l) {
		return ErrServerClosed
	}
	defer a.untrack(l)
	n := a.Connections
	if n <= 0 {
		n = 10_000
	}
	slots := make(chan struct{}, n)
	var delay, waited time.Duration
	for {
		slots <- struct{}{}
		c, err := l.Accept()
		if err != nil {
			<-slots
			if a.closing.Load() {
				return ErrServerClosed
			}
			if !temporary(err) {
				return err
			}
			if delay == 0 || waited >= acceptLog {
				a.log().Error("accept failed, trying again", "listener", l.Addr().String(), "error", err)
				waited = 0
			}
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			waited += delay
			a.pause(delay)
			continue
		}
		delay, waited = 0, 0
		ctx := a.admit(base, l, c)
		if ctx == nil {
			c.Close()
			<-slots
			continue
		}
		a.add(ctx, l, c, slots)
	}
}

// acceptLog is how long accepting fails before that is logged again.
const acceptLog = 10 * time.Second

// admit returns the context of a connection, or nil if it is refused.
func (a *Acceptor) admit(ctx context.Context, l net.Listener, c net.Conn) context.Context {
	if err := a.Peers.Refuse(c); err != nil {
		a.log().Warn("peer refused", "listener", l.Addr().String(), "peer", c.RemoteAddr().String(), "error", err.Error())
		return nil
	}
	if a.ConnContext != nil {
		if ctx = a.ConnContext(ctx, c); ctx == nil {
			a.log().Error("connection closed: ConnContext returned no context", "listener", l.Addr().String(), "peer", c.RemoteAddr().String())
		}
	}
	return ctx
}

// pause waits, or returns at once when the Acceptor is closed.
func (a *Acceptor) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	a.mu.Lock()
	stop := a.stop
	a.mu.Unlock()
	select {
	case <-t.C:
	case <-stop:
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

func (a *Acceptor) track(l net.Listener) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing.Load() {
		return false
	}
	if a.listeners == nil {
		a.listeners = make(map[net.Listener]struct{})
		a.conns = make(map[Conn]chan struct{})
		a.stop = make(chan struct{})
		a.wake = make(chan struct{}, 1)
		a.began = time.Now()
		a.ticking.Add(1)
		go a.tick(a.stop)
	}
	a.listeners[l] = struct{}{}
	return true
}

func (a *Acceptor) untrack(l net.Listener) {
	a.mu.Lock()
	delete(a.listeners, l)
	a.mu.Unlock()
}

// add begins to serve a connection, unless closing has begun meanwhile: then it
// would be missed by what ends the others.
func (a *Acceptor) add(ctx context.Context, l net.Listener, nc net.Conn, slots chan struct{}) {
	a.mu.Lock()
	if a.closing.Load() {
		a.mu.Unlock()
		nc.Close()
		<-slots
		return
	}
	c := a.NewConn(ctx, l, nc)
	a.conns[c] = slots
	a.mu.Unlock()
	c.Start()
}

// Remove takes a connection that has ended out of the account.
func (a *Acceptor) Remove(c Conn) {
	a.mu.Lock()
	slots := a.conns[c]
	delete(a.conns, c)
	if len(a.conns) == 0 && a.empty != nil {
		close(a.empty)
		a.empty = nil
	}
	a.mu.Unlock()
	<-slots
}

// tick sweeps the connections until stop is closed.
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
		clear(conns)
		if busy {
			t.Reset(busyTick + time.Duration(len(conns))*tickCost)
		} else {
			a.crew.rest()
			a.slow.Store(true)
			t.Reset(idleTick)
		}
	}
}

// Shutdown stops accepting and lets what is in flight end. When ctx is done
// first, the rest is aborted with the cause, and ctx's error returned. It returns
// after every connection has ended.
func (a *Acceptor) Shutdown(ctx context.Context, cause error) error {
	empty := a.beginClose(func(c Conn) { c.Drain() })
	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = ctx.Err()
		a.each(func(c Conn) { c.Abort(cause) })
		<-empty
	}
	a.stopTick()
	return err
}

// Close stops accepting and aborts every connection with the cause. It returns
// after every connection has ended.
func (a *Acceptor) Close(cause error) error {
	<-a.beginClose(func(c Conn) { c.Abort(cause) })
	a.stopTick()
	return nil
}

// beginClose closes the listeners, calls f for each connection, and returns a
// channel that is closed when there is none left.
func (a *Acceptor) beginClose(f func(Conn)) <-chan struct{} {
	a.mu.Lock()
	a.closing.Store(true)
	for l := range a.listeners {
		l.Close()
	}
	empty := a.empty
	if empty == nil {
		empty = make(chan struct{})
		if len(a.conns) == 0 {
			close(empty)
		} else {
			a.empty = empty
		}
	}
	a.mu.Unlock()
	a.each(f)
	return empty
}

func (a *Acceptor) each(f func(Conn)) {
	a.mu.Lock()
	conns := make([]Conn, 0, len(a.conns))
	for c := range a.conns {
		conns = append(conns, c)
	}
	a.mu.Unlock()
	for _, c := range conns {
		f(c)
	}
}

func (a *Acceptor) stopTick() {
	a.mu.Lock()
	stop := a.stop
	if stop != nil {
		select {
		case <-stop:
		default:
			close(stop)
		}
	}
	a.mu.Unlock()
	a.ticking.Wait()
	a.crew.close()
}
