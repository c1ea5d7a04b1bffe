package frontend

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/testkit"

	"golang.org/x/sys/unix"
)

// listenOwn opens a Listener.
func listenOwn(t *testing.T, network string) *Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// queue connects, and sends a byte.
func queue(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c := testkit.Dial(t, l.Addr())
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	return c
}

func eachOwn(t *testing.T, test func(t *testing.T, l *Listener)) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			test(t, listenOwn(t, network))
		})
	}
}

// TestRefuse: what is queued is accepted, though the time for it has passed, and nothing
// else is.
func TestRefuse(t *testing.T) {
	eachOwn(t, func(t *testing.T, l *Listener) {
		const queued = 3
		for range queued {
			queue(t, l)
		}
		if !l.Refuse() {
			t.Fatal("it goes on to accept")
		}
		dialed := make(chan error, 1)
		go func() {
			c, err := net.Dial(l.Addr().Network(), l.Addr().String())
			if err == nil {
				c.Close()
			}
			dialed <- err
		}()
		l.Listener.(interface{ SetDeadline(time.Time) error }).SetDeadline(past)
		for range queued {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Error(err)
			}
			c.Close()
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept returned %v", err)
		}
		l.Close()
		if err := testkit.Receive(t, "the end of the attempt to connect", dialed); !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("connecting returned %v", err)
		}
	})
}

// TestRefuseEndsAccept: who waits for a connection need not wait any more.
func TestRefuseEndsAccept(t *testing.T) {
	eachOwn(t, func(t *testing.T, l *Listener) {
		accepted := make(chan error)
		for range 2 { // one of them may come after Refuse
			go func() {
				_, err := l.Accept()
				accepted <- err
			}()
		}
		l.Refuse()
		for range 2 {
			if err := testkit.Receive(t, "the end of Accept", accepted); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept returned %v", err)
			}
		}
	})
}

// TestShare: who shares a socket gets what is queued on it, and goes on to accept.
func TestShare(t *testing.T) {
	eachOwn(t, func(t *testing.T, l *Listener) {
		f := testkit.File(t, l.Listener)
		l.Share()
		queue(t, l)
		if l.Refuse() {
			t.Error("a shared socket refuses connections")
		}
		l.Close()
		other, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		queue(t, l)
		for range 2 {
			c, err := other.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	})
}

// TestUnshare: a socket that no other process has any more refuses connections.
func TestUnshare(t *testing.T) {
	eachOwn(t, func(t *testing.T, l *Listener) {
		l.Share()
		l.Unshare()
		if l.Shared() || !l.Refuse() {
			t.Error("it does not refuse connections")
		}
	})
}

// TestShutdownServesTheBacklog has room for one connection: those that wait are served
// after it, or cut off with it.
func TestShutdownServesTheBacklog(t *testing.T) {
	eachOwn(t, func(t *testing.T, l *Listener) {
		g := open(t, &Acceptor{Connections: 1}, func(net.Listener) net.Listener { return l })
		conns := []net.Conn{queue(t, l)}
		talk(t, conns[0])
		for range 3 {
			conns = append(conns, queue(t, l))
		}
		ctx, cut := context.WithCancel(context.Background())
		defer cut()
		down := make(chan error, 1)
		go func() { down <- g.Shutdown(ctx, nil) }()
		for i, c := range conns[:3] {
			e := testkit.Receive(t, "a connection", g.conns)
			testkit.Receive(t, "its drain", e.drained)
			if i == 2 {
				cut()
				break
			}
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
			c.Close()
		}
		if err := testkit.Receive(t, "the end of Shutdown", down); err != context.Canceled {
			t.Errorf("Shutdown returned %v", err)
		}
		if err := testkit.Receive(t, "the end of Serve", g.served); err != ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// TestRefuseHalfOpen has a client that is connected while its connection is half open here:
// by TCP_DEFER_ACCEPT, until data comes. It is accepted, though the time for others has
// passed.
func TestRefuseHalfOpen(t *testing.T) {
	l := listenOwn(t, "tcp")
	if err := l.control(func(fd uintptr) error {
		return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 30)
	}); err != nil {
		t.Fatal(err)
	}
	if halfOpen(l.Addr()) {
		t.Error("half open without a client")
	}
	c := testkit.Dial(t, l.Addr())
	if !l.Refuse() {
		t.Fatal("it goes on to accept")
	}
	later := time.Now().Add(testkit.Patience)
	l.refused.Store(&later)
	l.Listener.(*net.TCPListener).SetDeadline(past)
	accepted := make(chan error)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	select {
	case err := <-accepted:
		t.Fatalf("Accept did not wait: %v", err)
	case <-time.After(handshake):
	}
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, "a connection", accepted); err != nil {
		t.Errorf("Accept returned %v", err)
	}
}
