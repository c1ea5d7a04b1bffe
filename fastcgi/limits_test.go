package fastcgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// soon is a limit that passes at the next tick.
const soon = time.Millisecond

func TestParamsLimits(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello, Limits: cgi.Limits{ParamsBytes: 1000, ParamsCount: 10}})
	t.Run("bytes", func(t *testing.T) {
		c := ts.dial()
		c.send(begin(1, 1), params(1, "A="+strings.Repeat("x", 100_000)))
		if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 431 ") {
			t.Errorf("got %q", a.stdout)
		}
		c.closed()
	})
	t.Run("count", func(t *testing.T) {
		var vars []string
		for i := range 11 {
			vars = append(vars, fmt.Sprintf("V%d=", i))
		}
		c := ts.dial()
		c.send(begin(1, 1), params(1, vars[:10]...), endStdin(1))
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("at the limit: got %q", a.stdout)
		}
		c.send(begin(1, 1), params(1, vars...), endStdin(1))
		if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 431 ") {
			t.Errorf("got %q", a.stdout)
		}
	})
	ts.Close()
	for _, key := range []string{"params_bytes", "params_count"} {
		if n := strings.Count(ts.logs.String(), key); n != 1 {
			t.Errorf("%d log lines name %s, want 1:\n%s", n, key, ts.logs)
		}
	}
}

// TestFloods: whatever a peer sends without end, the server keeps a bounded part
// of it.
func TestFloods(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	t.Run("BEGIN", func(t *testing.T) {
		c := ts.dial()
		go func() {
			for id := uint16(1); id < 1000; id++ {
				c.Write(begin(id, 1))
			}
		}()
		for id := uint16(101); id < 1000; id++ {
			if a := c.answer(id); a.end.ProtocolStatus != record.CantMpxConn {
				t.Fatalf("request %d: got %+v", id, a)
			}
		}
	})
	t.Run("PARAMS", func(t *testing.T) {
		c := ts.dial()
		c.send(begin(1, 1))
		sent := make(chan int, 1)
		go func() {
			n := 0
			for ; n < 10_000; n++ {
				if _, err := c.Write(raw(1, 4, 1, strings.Repeat("\x01\x00x", 20_000), 0, 0)); err != nil {
					break
				}
			}
			sent <- n
		}()
		if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 431 ") {
			t.Errorf("got %q", a.stdout)
		}
		c.Close()
		testkit.Receive(t, "the end of the flood", sent)
	})
}

func TestBodyLimits(t *testing.T) {
	ts := serve(t, "unix", &Server{App: echo, Limits: cgi.Limits{BodyBytes: 1000}})
	for _, length := range []string{"1001", "", "99999999999999999999999"} {
		c := ts.dial()
		c.send(begin(1, 0), params(1, "CONTENT_LENGTH="+length))
		go c.Write(append(stdin(1, strings.Repeat("x", 1001)), endStdin(1)...))
		if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 413 ") {
			t.Errorf("length %q: got %q", length, a.stdout)
		}
	}
	c := ts.dial()
	c.send(post(1, 0, strings.Repeat("x", 1000)))
	if a := c.answer(1); len(bodyOf(t, a)) != 1000 {
		t.Errorf("at the limit: got %q", a.stdout)
	}
}

func TestBodyReadLimit(t *testing.T) {
	ts := serve(t, "unix", &Server{App: echo, Limits: cgi.Limits{BodyRead: soon}})
	for _, more := range [][]byte{nil, get(2, 1, "CONTENT_LENGTH=0")} {
		c := ts.dial()
		c.send(begin(1, 1), params(1, "CONTENT_LENGTH=10"), stdin(1, "12345"), more)
		answers := make(map[uint16]*answer)
		if err := c.collect(answers, 1+len(more)/len(get(2, 1, "CONTENT_LENGTH=0"))); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(answers[1].stdout, "Status: 408 ") {
			t.Errorf("got %q", answers[1].stdout)
		}
	}
	ts.Close()
	if !strings.Contains(ts.logs.String(), "body_read") {
		t.Errorf("log does not name the key: %s", ts.logs)
	}
}

func TestIdleLimit(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello, Limits: cgi.Limits{Idle: soon}})
	c := ts.dial()
	c.send(get(1, 1))
	c.answer(1)
	c.closed()
	ts.dial().closed() // a connection that never says a word
	if ts.logs.String() != "" {
		t.Errorf("idle connections are no news: %s", ts.logs)
	}
	c = ts.dial()
	c.send(begin(1, 1), raw(1, 4, 1, "\x01", 0, 0))
	c.closed()
	if !strings.Contains(ts.logs.String(), "limit=idle") {
		t.Errorf("log does not name the key: %s", ts.logs)
	}
}

func TestWriteLimit(t *testing.T) {
	failed := make(chan error, 1)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				failed <- err
				return err
			}
		}
	}), Limits: cgi.Limits{Write: soon}})
	c := ts.dial()
	c.send(get(1, 1)) // and takes nothing
	if err := testkit.Receive(t, "the failure", failed); !errors.Is(err, cgi.ErrAborted) {
		t.Errorf("Write returned %v", err)
	}
	ts.Close()
	if !strings.Contains(ts.logs.String(), "limit=write") {
		t.Errorf("log does not name the key: %s", ts.logs)
	}
}

func TestTruncationIsVisible(t *testing.T) {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		io.WriteString(w, "part")
		w.Flush()
		return errors.New("something broke")
	})
	for _, network := range []string{"unix", "tcp"} {
		c := serve(t, network, &Server{App: app}).dial()
		c.send(get(1, 1))
		answers := make(map[uint16]*answer)
		if err := c.collect(answers, 1); !errors.Is(err, record.ErrVersion) {
			t.Errorf("%s: ended in %v, want a record of version 0", network, err)
		}
		if a := answers[1]; a == nil || bodyOf(t, a) != "part" {
			t.Errorf("%s: got %+v", network, a)
		}
	}
	t.Run("siblings", func(t *testing.T) {
		gate := make(chan struct{})
		ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			if r.Env.Get("WAIT") != "" {
				<-gate
				return hello(w, r)
			}
			return app(w, r)
		})})
		c := ts.dial()
		c.send(get(1, 1, "WAIT=1"), get(2, 1))
		if a := c.answer(2); a.end.AppStatus != 1 || bodyOf(t, a) != "part" {
			t.Errorf("got %+v", a)
		}
		close(gate)
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("sibling: got %q", a.stdout)
		}
		ts.Close()
		if !strings.Contains(ts.logs.String(), "cannot see this truncation") {
			t.Errorf("log is %s", ts.logs)
		}
	})
}

func TestPanic(t *testing.T) {
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		panic("at the disco")
	})})
	c := ts.dial()
	c.send(get(1, 1))
	if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 500 ") || strings.Contains(a.stdout, "disco") {
		t.Errorf("got %q", a.stdout)
	}
	ts.Close()
	if log := ts.logs.String(); !strings.Contains(log, "at the disco") || !strings.Contains(log, "limits_test.go") {
		t.Errorf("log has no stack: %s", log)
	}
}

func TestShutdown(t *testing.T) {
	started, gate := make(chan struct{}, 2), make(chan struct{})
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		started <- struct{}{}
		select {
		case <-gate:
			return hello(w, r)
		case <-r.Context().Done():
			return context.Cause(r.Context())
		}
	})
	t.Run("drains", func(t *testing.T) {
		ts := serve(t, "unix", &Server{App: app})
		idle, busy := ts.dial(), ts.dial()
		busy.send(get(1, 1))
		testkit.Receive(t, "the request", started)
		done := make(chan error, 1)
		go func() { done <- ts.Shutdown(t.Context()) }()
		idle.closed()
		gate <- struct{}{}
		if a := busy.answer(1); a.stdout != helloAnswer {
			t.Errorf("got %q", a.stdout)
		}
		busy.closed()
		if err := testkit.Receive(t, "Shutdown", done); err != nil {
			t.Error(err)
		}
	})
	t.Run("aborts", func(t *testing.T) {
		ts := serve(t, "unix", &Server{App: app})
		c := ts.dial()
		c.send(get(1, 1), get(2, 1))
		testkit.Receive(t, "a request", started)
		testkit.Receive(t, "a request", started)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ts.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown returned %v", err)
		}
		if err := c.collect(make(map[uint16]*answer), 1); !errors.Is(err, record.ErrVersion) {
			t.Errorf("connection ended in %v, want a record of version 0", err)
		}
	})
}

// TestBodyAfterReturn: a goroutine that the application left behind reads an
// error, and never another's body.
func TestBodyAfterReturn(t *testing.T) {
	bodies := make(chan io.Reader, 1)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		select {
		case bodies <- r.Body:
		default:
		}
		return hello(w, r)
	})})
	c := ts.dial()
	c.send(post(1, 1, "first"))
	c.answer(1)
	c.send(begin(1, 1), params(1, "CONTENT_LENGTH=6"), stdin(1, "sec"))
	c.answer(1)
	if n, err := (<-bodies).Read(make([]byte, 10)); n != 0 || !errors.Is(err, cgi.ErrBodyClosed) {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestLeftReader: an application that returns while a goroutine of its own waits
// for the body.
func TestLeftReader(t *testing.T) {
	result := make(chan error, 1)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.ContentLength > 0 {
			reading := make(chan struct{})
			body := r.Body
			go func() {
				close(reading)
				_, err := io.Copy(io.Discard, body)
				result <- err
			}()
			<-reading
		}
		return hello(w, r)
	})})
	c := ts.dial()
	c.send(begin(1, 1), params(1, "CONTENT_LENGTH=10"), stdin(1, "1234"))
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("got %q", a.stdout)
	}
	if err := testkit.Receive(t, "the read", result); !errors.Is(err, cgi.ErrBodyClosed) {
		t.Errorf("Read returned %v", err)
	}
	c.send(get(1, 1))
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("next request: got %q", a.stdout)
	}
}

func TestCloseBody(t *testing.T) {
	result := make(chan error, 1)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		go func() {
			_, err := io.Copy(io.Discard, r.Body)
			result <- err
		}()
		r.CloseBody()
		if err := <-result; !errors.Is(err, cgi.ErrBodyClosed) {
			return err
		}
		return hello(w, r)
	})})
	c := ts.dial()
	for range 20 {
		c.send(begin(1, 1), params(1, "CONTENT_LENGTH=10"), stdin(1, "1234"))
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Fatalf("got %q", a.stdout)
		}
		c.send(stdin(1, "567890"), endStdin(1))
	}
}

// TestRefusalsAreLoggedInMeasure: a peer does not fill the log with what it begins in
// vain.
func TestRefusalsAreLoggedInMeasure(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	c := ts.dial()
	const n = 1000
	for range n {
		c.send(beginAs(record.Authorizer, 1, record.KeepConn))
		c.answer(1)
	}
	ts.Close()
	if lines := strings.Count(ts.logs.String(), "unknown role"); lines < 2 || lines > n/10 || !strings.Contains(ts.logs.String(), "times=") {
		t.Errorf("%d lines about %d refusals: %s", lines, n, ts.logs)
	}
}
