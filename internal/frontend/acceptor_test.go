package frontend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// An echo is a Conn that is busy until its peer closes, or it is ended.
type echo struct {
	net.Conn
	a       *Acceptor
	ended   chan error
	ticked  chan struct{}
	drained chan struct{}
	once    sync.Once
	since   time.Duration // … it is idle, if it is
	idle    bool
}

func (c *echo) Start() {
	go func() {
		io.Copy(c.Conn, c.Conn)
		c.Conn.Close()
		c.a.Remove(c)
	}()
}

func (c *echo) Tick(time.Duration) bool {
	select {
	case c.ticked <- struct{}{}:
	default:
	}
	return false
}

func (c *echo) IdleSince() (time.Duration, bool) { return c.since, c.idle }

func (c *echo) Evict() { c.Close() }

func (c *echo) Drain() { c.once.Do(func() { close(c.drained) }) }

func (c *echo) Abort(cause error) {
	c.ended <- cause
	c.Conn.Close()
}

// A gate is an Acceptor at work on a loopback port.
type gate struct {
	*Acceptor
	addr      string
	conns     chan *echo
	contexts  chan context.Context
	listening chan string // its address
	served    chan error
	log       bytes.Buffer
}

func open(t *testing.T, a *Acceptor, wrap func(net.Listener) net.Listener) *gate {
	t.Helper()
	l := testkit.Listen(t, "tcp")
	g := &gate{Acceptor: a, addr: l.Addr().String(), conns: make(chan *echo, 10), contexts: make(chan context.Context, 10), listening: make(chan string, 1), served: make(chan error, 1)}
	a.Log = slog.New(slog.NewTextHandler(&g.log, nil))
	a.NewConn = func(ctx context.Context, _ net.Listener, c net.Conn) Conn {
		g.contexts <- ctx
		e := &echo{Conn: c, a: a, ended: make(chan error, 1), ticked: make(chan struct{}), drained: make(chan struct{})}
		g.conns <- e
		return e
	}
	if wrap != nil {
		l = wrap(l)
	}
	g.listening <- l.Addr().String()
	go func() { g.served <- a.Serve(l) }()
	return g
}

func (g *gate) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// talk asserts that the connection is served.
func talk(t *testing.T, c io.ReadWriter) {
	t.Helper()
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func (g *gate) close(t *testing.T) {
	t.Helper()
	g.Close(nil)
	if err := <-g.served; err != ErrServerClosed {
		t.Errorf("Serve returned %v", err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	g := open(t, &Acceptor{Connections: 1}, nil)
	first, second := g.dial(t), g.dial(t)
	talk(t, first)
	<-g.conns
	// The second is served no sooner than the first has ended.
	if _, err := io.WriteString(second, "x"); err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	if len(g.Acceptor.conns) != 1 {
		t.Errorf("%d connections", len(g.Acceptor.conns))
	}
	g.mu.Unlock()
	first.Close()
	if _, err := io.ReadFull(second, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	second.Close()
	g.close(t)
	if s := g.Stats(); s.Open.Waited == 0 || s.Accepted != 2 || s.Open.Used != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAllow(t *testing.T) {
	g := open(t, &Acceptor{Peers: Peers{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}, nil)
	c := g.dial(t)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("Read = %d, %v; want an end", n, err)
	}
	c.Close()
	g.close(t)
	if log := g.log.String(); strings.Count(log, "peer refused") != 1 || !strings.Contains(log, "peer=127.0.0.1:") {
		t.Errorf("log %q", log)
	}
	if s := g.Stats(); s.Refused["allow"] != 1 || s.Accepted != 0 {
		t.Errorf("%+v", s)
	}
	g = open(t, &Acceptor{Peers: Peers{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}, nil)
	c = g.dial(t)
	talk(t, c)
	c.Close()
	g.close(t)
}

// A stumbler fails a few times to accept.
type stumbler struct {
	net.Listener
	errs []error
}

func (s *stumbler) Accept() (net.Conn, error) {
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	return s.Listener.Accept()
}

func TestAcceptErrors(t *testing.T) {
	g := open(t, new(Acceptor), func(l net.Listener) net.Listener {
		return &stumbler{l, []error{syscall.EMFILE, syscall.ECONNABORTED}}
	})
	c := g.dial(t)
	talk(t, c)
	c.Close()
	g.close(t)
	if log := g.log.String(); strings.Count(log, "accept failed, trying again") != 1 {
		t.Errorf("log %q", log)
	}
	g = open(t, new(Acceptor), func(l net.Listener) net.Listener { return &stumbler{l, []error{syscall.EBADF}} })
	if err := <-g.served; !errors.Is(err, syscall.EBADF) {
		t.Errorf("Serve returned %v, want EBADF", err)
	}
	g.Close(nil)
}

func TestContexts(t *testing.T) {
	type key string
	base := 0
	g := open(t, &Acceptor{
		BaseContext: func(l net.Listener) context.Context {
			base++
			return context.WithValue(context.Background(), key("base"), l.Addr().String())
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, key("conn"), c.RemoteAddr().String())
		},
	}, nil)
	for range 2 {
		c := g.dial(t)
		talk(t, c)
		ctx := <-g.contexts
		if ctx.Value(key("base")) != g.addr || ctx.Value(key("conn")) != c.LocalAddr().String() {
			t.Errorf("context %v", ctx)
		}
		c.Close()
	}
	g.close(t)
	if base != 1 {
		t.Errorf("BaseContext was called %d times", base)
	}

	// Without them there is an empty one.
	g = open(t, new(Acceptor), nil)
	c := g.dial(t)
	if ctx := <-g.contexts; ctx != context.Background() {
		t.Errorf("context %v", ctx)
	}
	c.Close()
	g.close(t)
}

func TestNoContext(t *testing.T) {
	g := open(t, &Acceptor{BaseContext: func(net.Listener) context.Context { return nil }}, nil)
	if err := <-g.served; err == nil || err.Error() != "BaseContext returned no context" {
		t.Errorf("Serve returned %v", err)
	}
	g.Close(nil)

	g = open(t, &Acceptor{ConnContext: func(context.Context, net.Conn) context.Context { return nil }}, nil)
	c := g.dial(t)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("Read = %d, %v; want an end", n, err)
	}
	c.Close()
	g.close(t)
	if log := g.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "ConnContext returned no context") {
		t.Errorf("log %q", log)
	}
}

func TestShutdown(t *testing.T) {
	g := open(t, new(Acceptor), nil)
	c := g.dial(t)
	talk(t, c)
	e := <-g.conns
	ctx, cancel := context.WithCancel(context.Background())
	down := make(chan error, 1)
	cause := errors.New("cause")
	go func() { down <- g.Shutdown(ctx, cause) }()
	<-e.drained
	if err := <-g.served; err != ErrServerClosed {
		t.Errorf("Serve returned %v", err)
	}
	talk(t, c) // what is in flight goes on
	select {
	case err := <-down:
		t.Errorf("Shutdown did not wait: %v", err)
	default:
	}
	cancel()
	if err := <-e.ended; err != cause {
		t.Errorf("aborted with %v", err)
	}
	if err := <-down; err != context.Canceled {
		t.Errorf("Shutdown returned %v", err)
	}
	c.Close()
	l := testkit.Listen(t, "tcp")
	if err := g.Serve(l); err != ErrServerClosed {
		t.Errorf("Serve after Shutdown returned %v", err)
	}
}

func TestShutdownWaitsForTheLast(t *testing.T) {
	g := open(t, new(Acceptor), nil)
	c := g.dial(t)
	talk(t, c)
	e := <-g.conns
	down := make(chan error, 1)
	go func() { down <- g.Shutdown(context.Background(), nil) }()
	<-e.drained
	c.Close()
	if err := <-down; err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	<-g.served
}

func TestTick(t *testing.T) {
	g := open(t, new(Acceptor), nil)
	c := g.dial(t)
	e := <-g.conns
	<-e.ticked
	if g.Now() <= 0 {
		t.Errorf("Now() = %v", g.Now())
	}
	g.Wake()
	<-e.ticked
	c.Close()
	g.close(t)
}

// A broken listener fails to accept until it is closed.
type broken struct {
	closed chan struct{}
	once   *sync.Once
}

func (b broken) Accept() (net.Conn, error) {
	select {
	case <-b.closed:
		return nil, net.ErrClosed
	default:
		return nil, &net.OpError{Op: "accept", Err: syscall.ENFILE}
	}
}

func (b broken) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func (b broken) Addr() net.Addr { return &net.UnixAddr{Name: "/run/s", Net: "unix"} }

// TestAcceptLog: a failure that lasts is logged every 10 s, not at every attempt, and a
// shutdown does not wait for the next one.
func TestAcceptLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := &Acceptor{Log: slog.New(slog.NewTextHandler(&log, nil))}
		l := broken{make(chan struct{}), new(sync.Once)}
		served := make(chan error)
		go func() { served <- a.Serve(l) }()
		time.Sleep(35 * time.Second)
		synctest.Wait()
		a.Close(nil)
		if err := <-served; err != ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
		if n := strings.Count(log.String(), "accept failed, trying again"); n != 4 {
			t.Errorf("%d log lines in 35 s, want 4:\n%s", n, log.String())
		}
	})
}
