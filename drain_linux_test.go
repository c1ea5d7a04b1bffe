package gatehouse_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/internal/testkit"
	"gatehouse/systemd"
)

// drained serves a protocol, on a unix socket and a port, and says hello.
type drained struct {
	listeners []net.Listener
	stop      context.CancelFunc
	served    chan error
}

func serveDrained(t *testing.T, protocol gatehouse.Protocol) *drained {
	t.Helper()
	d := &drained{served: make(chan error, 1)}
	s := &gatehouse.Server{Log: slog.New(slog.DiscardHandler), Drain: -1, App: cgi.AppFunc(func(w cgi.ResponseWriter, _ *cgi.Request) error {
		if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
			return err
		}
		_, err := io.WriteString(w, "hello")
		return err
	})}
	for network, address := range map[string]string{"unix": filepath.Join(t.TempDir(), "s"), "tcp": "127.0.0.1:0"} {
		l, err := gatehouse.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		d.listeners = append(d.listeners, l)
		s.Endpoints = append(s.Endpoints, gatehouse.Endpoint{Protocol: protocol, Listener: l})
	}
	var ctx context.Context
	ctx, d.stop = context.WithCancel(context.Background())
	t.Cleanup(d.stop)
	go func() { d.served <- s.Serve(ctx) }()
	return d
}

// drain begins a drain. It returns when new connections are refused.
func (d *drained) drain(t *testing.T) {
	t.Helper()
	d.stop()
	for _, l := range d.listeners {
		if l.Addr().Network() == "unix" {
			testkit.Until(t, "connections are refused", func() bool {
				c, err := net.Dial("unix", l.Addr().String())
				if err == nil {
					c.Close()
				}
				return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT)
			})
		}
	}
}

// TestDrainServesWhatHasBegun has requests of which a part has been sent when the drain
// begins. The rest has time, also beyond that for connections that have sent nothing; these
// are closed.
func TestDrainServesWhatHasBegun(t *testing.T) {
	for protocol, request := range streamRequests {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			d := serveDrained(t, protocol)
			type begun struct {
				net.Conn
				sent int
			}
			var silent []net.Conn
			var conns []begun
			for _, l := range d.listeners {
				silent = append(silent, testkit.Dial(t, l.Addr()))
				for _, sent := range []int{1, 9, len(request) / 2, len(request) - 1, len(request)} {
					c := testkit.Dial(t, l.Addr())
					if _, err := io.WriteString(c, request[:sent]); err != nil {
						t.Fatal(err)
					}
					conns = append(conns, begun{c, sent})
				}
			}
			d.drain(t)
			for _, c := range silent {
				if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
					t.Errorf("a connection without a request: %q, %v", b, err)
				}
			}
			for _, c := range conns {
				if rest := request[c.sent:]; rest != "" {
					if _, err := io.WriteString(c, rest); err != nil {
						t.Errorf("after %d bytes: %v", c.sent, err)
					}
				}
				if b, err := io.ReadAll(c); !strings.Contains(string(b), "hello") || err != nil {
					t.Errorf("after %d bytes: %q, %v", c.sent, b, err)
				}
			}
			if err := testkit.Receive(t, "the end of Serve", d.served); err != nil {
				t.Errorf("Serve returned %v", err)
			}
		})
	}
}

// TestDrainWaitsForTheFirstByte has connections that have sent nothing when the drain
// begins, and do so soon.
func TestDrainWaitsForTheFirstByte(t *testing.T) {
	for protocol, request := range streamRequests {
		t.Run(string(protocol), func(t *testing.T) {
			for slow := true; slow; { // the machine, so that the time was over
				d := serveDrained(t, protocol)
				var conns []net.Conn
				for _, l := range d.listeners {
					conns = append(conns, testkit.Dial(t, l.Addr()))
				}
				begun := time.Now()
				d.drain(t)
				var failed error
				for _, c := range conns {
					_, err := io.WriteString(c, request)
					failed = errors.Join(failed, err)
				}
				slow = time.Since(begun) > time.Second/2
				for _, c := range conns {
					if b, err := io.ReadAll(c); !strings.Contains(string(b), "hello") || err != nil {
						failed = errors.Join(failed, err, errors.New("no response"))
					}
				}
				if failed != nil && !slow {
					t.Error(failed)
				}
				testkit.Receive(t, "the end of Serve", d.served)
			}
		})
	}
}

// TestDrainLeavesPassedSockets: who passed a socket goes on to have it.
func TestDrainLeavesPassedSockets(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		owner := testkit.Listen(t, network)
		fd, err := unix.FcntlInt(testkit.File(t, owner).Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		passed, err := systemd.Inspect(fd)
		if err != nil {
			t.Fatal(err)
		}
		e, err := gatehouse.Inherit(systemd.Descriptor{FD: fd, Name: "http", Socket: passed})
		if err != nil {
			t.Fatal(err)
		}
		s := &gatehouse.Server{App: newHeld(), Endpoints: []gatehouse.Endpoint{e}, Log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(context.Background())
		stop()
		if err := s.Serve(ctx); err != nil {
			t.Errorf("Serve returned %v", err)
		}
		if u, ok := owner.(*net.UnixListener); ok {
			u.SetDeadline(time.Now().Add(testkit.Patience))
		}
		c, err := net.DialTimeout(network, owner.Addr().String(), testkit.Patience)
		if err != nil {
			t.Fatalf("%s: %v", network, err)
		}
		defer c.Close()
		accepted, err := owner.Accept()
		if err != nil {
			t.Fatalf("%s: %v", network, err)
		}
		accepted.Close()
	}
}
