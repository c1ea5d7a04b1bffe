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
	"gatehouse/internal/testkit"
)

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
					testkit.Receive(t, "the sibling", started)
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
					rc.SetWriteDeadline(time.Now().Add(testkit.Patience))
				}
				go func() {
					<-cut
					rc.SetWriteDeadline(moment())
				}()
				_, err := w.Write(make([]byte, 1<<20))
				failed <- err
			}))
			c.send(get(1, 1, "SCRIPT_NAME=/sibling"))
			testkit.Receive(t, "the sibling", started)
			c.send(get(2, 1))
			io.ReadFull(c.Conn, make([]byte, 10))
			close(cut)
			isLate(t, "Write", testkit.Receive(t, "the failure", failed))
			if err := testkit.Receive(t, "the sibling's end", cause); !errors.Is(err, ErrConnClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
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
	isLate(t, "Flush", testkit.Receive(t, "the failure", failed))
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	if err := testkit.Receive(t, "the end of the connection", down); err != nil {
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
		isLate(t, "Write", testkit.Receive(t, "the failure", failed))
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
	testkit.Serve(t, s, l, ErrServerClosed)
	theirs.SetDeadline(time.Now().Add(testkit.Patience))
	t.Cleanup(func() { theirs.Close() })
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
	isLate(t, "Flush", testkit.Receive(t, "the failure", failed))
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
		isLate(t, "Flush", testkit.Receive(t, "the failure", failed))
		if a := c.answer(2); a.stdout != "" || a.end.AppStatus == 0 {
			t.Errorf("%s: got %+v", path, a)
		}
	}
	close(gate)
	if a := c.answer(1); bodyOf(t, a) != "sibling" {
		t.Errorf("sibling: got %+v", a)
	}
}
