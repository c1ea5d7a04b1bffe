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
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

func TestF17SingleRequest(t *testing.T) {
	release := make(chan struct{})
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		<-release
		return hello(w, r)
	}), Limits: cgi.Limits{Requests: 1}})
	c := ts.dial()
	c.send(get(1, 1), get(2, 1))
	if a := c.answer(2); a.end.ProtocolStatus != record.CantMpxConn || a.stdout != "" {
		t.Errorf("second request: got %+v", a)
	}
	close(release)
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("first request: got %q", a.stdout)
	}
}

// TestF18Overload: overload is a 503 on every protocol, since web servers take
// END_REQUEST's OVERLOADED for a broken answer.
func TestF18Overload(t *testing.T) {
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error {
		return &cgi.StatusError{Code: 503, RetryAfter: 1500e6}
	})})
	c := ts.dial()
	c.send(get(1, 0))
	if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 503 Service Unavailable\r\n") || !strings.Contains(a.stdout, "Retry-After: 2\r\n") {
		t.Errorf("got %q", a.stdout)
	}
}

func TestF19Abort(t *testing.T) {
	started := make(chan struct{}, 10)
	cause := make(chan error, 10)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.Env.Get("WAIT") == "" {
			return hello(w, r)
		}
		cgi.EnableFullDuplex(w)
		w.StartResponse("200 OK", nil)
		w.Write([]byte("part"))
		w.Flush()
		started <- struct{}{}
		err := untilCancelled(r)
		cause <- err
		_, werr := w.Write(make([]byte, 100_000))
		return errors.Join(err, werr)
	})})
	c := ts.dial()
	for _, request := range [][]byte{
		get(1, 1, "WAIT=1"),
		bytes.Join([][]byte{begin(1, 1), params(1, "WAIT=1", "CONTENT_LENGTH=1000"), stdin(1, "unfinished")}, nil),
	} {
		c.send(request)
		testkit.Receive(t, "the request", started)
		c.send(abort(1), abort(5))
		a := c.answer(1)
		if !strings.HasSuffix(a.stdout, "part") || a.end.ProtocolStatus != record.RequestComplete || a.end.AppStatus != 1 {
			t.Errorf("got %+v", a)
		}
		if err := testkit.Receive(t, "the cancellation", cause); !errors.Is(err, cgi.ErrAborted) {
			t.Errorf("cause is %v", err)
		}
		c.send(get(1, 1)) // the id is free again
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("next request: got %q", a.stdout)
		}
	}
	c.send(begin(1, 1), abort(1))
	if a := c.answer(1); a.stdout != "" || a.end != (record.End{}) {
		t.Errorf("abort before PARAMS: got %+v", a)
	}
	c.send(begin(1, 0), abort(1))
	c.answer(1)
	c.closed()
}

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
		testkit.Receive(t, "the first request", started)
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
			testkit.Receive(t, "a request", started)
			testkit.Receive(t, "a request", started)
			c.Close()
			for range 2 {
				if err := testkit.Receive(t, "the cancellation", causes); !errors.Is(err, cgi.ErrAborted) {
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
			testkit.Receive(t, "the request", started)
			c.Close()
			if err := testkit.Receive(t, "the cancellation", causes); !errors.Is(err, cgi.ErrAborted) {
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
