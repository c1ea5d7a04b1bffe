package scgi

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestVanishedPeerCancels: the context of a request ends when its peer leaves,
// whatever the application is doing.
func TestVanishedPeerCancels(t *testing.T) {
	wait := func(r *cgi.Request) error {
		<-r.Context().Done()
		return context.Cause(r.Context())
	}
	tests := []struct {
		name string
		in   []byte
		app  func(w cgi.ResponseWriter, r *cgi.Request) error
	}{
		{"without a body", request(""), func(w cgi.ResponseWriter, r *cgi.Request) error { return wait(r) }},
		{"body unread", request("hello"), func(w cgi.ResponseWriter, r *cgi.Request) error { return wait(r) }},
		{"body read", request("hello"), func(w cgi.ResponseWriter, r *cgi.Request) error {
			r.Context()
			if b, err := io.ReadAll(r.Body); string(b) != "hello" || err != nil {
				t.Errorf("body %q, error %v", b, err)
			}
			return wait(r)
		}},
		{"body closed", request("hello"), func(w cgi.ResponseWriter, r *cgi.Request) error {
			r.CloseBody()
			return wait(r)
		}},
		{"body not complete", head("CONTENT_LENGTH=9", "SCGI=1"), func(w cgi.ResponseWriter, r *cgi.Request) error { return wait(r) }},
		{"in a Read", head("CONTENT_LENGTH=9", "SCGI=1"), func(w cgi.ResponseWriter, r *cgi.Request) error {
			ctx := r.Context()
			if _, err := io.ReadAll(r.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("Read returned %v", err)
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}},
		{"in a Write", request(""), func(w cgi.ResponseWriter, r *cgi.Request) error {
			ctx := r.Context()
			for w.StartResponse("200 OK", nil); ; {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					<-ctx.Done()
					return err
				}
			}
		}},
	}
	each(t, func(t *testing.T, network string) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				running, done := make(chan struct{}), make(chan error, 1)
				s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
					close(running)
					err := tt.app(w, r)
					done <- err
					return err
				})})
				c := s.dial(t).send(tt.in)
				testkit.Receive(t, "starting the application", running)
				c.Close()
				if err := testkit.Receive(t, "cancelling", done); !errors.Is(err, cgi.ErrAborted) {
					t.Errorf("the cause is %v, want ErrAborted", err)
				}
				s.Shutdown(t.Context())
				oneLine(t, &s.log, "client gone")
			})
		}
	})
}

// TestHalfClose: on a unix socket, and on TCP if it is said so, a peer may shut
// down its writing side and wait.
func TestHalfClose(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		ticked := make(chan struct{})
		s := serve(t, network, &Server{HalfClose: true, App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			ctx := r.Context()
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-ticked:
			}
			return text(w, "hello")
		})})
		c := s.dial(t).send(request("")).closeWrite()
		// By then the watcher of this request has been started.
		waitTicks(t, s, 5)
		close(ticked)
		wantBody(t, c.answer(), "hello")
	})
}

// waitTicks waits for n ticks.
func waitTicks(t *testing.T, s *testServer, n int) {
	t.Helper()
	for range n {
		began := s.acceptor.Now()
		testkit.Until(t, "a tick", func() bool { return s.acceptor.Now() != began })
	}
}

// TestReadBesideTheWatcher: a body can be read after the watcher has taken the
// reading side, in any number of pieces.
func TestReadBesideTheWatcher(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		got := make(chan string)
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			ctx := r.Context()
			b := make([]byte, 1)
			for {
				n, err := r.Body.Read(b)
				if err == io.EOF {
					break
				}
				if err != nil {
					return err
				}
				got <- string(b[:n])
			}
			if err := context.Cause(ctx); err != nil {
				t.Errorf("the context was cancelled: %v", err)
			}
			return text(w, "hello")
		})})
		c := s.dial(t).send(head("CONTENT_LENGTH=4", "SCGI=1"))
		for _, b := range []string{"a", "b", "c", "d"} {
			c.send([]byte(b))
			if g := testkit.Receive(t, "a byte of the body", got); g != b {
				t.Errorf("got %q, want %q", g, b)
			}
			waitTicks(t, s, 3)
		}
		wantBody(t, c.answer(), "hello")
	})
}

// TestReadAndWaitAlternate: an application that computes between its reads, so
// that the watcher comes and goes.
func TestReadAndWaitAlternate(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		steps := make(chan struct{})
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			r.Context()
			var body []byte
			for len(body) < 4 {
				<-steps
				b := make([]byte, 1)
				n, err := r.Body.Read(b)
				body = append(body, b[:n]...)
				if err != nil {
					return err
				}
			}
			return text(w, string(body))
		})})
		c := s.dial(t).send(head("CONTENT_LENGTH=4", "SCGI=1"))
		for _, b := range []string{"a", "b", "c", "d"} {
			waitTicks(t, s, 4)
			steps <- struct{}{}
			c.send([]byte(b))
		}
		wantBody(t, c.answer(), "abcd")
	})
}

func TestCloseInterruptsRead(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		reading, read := make(chan struct{}), make(chan error, 1)
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			go func() {
				b := make([]byte, 9)
				n, err := r.Body.Read(b)
				if n == 2 && err == nil {
					close(reading)
					_, err = r.Body.Read(b)
				}
				read <- err
			}()
			<-reading
			r.CloseBody()
			if err := <-read; !errors.Is(err, cgi.ErrBodyClosed) {
				t.Errorf("Read returned %v", err)
			}
			if _, err := r.Body.Read(make([]byte, 1)); !errors.Is(err, cgi.ErrBodyClosed) {
				t.Errorf("Read after Close returned %v", err)
			}
			return text(w, "hello")
		})})
		c := s.dial(t).send(append(head("CONTENT_LENGTH=5", "SCGI=1"), "he"...))
		wantBody(t, c.answer(), "hello")
		c.Close()
	})
}

func TestBodyAfterTheRequest(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		bodies := make(chan io.Reader, 1)
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			bodies <- r.Body
			return text(w, "hello")
		})})
		s.do(t, request("secret"))
		s.Shutdown(t.Context())
		body := <-bodies
		if n, err := body.Read(make([]byte, 6)); n != 0 || !errors.Is(err, cgi.ErrBodyClosed) {
			t.Errorf("Read returned %d, %v", n, err)
		}
		if err := body.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestReadLeftBehind: a goroutine of the application that still reads when the
// request ends is sent away.
func TestReadLeftBehind(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		read := make(chan error, 1)
		s := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			body, started := r.Body, make(chan struct{})
			go func() {
				close(started)
				_, err := io.ReadAll(body)
				read <- err
			}()
			<-started
			return text(w, "hello")
		}), Limits: cgi.Limits{Linger: short}})
		c := s.dial(t).send(head("CONTENT_LENGTH=5", "SCGI=1"))
		wantBody(t, c.answer(), "hello")
		if err := testkit.Receive(t, "the Read", read); err == nil {
			t.Error("Read returned no error")
		}
	})
}

func TestBaseContext(t *testing.T) {
	type key struct{}
	contexts := make(chan context.Context, 1)
	s := serve(t, "unix", &Server{
		BaseContext: func(l net.Listener) context.Context {
			return context.WithValue(context.Background(), key{}, l.Addr().Network())
		},
		App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			contexts <- r.Context()
			return text(w, "hello")
		}),
	})
	s.do(t, request(""))
	s.Shutdown(t.Context())
	ctx := <-contexts
	if v := ctx.Value(key{}); v != "unix" {
		t.Errorf("value %v", v)
	}
	if ctx.Err() == nil {
		t.Error("the context lives on after its request")
	}
}

// TestIdleEndsADribblingHead: each byte of a head does not start its time anew.
func TestIdleEndsADribblingHead(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		for _, head := range []string{"10000:", "100000000:"} { // within the buffer, and beyond
			s := serve(t, network, &Server{App: hello, Limits: cgi.Limits{Idle: short, ParamsBytes: -1}})
			c := s.dial(t).send([]byte(head))
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				io.Copy(io.Discard, c)
			}()
			for range 9999 {
				select {
				case <-ended:
				case <-time.After(time.Millisecond):
					if _, err := c.Write([]byte("A")); err == nil {
						continue
					}
				}
				break
			}
			testkit.Receive(t, "the end of the connection", ended)
		}
	})
}
