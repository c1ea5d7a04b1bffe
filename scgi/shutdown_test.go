package scgi

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

func TestShutdownWaits(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		running, goOn := make(chan struct{}), make(chan struct{})
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			close(running)
			<-goOn
			if err := r.Context().Err(); err != nil {
				t.Errorf("the context was cancelled: %v", err)
			}
			return text(w, "hello")
		})})
		c := s.dial(t).send(request(""))
		testkit.Receive(t, "starting the application", running)
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(context.Background()) }()
		if err := testkit.Receive(t, "Serve", s.done); err != ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
		s.done <- ErrServerClosed
		select {
		case err := <-down:
			t.Fatalf("Shutdown returned %v during a request", err)
		default:
		}
		close(goOn)
		wantBody(t, c.answer(), "hello")
		if err := testkit.Receive(t, "Shutdown", down); err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		if err := s.Serve(nopListener{}); err != ErrServerClosed {
			t.Errorf("a later Serve returned %v", err)
		}
	})
}

// TestShutdownEndsIdleConnections: a connection without a byte is not waited for.
func TestShutdownEndsIdleConnections(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		s := serve(t, network, &Server{App: hello})
		idle := s.dial(t)
		s.do(t, request("")) // now idle has been accepted, too
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		if got := idle.answer(); got != "" {
			t.Errorf("an idle connection got %q", got)
		}
		if log := s.log.String(); log != "" {
			t.Errorf("it was logged: %s", log)
		}
	})
}

// TestShutdownAborts: when the testkit.Patience is over, contexts are cancelled and
// answers visibly truncated.
func TestShutdownAborts(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		tests := map[string]func(w cgi.ResponseWriter, r *cgi.Request) error{
			"waiting for the context": func(w cgi.ResponseWriter, r *cgi.Request) error {
				<-r.Context().Done()
				return context.Cause(r.Context())
			},
			"reading": func(w cgi.ResponseWriter, r *cgi.Request) error {
				_, err := io.ReadAll(r.Body)
				return err
			},
			"writing": func(w cgi.ResponseWriter, r *cgi.Request) error {
				for {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						return err
					}
				}
			},
		}
		for name, app := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				running, causes := make(chan struct{}), make(chan error, 1)
				s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
					cgi.EnableFullDuplex(w)
					if err := text(w, "part"); err != nil {
						return err
					}
					w.Flush()
					close(running)
					err := app(w, r)
					causes <- err
					return err
				}), Limits: cgi.Limits{Linger: short}})
				c := s.dial(t).send(head("CONTENT_LENGTH=9", "SCGI=1"), []byte("1234"))
				testkit.Receive(t, "starting the application", running)
				ctx, cancel := context.WithCancel(context.Background())
				down := make(chan error, 1)
				go func() { down <- s.Shutdown(ctx) }()
				cancel()
				if err := testkit.Receive(t, "the application", causes); !errors.Is(err, cgi.ErrShutdown) {
					t.Errorf("the cause is %v, want ErrShutdown", err)
				}
				if err := testkit.Receive(t, "Shutdown", down); err != context.Canceled {
					t.Errorf("Shutdown returned %v", err)
				}
				b, err := io.ReadAll(c)
				// What was read of an incomplete body leaves nothing on a unix socket that a
				// close could show.
				if !errors.Is(err, syscall.ECONNRESET) && !(network == "unix" && name == "reading") {
					t.Errorf("after %d bytes: %v, want ECONNRESET", len(b), err)
				}
			})
		}
	})
}

func TestCloseAbortsAndReleasesAll(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		running := make(chan struct{})
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			close(running)
			<-r.Context().Done()
			return context.Cause(r.Context())
		})})
		half := s.dial(t).send(request("", "A=1")[:20])
		c := s.dial(t).send(request(""))
		testkit.Receive(t, "starting the application", running)
		if err := s.Close(); err != nil {
			t.Errorf("Close returned %v", err)
		}
		if b, _ := io.ReadAll(c); !strings.HasPrefix(string(b), "Status: 5") {
			t.Errorf("a request that had no answer yet got %q", b)
		}
		if b, _ := io.ReadAll(half); len(b) > 0 {
			t.Errorf("half a request got %q", b)
		}
	})
}

func TestServeWithoutApp(t *testing.T) {
	if err := new(Server).Serve(nopListener{}); err == nil || !strings.Contains(err.Error(), "App") {
		t.Errorf("Serve returned %v", err)
	}
}

// A nopListener never has a connection.
type nopListener struct{}

func (nopListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (nopListener) Close() error              { return nil }
func (nopListener) Addr() net.Addr            { return &net.UnixAddr{Name: "none", Net: "unix"} }
