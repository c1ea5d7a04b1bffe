package fastcgi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"gatehouse/cgi"
)

func TestF20EndRequest(t *testing.T) {
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		cgi.SetExitStatus(w, 258)
		return hello(w, r)
	})})
	c := ts.dial()
	c.send(get(1, 0))
	b, err := io.ReadAll(c.Conn)
	if err != nil {
		t.Fatal(err)
	}
	want := "\x01\x03\x00\x01\x00\x08\x00\x00" + "\x00\x00\x01\x02\x00\x00\x00\x00"
	if !bytes.HasSuffix(b, []byte(want)) {
		t.Errorf("answer ends in %q, want %q", b[max(0, len(b)-16):], want)
	}
}

// TestF21StreamEnd: STDOUT ends in one empty record, which is never its first.
func TestF21StreamEnd(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	c := ts.dial()
	c.send(get(1, 0))
	var got []string
	for {
		typ, _, content, err := c.next()
		if err != nil {
			break
		}
		got = append(got, fmt.Sprint(typ, " ", len(content)))
	}
	if s := strings.Join(got, ", "); s != "FCGI_STDOUT 76, FCGI_STDOUT 0, FCGI_END_REQUEST 8" {
		t.Errorf("got %s", s)
	}
}

func TestF22KeepConn(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		ts := serve(t, network, &Server{App: hello})
		c := ts.dial()
		c.send(get(1, 1))
		c.answer(1)
		// Closed in good order although a megabyte of the body has not been read.
		body := strings.Repeat("x", 1<<20)
		go c.Write(post(1, 0, body))
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("%s: got %q", network, a.stdout)
		}
		if _, _, _, err := c.next(); err != io.EOF {
			t.Errorf("%s: connection ended in %v, want EOF", network, err)
		}
		c.Close()
	}
}

func TestF23LargeRecords(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", []cgi.Field{{Name: "X-Large", Value: strings.Repeat("h", 70_000)}})
		_, err := w.Write(body)
		return err
	})})
	c := ts.dial()
	c.send(get(1, 0))
	if a := c.answer(1); bodyOf(t, a) != string(body) {
		t.Error("the body is not what was written")
	}
}

func TestF24Multiplexing(t *testing.T) {
	t.Run("answers in any order", func(t *testing.T) {
		gates := map[string]chan struct{}{"1": make(chan struct{}), "2": make(chan struct{}), "3": make(chan struct{})}
		ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			<-gates[r.Env.Get("N")]
			return hello(w, r)
		})})
		c := ts.dial()
		c.send(get(1, 1, "N=1"), get(2, 1, "N=2"), get(3, 1, "N=3"))
		for _, n := range []string{"3", "1", "2"} {
			close(gates[n])
			if a := c.answer(uint16(n[0] - '0')); a.stdout != helloAnswer {
				t.Errorf("request %s: got %q", n, a.stdout)
			}
		}
	})
	t.Run("a sibling that comes while a handler runs", func(t *testing.T) {
		gate, started := make(chan struct{}), make(chan struct{})
		ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			if r.Env.Get("N") == "1" {
				close(started)
				<-gate
			}
			return hello(w, r)
		})})
		c := ts.dial()
		c.send(get(1, 1, "N=1"))
		wait(t, "the first request", started)
		c.send(get(2, 1, "N=2"))
		if a := c.answer(2); a.stdout != helloAnswer {
			t.Errorf("got %q", a.stdout)
		}
		close(gate)
		c.answer(1)
	})
	t.Run("a body that nobody reads", func(t *testing.T) {
		gate := make(chan struct{})
		ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			if r.Env.Get("N") == "1" {
				<-gate
				return echo(w, r)
			}
			return hello(w, r)
		})})
		c := ts.dial()
		body := strings.Repeat("0123456789", 300_000) // beyond the queue, and the spool's memory
		c.send(begin(1, 1), begin(3, 1), params(1, "N=1", fmt.Sprint("CONTENT_LENGTH=", len(body))), stdin(1, body), endStdin(1), params(3), endStdin(3))
		if a := c.answer(3); a.stdout != helloAnswer {
			t.Errorf("sibling: got %q", a.stdout)
		}
		close(gate)
		if a := c.answer(1); bodyOf(t, a) != body {
			t.Error("the body that waited came out different")
		}
	})
	t.Run("a body larger than the spool", func(t *testing.T) {
		gate := make(chan struct{})
		s := &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			if r.Env.Get("N") == "1" {
				<-gate
				return echo(w, r)
			}
			return hello(w, r)
		})}
		s.Limits.Spool.Max = 100_000
		c := serve(t, "unix", s).dial()
		body := strings.Repeat("x", 1<<20)
		c.send(begin(1, 1), begin(3, 1), params(1, "N=1", fmt.Sprint("CONTENT_LENGTH=", len(body))), stdin(1, body), endStdin(1), params(3), endStdin(3))
		c.answer(3)
		close(gate)
		if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 413 ") {
			t.Errorf("got %q", a.stdout)
		}
	})
}

func TestF25ConnectionLost(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			started, causes := make(chan struct{}, 2), make(chan error, 2)
			ts := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				started <- struct{}{}
				err := untilCancelled(r)
				causes <- err
				return err
			})})
			c := ts.dial()
			c.send(get(1, 1), get(2, 1))
			wait(t, "a request", started)
			wait(t, "a request", started)
			c.Close()
			for range 2 {
				if err := wait(t, "the cancellation", causes); !errors.Is(err, cgi.ErrAborted) {
					t.Errorf("cause is %v", err)
				}
			}
		})
	}
}

// TestF25BehindBody: a peer that leaves is noticed behind a body that nobody
// reads.
func TestF25BehindBody(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			started, causes := make(chan struct{}, 1), make(chan error, 1)
			ts := serve(t, network, &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				started <- struct{}{}
				err := untilCancelled(r)
				causes <- err
				return err
			})})
			c := ts.dial()
			c.send(begin(1, 1), params(1, "CONTENT_LENGTH=10000000"), stdin(1, strings.Repeat("x", 150_000)))
			wait(t, "the request", started)
			c.Close()
			if err := wait(t, "the cancellation", causes); !errors.Is(err, cgi.ErrAborted) {
				t.Errorf("cause is %v", err)
			}
		})
	}
}

func TestHalfClose(t *testing.T) {
	gate := make(chan struct{})
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		select {
		case <-gate:
		case <-r.Context().Done():
			return context.Cause(r.Context())
		}
		return hello(w, r)
	})
	type closeWriter interface{ CloseWrite() error }
	unix := serve(t, "unix", &Server{App: app}).dial()
	unix.send(get(1, 1))
	unix.Conn.(closeWriter).CloseWrite()
	half := serve(t, "tcp", &Server{App: app, HalfClose: true}).dial()
	half.send(get(1, 1))
	half.Conn.(closeWriter).CloseWrite()
	tcp := serve(t, "tcp", &Server{App: app}).dial()
	tcp.send(get(1, 1))
	tcp.Conn.(closeWriter).CloseWrite()
	tcp.closed() // a FIN is a peer that has gone
	close(gate)
	for _, c := range []*client{unix, half} {
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("got %q", a.stdout)
		}
		c.closed()
	}
}
