package fastcgi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
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

func TestReadDeadline(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(c *http.ResponseController) error
	}{
		{"in the past", func(c *http.ResponseController) error { return c.SetReadDeadline(time.Unix(1, 0)) }},
		{"soon", func(c *http.ResponseController) error { return c.SetReadDeadline(moment()) }},
		{"while a Read waits", func(c *http.ResponseController) error {
			// It waits, or will have to: either way the deadline holds for it.
			go c.SetReadDeadline(time.Unix(1, 0))
			return nil
		}},
	} {
		for _, siblings := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", siblings ", siblings), func(t *testing.T) {
				again := make(chan struct{})
				ts := serve(t, "unix", &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, rc *http.ResponseController) {
					if r.URL.Path == "/sibling" {
						io.WriteString(w, "sibling")
						return
					}
					if err := c.set(rc); err != nil {
						t.Error(err)
					}
					// 5 of the 10 bytes come, and are given or not.
					b, err := io.ReadAll(r.Body)
					isLate(t, "Read", err)
					if err := rc.SetReadDeadline(time.Time{}); err != nil {
						t.Error(err)
					}
					close(again)
					rest, err := io.ReadAll(r.Body)
					fmt.Fprintf(w, "%s%s %v", b, rest, err)
				})})
				cl := ts.dial()
				cl.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=10"), stdin(1, "01234"))
				if siblings {
					cl.send(get(2, 1, "SCRIPT_NAME=/sibling"))
					if a := cl.answer(2); bodyOf(t, a) != "sibling" {
						t.Errorf("sibling: got %q", a.stdout)
					}
				}
				testkit.Receive(t, "the deadline", again)
				cl.send(stdin(1, "56789"), endStdin(1))
				if a := cl.answer(1); bodyOf(t, a) != "0123456789 <nil>" {
					t.Errorf("got %q", a.stdout)
				}
				cl.send(get(1, 1, "SCRIPT_NAME=/sibling"))
				cl.answer(1) // the connection is as good as ever
			})
		}
	}
}

// A body that has been read to its end is not late.
func TestReadDeadlineAtTheEnd(t *testing.T) {
	ts := serve(t, "unix", &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
		if _, err := io.ReadFull(r.Body, make([]byte, 5)); err != nil {
			t.Error(err)
		}
		c.SetReadDeadline(time.Unix(1, 0))
		n, err := r.Body.Read(make([]byte, 1))
		fmt.Fprint(w, n, " ", err)
	})})
	c := ts.dial()
	c.send(post(1, 1, "hello"))
	if a := c.answer(1); bodyOf(t, a) != "0 EOF" {
		t.Errorf("got %q", a.stdout)
	}
}

// A deadline that the application sets takes the place of Limits.BodyRead.
func TestReadDeadlineInPlaceOfTheLimit(t *testing.T) {
	set := make(chan struct{})
	ts := serve(t, "unix", &Server{Limits: cgi.Limits{BodyRead: soon}, App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
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
	own, other := ts.dial(), ts.dial()
	own.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "SCRIPT_NAME=/own", "CONTENT_LENGTH=10"), stdin(1, "01234"))
	testkit.Receive(t, "the request", set)
	other.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "SCRIPT_NAME=/other", "CONTENT_LENGTH=10"), stdin(1, "01234"))
	if a := other.answer(1); !strings.HasPrefix(a.stdout, "Status: 408 ") {
		t.Errorf("got %q", a.stdout)
	}
	own.send(stdin(1, "56789"), endStdin(1))
	if a := own.answer(1); bodyOf(t, a) != "0123456789" {
		t.Errorf("got %q", a.stdout)
	}
}

// The zero time takes a deadline away, whether it has passed or not.
func TestDeadlinesCleared(t *testing.T) {
	ts := serve(t, "unix", &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
		for _, at := range []time.Time{moment(), time.Unix(1, 0), time.Now().Add(testkit.Patience)} {
			c.SetReadDeadline(at)
			c.SetWriteDeadline(at)
		}
		c.SetReadDeadline(time.Time{})
		c.SetWriteDeadline(time.Time{})
		io.Copy(w, r.Body)
	})})
	c := ts.dial()
	for end := moment().Add(20 * time.Millisecond); time.Now().Before(end); {
		c.send(post(1, 1, "hello"))
		if a := c.answer(1); bodyOf(t, a) != "hello" {
			t.Fatalf("got %q", a.stdout)
		}
	}
}

// TestDeadlineTimers: the timers of a request are stopped at its end, and one that
// fires then does nothing.
func TestDeadlineTimers(t *testing.T) {
	c := &conn{srv: &Server{Log: slog.New(slog.DiscardHandler)}}
	c.cond.L = &c.mu
	r := &request{turn: turn{c: c}}
	r.sink.r = r
	far := time.Now().Add(time.Hour)
	r.sink.SetReadDeadline(far)
	r.sink.SetWriteDeadline(far)
	d := r.sink.deadlines.Load()
	c.dead = ErrConnClosed
	r.sink.Finish(cgi.Outcome{})
	if d.read.Stop() || d.write.Stop() {
		t.Error("a timer still runs")
	}
	r.sink.SetReadDeadline(time.Unix(1, 0)) // of an application that goes on
	r.sink.SetWriteDeadline(time.Unix(1, 0))
}

// TestController: what http.ResponseController does besides.
func TestController(t *testing.T) {
	ts := serve(t, "unix", &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
		if err := c.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		if _, _, err := c.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack returned %v", err)
		}
		w.Header().Set("Link", "</style.css>; rel=preload")
		for _, code := range []int{100, 102, 103, 199} {
			w.WriteHeader(code)
		}
		w.Header().Del("Link")
		if r.URL.Path == "/explicit" {
			w.WriteHeader(http.StatusAccepted)
		}
		// The body has not come, and the head leaves.
		if err := c.Flush(); err != nil {
			t.Error(err)
		}
		io.Copy(w, r.Body)
	})})
	for path, want := range map[string]string{"/": "Status: 200 OK\r\n\r\n", "/explicit": "Status: 202 Accepted\r\n\r\n"} {
		c := ts.dial()
		c.send(begin(1, 0), params(1, "REQUEST_METHOD=POST", "SCRIPT_NAME="+path, "CONTENT_LENGTH=5"))
		typ, _, content, err := c.next()
		if err != nil || typ != record.Stdout || string(content) != want {
			t.Fatalf("%s: got %v %q, %v", path, typ, content, err)
		}
		c.send(stdin(1, "hello"), endStdin(1))
		if a := c.answer(1); a.stdout != "hello" {
			t.Errorf("%s: got %q", path, a.stdout)
		}
	}
}
