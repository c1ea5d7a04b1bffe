package fastcgi

import (
	"bytes"
	"context"
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
				wait(t, "the deadline", again)
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
			c.SetReadDeadline(time.Now().Add(patience))
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
	wait(t, "the request", set)
	other.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "SCRIPT_NAME=/other", "CONTENT_LENGTH=10"), stdin(1, "01234"))
	if a := other.answer(1); !strings.HasPrefix(a.stdout, "Status: 408 ") {
		t.Errorf("got %q", a.stdout)
	}
	own.send(stdin(1, "56789"), endStdin(1))
	if a := own.answer(1); bodyOf(t, a) != "0123456789" {
		t.Errorf("got %q", a.stdout)
	}
}

// A write deadline that has passed before anything went out harms its own request
// alone.
func TestWriteDeadlinePassed(t *testing.T) {
	for _, how := range []string{"flush", "flush twice", "return"} {
		for _, siblings := range []bool{false, true} {
			t.Run(fmt.Sprint(how, ", siblings ", siblings), func(t *testing.T) {
				flushed := how == "flush twice"
				started, gate := make(chan struct{}), make(chan struct{})
				ts := serve(t, "unix", &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
					if r.URL.Path == "/sibling" {
						close(started)
						<-gate
						io.WriteString(w, "sibling")
						return
					}
					if flushed {
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
					if _, err := w.Write(make([]byte, 1<<20)); err == nil {
						t.Error("a Write after that succeeds")
					}
				})})
				c := ts.dial()
				if siblings {
					c.send(get(2, 1, "SCRIPT_NAME=/sibling"))
					wait(t, "the sibling", started)
				}
				c.send(get(1, 1))
				answers := make(map[uint16]*answer)
				err := c.collect(answers, 1)
				if siblings != (err == nil) || !siblings && !errors.Is(err, record.ErrVersion) {
					t.Fatalf("it ended in %v", err)
				}
				a := answers[1]
				if siblings && (!a.ended || a.end.AppStatus == 0) {
					t.Errorf("got %+v", a)
				}
				if got := a != nil && a.stdout != ""; got != flushed || strings.Contains(fmt.Sprint(a), "late") {
					t.Errorf("got %+v", a)
				}
				close(gate)
				if siblings {
					if a := c.answer(2); bodyOf(t, a) != "sibling" || a.end.AppStatus != 0 {
						t.Errorf("sibling: got %+v", a)
					}
				}
			})
		}
	}
}

// A write that the deadline cuts ends the connection, which is in the middle of a
// record, for all.
func TestWriteDeadlineCuts(t *testing.T) {
	for _, set := range []bool{false, true} {
		t.Run(fmt.Sprint("set before ", set), func(t *testing.T) {
			started, cut := make(chan struct{}), make(chan struct{})
			failed, cause := make(chan error, 1), make(chan error, 1)
			c, s := servePipe(t, httpHandler(func(w http.ResponseWriter, r *http.Request, rc *http.ResponseController) {
				if r.URL.Path == "/sibling" {
					close(started)
					<-r.Context().Done()
					cause <- context.Cause(r.Context())
					return
				}
				if set {
					rc.SetWriteDeadline(time.Now().Add(patience))
				}
				go func() {
					<-cut
					rc.SetWriteDeadline(moment())
				}()
				_, err := w.Write(make([]byte, 1<<20))
				failed <- err
			}))
			c.send(get(1, 1, "SCRIPT_NAME=/sibling"))
			wait(t, "the sibling", started)
			c.send(get(2, 1))
			io.ReadFull(c.Conn, make([]byte, 10))
			close(cut)
			isLate(t, "Write", wait(t, "the failure", failed))
			if err := wait(t, "the sibling's end", cause); !errors.Is(err, ErrConnClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the sibling ended for %v", err)
			}
			s.Shutdown(t.Context())
		})
	}
}

// A response that is broken off with a peer that takes nothing is broken off soon.
func TestWriteDeadlineAlone(t *testing.T) {
	failed := make(chan error, 1)
	c, s := servePipe(t, httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
		c.SetWriteDeadline(moment())
		io.WriteString(w, "late")
		failed <- c.Flush()
	}))
	c.send(get(1, 1))
	isLate(t, "Flush", wait(t, "the failure", failed))
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	if err := wait(t, "the end of the connection", down); err != nil {
		t.Error(err)
	}
}

// With real sockets the write may be cut anywhere, or not at all.
func TestWriteDeadlineOfSockets(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		failed := make(chan error, 1)
		ts := serve(t, network, &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
			for {
				c.SetWriteDeadline(moment())
				if _, err := w.Write(make([]byte, 16<<20)); err != nil {
					failed <- err
					return
				}
			}
		})})
		c := ts.dial()
		c.send(get(1, 1)) // and takes nothing
		isLate(t, "Write", wait(t, "the failure", failed))
		if _, err := io.Copy(io.Discard, c.Conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection was not closed", network)
		}
	}
}

// servePipe serves one connection that keeps nothing that is written: a write waits
// until its bytes are read.
func servePipe(t *testing.T, app cgi.App) (*client, *Server) {
	ours, theirs := net.Pipe()
	l := &oneListener{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- ours
	s := &Server{Log: slog.New(slog.DiscardHandler), App: app}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	theirs.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() {
		theirs.Close()
		s.Close()
		<-served
	})
	return &client{t, theirs, record.NewReader(theirs)}, s
}

// A response waits for a sibling's write no longer than its deadline, and the sibling
// does not notice.
func TestWriteDeadlineBehindASibling(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 16<<20/16)
	failed := make(chan error, 1)
	ts := serve(t, "unix", &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
		if r.URL.Path == "/big" {
			w.Write(big)
			return
		}
		c.SetWriteDeadline(moment())
		io.WriteString(w, "late")
		failed <- c.Flush()
	})})
	c := ts.dial()
	c.send(get(1, 1, "SCRIPT_NAME=/big"))
	answers := map[uint16]*answer{1: {}}
	for range 2 { // the head, and a record of the body, of which the rest is on its way
		_, _, content, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		answers[1].stdout += string(content)
	}
	c.send(get(2, 1, "SCRIPT_NAME=/late"))
	isLate(t, "Flush", wait(t, "the failure", failed))
	if err := c.collect(answers, 2); err != nil {
		t.Fatal(err)
	}
	if got := bodyOf(t, answers[1]); got != string(big) {
		t.Errorf("the sibling's answer came out different, %d bytes", len(got))
	}
	if a := answers[2]; a.stdout != "" || a.end.AppStatus == 0 {
		t.Errorf("got %+v", a)
	}
}

// A write of which nothing went out before the deadline harms no sibling, though it had
// begun.
func TestWriteDeadlineBeforeTheFirstByte(t *testing.T) {
	failed, gate := make(chan error, 1), make(chan struct{})
	c, _ := servePipe(t, httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
		if r.URL.Path == "/sibling" {
			<-gate
			io.WriteString(w, "sibling")
			return
		}
		c.SetWriteDeadline(moment())
		b := make([]byte, 100_000)
		if r.URL.Path == "/small" {
			b = b[:10]
		}
		w.Write(b)
		failed <- c.Flush()
	}))
	c.send(get(1, 1, "SCRIPT_NAME=/sibling"))
	for _, path := range []string{"/small", "/large"} {
		c.send(get(2, 1, "SCRIPT_NAME="+path))
		isLate(t, "Flush", wait(t, "the failure", failed))
		if a := c.answer(2); a.stdout != "" || a.end.AppStatus == 0 {
			t.Errorf("%s: got %+v", path, a)
		}
	}
	close(gate)
	if a := c.answer(1); bodyOf(t, a) != "sibling" {
		t.Errorf("sibling: got %+v", a)
	}
}

// The zero time takes a deadline away, whether it has passed or not.
func TestDeadlinesCleared(t *testing.T) {
	ts := serve(t, "unix", &Server{App: httpHandler(func(w http.ResponseWriter, r *http.Request, c *http.ResponseController) {
		for _, at := range []time.Time{moment(), time.Unix(1, 0), time.Now().Add(patience)} {
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
	read, write := d.read.timer, d.write.timer
	c.dead = ErrConnClosed
	r.sink.Finish(cgi.Outcome{})
	if read.Stop() || write.Stop() {
		t.Error("a timer still runs")
	}
	r = &request{turn: turn{c: c}}
	r.sink.r = r
	r.sink.SetReadDeadline(far)
	timer := r.sink.deadlines.Load().read.timer
	r.sink.SetReadDeadline(far)
	if timer.Stop() {
		t.Error("a timer that was replaced still runs")
	}
	r.sink.SetReadDeadline(time.Time{})
	if d := r.sink.deadlines.Load(); d.read.timer != nil || d.read.passed.Load() {
		t.Error("the zero time does not clear")
	}
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
