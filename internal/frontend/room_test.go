package frontend

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
)

// A pipes is a listener for connections within the process.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn, 10), closed: make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipes) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

// TestMakeRoom: beyond the bound of a listener, or the one that two share, the connection is
// closed that has been idle for the longest time, a second at least, and no busy one.
func TestMakeRoom(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			accepted := make(chan *echo, 10)
			newAcceptor := func() *Acceptor {
				a := &Acceptor{Log: slog.New(slog.NewTextHandler(&log, nil)), Connections: 3}
				a.NewConn = func(_ context.Context, _ net.Listener, c net.Conn) Conn {
					e := &echo{Conn: c, a: a, ended: make(chan error, 1), since: a.Now(), idle: len(accepted) != 1}
					accepted <- e
					return e
				}
				return a
			}
			a := newAcceptor()
			full := a // whose listener has no place for another connection
			if shared {
				full = newAcceptor()
				a.Shared = cgi.NewConnectionBudget(4) // one of them to wait for another connection
				a.Connections, full.Shared = 10, a.Shared
			}
			l, other := newPipes(), newPipes()
			served := make(chan error, 2)
			go func() { served <- a.Serve(l) }()
			peers := []net.Conn{l.dial()}
			for range 2 { // the second one is busy
				synctest.Wait()
				time.Sleep(600 * time.Millisecond) // a tick, which is what idle times are counted by
				peers = append(peers, l.dial())
			}
			synctest.Wait()
			var conns []*echo
			for range 3 {
				conns = append(conns, <-accepted)
			}
			began := time.Now()
			if shared {
				go func() { served <- full.Serve(other) }()
				peers = append(peers, other.dial())
			} else {
				peers = append(peers, l.dial())
			}
			last := <-accepted
			if waited := time.Since(began); waited > 2*time.Second {
				t.Errorf("the new connection waited %v", waited)
			}
			if age := a.Now() - conns[0].since; age < time.Second {
				t.Errorf("closed after %v", age)
			}
			for i, closed := range []bool{true, false, false} {
				peers[i].SetDeadline(time.Now().Add(time.Millisecond))
				_, err := peers[i].Write([]byte("x"))
				if (err != nil) != closed {
					t.Errorf("connection %d: %v", i, err)
				}
			}
			if last.a != full {
				t.Error("accepted by the other one")
			}
			a.Close(nil)
			full.Close(nil)
			for range map[bool]int{false: 1, true: 2}[shared] {
				if err := <-served; err != ErrServerClosed {
					t.Error(err)
				}
			}
			for _, c := range peers {
				c.Close()
			}
			if n := strings.Count(log.String(), "idle connections are closed"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, log.String())
			}
		})
	}
}
