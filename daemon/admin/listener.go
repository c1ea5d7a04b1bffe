package admin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConnections is how many connections to a listener are open at most.
	maxConnections = 64

	// newFor is how long a connection without a request keeps its place from another one.
	newFor = time.Second
)

var errTooMany = fmt.Errorf("there are %d already", maxConnections)

// A listener bounds the connections to an Endpoint. Where there are too many, one that is idle
// gives way to another: whoever opens connections and asks nothing keeps nobody away. If all
// are answered at the moment, the new one is closed at once: a client that is not answered is
// better than an administrator who waits behind a thousand of them.
type listener struct {
	net.Listener
	endpoint atomic.Pointer[Endpoint]
	refuse   func(net.Conn, error)
	failed   func(net.Addr, error)
	closed   chan struct{}
	once     sync.Once

	mu    sync.Mutex
	conns map[*conn]time.Time // since when each has no request; zero: it has one
}

func newListener(e Endpoint, refuse func(net.Conn, error), failed func(net.Addr, error)) *listener {
	l := &listener{Listener: e.Listener, refuse: refuse, failed: failed, closed: make(chan struct{}), conns: make(map[*conn]time.Time)}
	l.endpoint.Store(&e)
	return l
}

// Accept implements net.Listener. Only Close makes it fail.
func (l *listener) Accept() (net.Conn, error) {
	var delay time.Duration
	for {
		c, err := l.Listener.Accept()
		select {
		case <-l.closed:
			if err == nil {
				c.Close()
			}
			return nil, net.ErrClosed
		default:
		}
		if err != nil { // there may be no descriptor, or no memory
			l.failed(l.Addr(), err)
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			l.pause(delay)
			continue
		}
		delay = 0
		if refuse := l.endpoint.Load().Refuse; refuse != nil {
			err = refuse(c)
		}
		if err == nil {
			if x := l.add(c); x != nil {
				return x, nil
			}
			err = errTooMany
		}
		l.refuse(c, err)
		c.Close()
	}
}

func (l *listener) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.closed:
	}
}

// Close implements net.Listener. It may be called again.
func (l *listener) Close() (err error) {
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

// add returns the connection with a place, or nil if there is none.
func (l *listener) add(c net.Conn) *conn {
	x := &conn{Conn: c, listener: l}
	l.mu.Lock()
	full := len(l.conns) >= maxConnections
	var idle *conn
	if full {
		if idle = l.idle(time.Now()); idle != nil {
			delete(l.conns, idle)
			full = false
		}
	}
	if !full {
		l.conns[x] = time.Now()
	}
	l.mu.Unlock()
	if idle != nil {
		idle.Conn.Close()
	}
	if full {
		return nil
	}
	return x
}

// idle returns the connection that has had no request for the longest time, or nil if each has
// one, or is quite new. mu is held.
func (l *listener) idle(now time.Time) (longest *conn) {
	for c, since := range l.conns {
		if since.IsZero() || !c.asked && now.Sub(since) < newFor {
			continue
		}
		if longest == nil || since.Before(l.conns[longest]) {
			longest = c
		}
	}
	return longest
}

// A conn gives its place back once it is closed.
type conn struct {
	net.Conn
	listener *listener
	asked    bool // there was a request; guarded by listener.mu
}

// note has the listener know whether c has a request.
func (c *conn) note(state http.ConnState) {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if _, ok := c.listener.conns[c]; !ok {
		return
	}
	switch state {
	case http.StateActive:
		c.asked = true
		c.listener.conns[c] = time.Time{}
	case http.StateIdle:
		c.listener.conns[c] = time.Now()
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	err := c.Conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil // it has given way
	}
	return err
}
