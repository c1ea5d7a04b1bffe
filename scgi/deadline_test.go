package scgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
	"gatehouse/internal/testkit"
)

// httpHandler is a http.Handler as an application.
func httpHandler(f func(w http.ResponseWriter, r *http.Request, c *http.ResponseController)) cgi.App {
	return cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f(w, r, http.NewResponseController(w))
	}))
}

// A moment is soon enough for a test, and long enough to be waited for.
func moment() time.Time { return time.Now().Add(20 * time.Millisecond) }

// isLate checks an error of a deadline.
func isLate(t *testing.T, what string, err error) {
	t.Helper()
	var ne net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("%s returned %v, want a deadline exceeded", what, err)
	}
	if errors.Is(err, cgi.ErrAborted) {
		t.Errorf("%s returned %v, which is cgi.ErrAborted", what, err)
	}
}

// A read deadline ends reading until the zero time takes it away.
func TestReadDeadline(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		for name, set := range map[string]func(c *http.ResponseController) error{
			"in the past": func(c *http.ResponseController) error { return c.SetReadDeadline(time.Unix(1, 0)) },
			"soon":        func(c *http.ResponseController) error { return c.SetReadDeadline(moment()) },
			"while a Read waits": func(c *http.ResponseController) error {
				// It waits, or will have to: either way the deadline holds for it.
				go c.SetReadDeadline(time.Unix(1, 0))
				return nil
			},
		} {
			t.Run(name, func(t *testing.T) {
				again := make(chan struct{})
				ts := serve(t, network, &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
					r.Context().Done()
					if err := set(c); err != nil {
						t.Error(err)
					}
					b, err := io.ReadAll(r.Body) // of which half comes, and is given or not
					isLate(t, "Read", err)
					if err := c.SetReadDeadline(time.Time{}); err != nil {
						t.Error(err)
					}
					close(again)
					rest, err := io.ReadAll(r.Body)
					fmt.Fprintf(w, "%s%s %v", b, rest, err)
				})})
				c := ts.dial(t).send(head("CONTENT_LENGTH=10", "SCGI=1", "REQUEST_METHOD=POST"), []byte("01234"))
				testkit.Receive(t, "the deadline", again)
				wantBody(t, c.send([]byte("56789")).answer(), "0123456789 <nil>")
			})
		}
	})
}

// A read deadline holds for a Read that takes the socket from the watcher, who waits for
// the peer to leave.
func TestReadDeadlineBesideTheWatcher(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		conns, again := make(chan *conn, 1), make(chan struct{})
		s := &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, rc *http.ResponseController) {
			r.Context().Done()
			c := <-conns
			testkit.Until(t, "the watcher", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.watching
			})
			rc.SetReadDeadline(moment())
			b, err := io.ReadAll(r.Body)
			isLate(t, "Read", err)
			rc.SetReadDeadline(time.Time{})
			close(again)
			rest, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s%s %v", b, rest, err)
		})}
		s.once.Do(s.init)
		next := s.acceptor.NewConn
		s.acceptor.NewConn = func(ctx context.Context, l net.Listener, nc net.Conn) frontend.Conn {
			c := next(ctx, l, nc)
			conns <- c.(*conn)
			return c
		}
		c := serve(t, network, s).dial(t).send(head("CONTENT_LENGTH=10", "SCGI=1", "REQUEST_METHOD=POST"))
		testkit.Receive(t, "the deadline", again)
		wantBody(t, c.send([]byte("0123456789")).answer(), "0123456789 <nil>")
	})
}

// A body that has been read to its end is not late.
func TestReadDeadlineAtTheEnd(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		ts := serve(t, network, &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
			if _, err := io.ReadFull(r.Body, make([]byte, 5)); err != nil {
				t.Error(err)
			}
			c.SetReadDeadline(time.Unix(1, 0))
			n, err := r.Body.Read(make([]byte, 1))
			fmt.Fprint(w, n, " ", err)
		})})
		wantBody(t, ts.do(t, request("hello", "REQUEST_METHOD=POST")), "0 EOF")
	})
}

// A deadline that the application sets takes the place of Limits.BodyRead.
func TestReadDeadlineInPlaceOfTheLimit(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		set := make(chan struct{})
		ts := serve(t, network, &Server{Limits: cgi.Limits{BodyRead: 50 * time.Millisecond}, App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
			if r.URL.Path == "/own" {
				c.SetReadDeadline(time.Now().Add(testkit.Patience))
				close(set)
			}
			b, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusRequestTimeout)
				return
			}
			w.Write(b)
		})})
		half := func(path string) *client {
			return ts.dial(t).send(head("CONTENT_LENGTH=10", "SCGI=1", "REQUEST_METHOD=POST", "SCRIPT_NAME="+path), []byte("01234"))
		}
		own := half("/own")
		testkit.Receive(t, "the request", set)
		if network == "tcp" {
			wantStatus(t, half("/other").closeWrite().readAll(), "408 Request Timeout")
		} else {
			wantStatus(t, half("/other").readAll(), "408 Request Timeout")
		}
		wantBody(t, own.send([]byte("56789")).answer(), "0123456789")
	})
}

// readAll reads to the end, however that comes.
func (c *client) readAll() string {
	c.SetReadDeadline(time.Now().Add(testkit.Patience))
	b, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("no end of the answer after %q", b)
	}
	return string(b)
}

// The zero time takes a deadline away, whether it has passed or not.
func TestDeadlinesCleared(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		ts := serve(t, network, &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
			for _, at := range []time.Time{moment(), time.Unix(1, 0), time.Now().Add(testkit.Patience)} {
				c.SetReadDeadline(at)
				c.SetWriteDeadline(at)
			}
			c.SetReadDeadline(time.Time{})
			c.SetWriteDeadline(time.Time{})
			io.Copy(w, r.Body)
		})})
		for end := moment().Add(20 * time.Millisecond); time.Now().Before(end); {
			wantBody(t, ts.do(t, request("hello", "REQUEST_METHOD=POST")), "hello")
		}
	})
}

// After its deadline nothing of a response is sent, and the end of what was is visible.
func TestWriteDeadlinePassed(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		for _, how := range []string{"flush", "flush twice", "return"} {
			t.Run(how, func(t *testing.T) {
				ts := serve(t, network, &Server{Limits: cgi.Limits{Linger: 50 * time.Millisecond}, App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
					if how == "flush twice" {
						io.WriteString(w, "part")
						if err := c.Flush(); err != nil {
							t.Error(err)
						}
					}
					if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
						t.Error(err)
					}
					io.WriteString(w, "late")
					if how == "return" {
						return
					}
					isLate(t, "Flush", c.Flush())
					c.SetWriteDeadline(time.Time{}) // which the gap does not heal
					if _, err := w.Write(make([]byte, 1<<20)); err == nil {
						t.Error("a Write after that succeeds")
					}
					if err := r.Context().Err(); err != nil {
						t.Errorf("the context is %v", err)
					}
				})})
				c := ts.dial(t).send(request("x", "REQUEST_METHOD=POST"))
				c.SetReadDeadline(time.Now().Add(testkit.Patience))
				b, err := io.ReadAll(c)
				if got := string(b); strings.Contains(got, "late") || strings.Contains(got, "part") != (how == "flush twice") {
					t.Errorf("got %q", got)
				}
				if how == "flush twice" && err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%q ended in %v, which must show that it is not whole", b, err)
				}
			})
		}
	})
}

// A deadline ends a write that waits for the peer, whenever it is set.
func TestWriteDeadlineCuts(t *testing.T) {
	each(t, func(t *testing.T, network string) {
		for _, during := range []bool{false, true} {
			t.Run(fmt.Sprint("set during the write ", during), func(t *testing.T) {
				failed := make(chan error, 1)
				ts := serve(t, network, &Server{Limits: cgi.Limits{Linger: 50 * time.Millisecond}, App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
					if during {
						time.AfterFunc(20*time.Millisecond, func() { c.SetWriteDeadline(time.Now()) })
					} else {
						c.SetWriteDeadline(moment())
					}
					_, err := w.Write(make([]byte, 64<<20))
					failed <- err
				})})
				c := ts.dial(t).send(request("", "REQUEST_METHOD=GET")) // and takes nothing
				isLate(t, "Write", testkit.Receive(t, "the failure", failed))
				c.readAll()
			})
		}
	})
}

// The timers of a request are stopped at its end, and a deadline that is set then does
// nothing.
func TestDeadlineTimers(t *testing.T) {
	far := time.Now().Add(time.Hour)
	s := new(Server)
	s.init()
	c := newConn(s, t.Context(), nil)
	c.sink.SetReadDeadline(far)
	c.sink.SetWriteDeadline(far)
	d := c.deadlines.Load()
	c.mu.Lock()
	c.closing = true
	c.dropDeadlines()
	if d.read.Stop() || d.write.Stop() {
		t.Error("a timer still runs")
	}
	c.mu.Unlock()
	c.sink.SetReadDeadline(time.Unix(1, 0))
	c.sink.SetWriteDeadline(time.Unix(1, 0))
	if c.deadlines.Load() != nil || c.readExpired() || c.sink.expired() {
		t.Error("a deadline was set after the end")
	}
}
