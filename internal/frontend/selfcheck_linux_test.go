package frontend

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// pulsed serves l with an Acceptor that has a Pulse, which responds "alive".
func pulsed(t *testing.T, a *Acceptor, l net.Listener) *Pulse {
	t.Helper()
	p := NewPulse(func(c net.Conn) {
		io.WriteString(c, "alive")
		c.Close()
	})
	a.BaseContext = func(net.Listener) context.Context { return WithPulse(context.Background(), p) }
	a.Log = new(testkit.Log).Logger()
	if a.NewConn == nil {
		a.NewConn = func(_ context.Context, _ net.Listener, c net.Conn) Conn {
			return &echo{Conn: c, a: a, ended: make(chan error, 1), ticked: make(chan struct{}), drained: make(chan struct{})}
		}
	}
	served := make(chan error, 1)
	go func() { served <- a.Serve(l) }()
	t.Cleanup(func() {
		a.Close(nil)
		<-served
	})
	testkit.Until(t, "accepting", func() bool { return step(p.loop.Load()&3) == accepting })
	return p
}

// check calls Check with a limit. asked says whether it talked to a Pulse.
func check(t *testing.T, p *Pulse, limit time.Duration) (asked bool, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err = p.Check(ctx, func(_ context.Context, c net.Conn) error {
		asked = true
		if b, err := io.ReadAll(c); string(b) != "alive" {
			return errors.Join(errors.New("the response is "+string(b)), err)
		}
		return nil
	})
	return asked, err
}

// soon is how long a Check may take that is to fail.
const soon = 100 * time.Millisecond

func TestCheck(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		p := pulsed(t, &Acceptor{Peers: Peers{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Users: []uint32{1 << 31}}}, testkit.Listen(t, network))
		if asked, err := check(t, p, testkit.Patience); err != nil || !asked {
			t.Errorf("%s: asked %v, %v", network, asked, err)
		}
	}
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if asked, err := check(t, pulsed(t, new(Acceptor), l), testkit.Patience); err != nil || !asked {
		t.Errorf("all addresses: asked %v, %v", asked, err)
	}
}

// TestCheckFull: who waits for a place is alive, and so is who waits for a descriptor.
func TestCheckFull(t *testing.T) {
	l := testkit.Listen(t, "unix")
	p := pulsed(t, &Acceptor{Connections: 1}, l)
	talk(t, testkit.Dial(t, l.Addr()))
	testkit.Until(t, "no place", func() bool { return alive(p.loop.Load()) })
	if asked, err := check(t, p, testkit.Patience); err != nil || asked {
		t.Errorf("full: asked %v, %v", asked, err)
	}
	l = testkit.Listen(t, "unix")
	p = pulsed(t, new(Acceptor), &stumbler{l, []error{syscall.EMFILE, syscall.EMFILE, syscall.EMFILE}})
	if _, err := check(t, p, testkit.Patience); err != nil {
		t.Errorf("no descriptors: %v", err)
	}
}

// TestCheckTaken: another process has the socket, too, and has taken the connection.
func TestCheckTaken(t *testing.T) {
	l := testkit.Listen(t, "unix")
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	f := testkit.File(t, l)
	l.Close()
	other, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	own, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan string)
	go func() {
		c, err := other.Accept()
		if err != nil {
			return
		}
		b, _ := io.ReadAll(c)
		sent <- string(b)
	}()
	p := NewPulse(func(c net.Conn) { c.Close() })
	a := &Acceptor{began: time.Now(), stop: make(chan struct{})}
	a.pulse(WithPulse(t.Context(), p), own)
	p.step(accepting) // but never does
	if asked, err := check(t, p, testkit.Patience); err != nil || asked {
		t.Errorf("asked %v, %v", asked, err)
	}
	if got := testkit.Receive(t, "the end of the connection", sent); got != "" {
		t.Errorf("another process got %q", got)
	}
	if _, err := check(t, p, soon); err == nil {
		t.Error("nobody accepts, and the check passes")
	}
}

// TestCheckUnreachable: where this process cannot connect, a backlog that is empty is a sign
// of life, and one that is not empty is none.
func TestCheckUnreachable(t *testing.T) {
	l := testkit.Listen(t, "unix")
	c := testkit.Dial(t, l.Addr())
	if err := os.Remove(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	p := NewPulse(nil)
	a := &Acceptor{began: time.Now(), stop: make(chan struct{})}
	a.pulse(WithPulse(t.Context(), p), l)
	p.step(accepting)
	if _, err := check(t, p, soon); err == nil || !strings.Contains(err.Error(), "no connection is accepted") {
		t.Errorf("one waits: got %v", err)
	}
	go func() {
		l.Accept()
		c.Close()
	}()
	testkit.Until(t, "an empty backlog", func() bool { return isEmpty(l, false) })
	if _, err := check(t, p, testkit.Patience); err != nil {
		t.Errorf("none waits: got %v", err)
	}
	p.step(working)
	if _, err := check(t, p, soon); err == nil {
		t.Error("a loop that works on one connection forever passes the check")
	}
}

// A wrapper hides the socket of its connections, as TLS does.
type wrapper struct{ net.Listener }

func (w wrapper) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// TestCheckWrapped: what the listener speaks is not known, but that it accepts is.
func TestCheckWrapped(t *testing.T) {
	p := pulsed(t, new(Acceptor), wrapper{testkit.Listen(t, "tcp")})
	if asked, err := check(t, p, testkit.Patience); err != nil || asked {
		t.Errorf("asked %v, %v", asked, err)
	}
}

// A sleeper is a connection whose Tick hangs.
type sleeper struct {
	*echo
	wake chan struct{}
}

func (s *sleeper) Start() {
	go func() {
		io.Copy(io.Discard, s.Conn)
		s.Close()
		s.a.Remove(s)
	}()
}

func (s *sleeper) Tick(time.Duration) bool {
	<-s.wake
	return false
}

// TestCheckTick: a tick that hangs is noticed, although connections are accepted.
func TestCheckTick(t *testing.T) {
	wake := make(chan struct{})
	a := new(Acceptor)
	a.NewConn = func(_ context.Context, _ net.Listener, c net.Conn) Conn {
		return &sleeper{&echo{Conn: c, a: a, ended: make(chan error, 1), drained: make(chan struct{})}, wake}
	}
	l := testkit.Listen(t, "tcp")
	p := pulsed(t, a, l)
	testkit.Dial(t, l.Addr())
	testkit.Until(t, "a late tick", func() bool {
		_, err := check(t, p, testkit.Patience)
		return err != nil && strings.Contains(err.Error(), "the time limits have not been looked at")
	})
	close(wake)
	testkit.Until(t, "a tick", func() bool { _, err := check(t, p, testkit.Patience); return err == nil })
}
