package fastcgi

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// TestBodyReadBesideSiblings: the limit on the wait for a body holds while another
// request's body keeps the connection busy.
func TestBodyReadBesideSiblings(t *testing.T) {
	ended := make(chan error, 1)
	ts := serve(t, "tcp", &Server{Limits: cgi.Limits{BodyRead: 50 * time.Millisecond}, App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		if r.Env.Get("STALLED") != "" {
			ended <- err
		}
		return err
	})})
	c := ts.dial()
	c.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=1000", "STALLED=1"), stdin(1, "x"),
		begin(2, 1), params(2, "REQUEST_METHOD=POST", "CONTENT_LENGTH=1000000000"))
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.Write(stdin(2, "x"))
			}
		}
	})
	var se *cgi.StatusError
	if err := testkit.Receive(t, "the end of the stalled request", ended); !errors.As(err, &se) || se.Code != 408 {
		t.Errorf("Read = %v; want a 408", err)
	}
	close(stop)
	busy.Wait()
}

// TestCloseBodyWhileRead: bytes that arrive while the body is closed belong to nobody,
// and the connection goes on.
func TestCloseBodyWhileRead(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	hooked := &hookListener{Listener: l, conns: make(chan *hookConn, 1)}
	hold, sent := make(chan struct{}), make(chan struct{})
	s := &Server{Log: slog.New(slog.DiscardHandler), App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.ContentLength == 0 {
			return hello(w, r)
		}
		if _, err := io.ReadFull(r.Body, make([]byte, 10)); err != nil {
			return err
		}
		c := <-hooked.conns
		got := make(chan struct{})
		c.afterRead.Store(&afterRead{got: got, hold: hold})
		read := make(chan struct{})
		go func() {
			defer close(read)
			r.Body.Read(make([]byte, 1000))
		}()
		close(sent)
		<-got
		r.CloseBody()
		close(hold)
		<-read
		return hello(w, r)
	})}
	testkit.Serve(t, s, hooked, ErrServerClosed)
	c := (&testServer{t: t, addr: l.Addr()}).dial()
	c.send(begin(1, 1), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=100000"), record.AppendHeader(nil, record.Stdin, 1, 60000, 0), make([]byte, 10))
	testkit.Receive(t, "the first bytes", sent)
	c.send(make([]byte, 59990))
	for range 5 {
		c.send(stdin(1, strings.Repeat("x", 1000)))
	}
	c.send(endStdin(1), get(2, 1))
	for _, id := range []uint16{1, 2} {
		if a := c.answer(id); a.stdout != helloAnswer {
			t.Errorf("request %d: got %q", id, a.stdout)
		}
	}
}

// A hookListener hands its connections to a test.
type hookListener struct {
	net.Listener
	conns chan *hookConn
}

func (l *hookListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	h := &hookConn{Conn: c}
	l.conns <- h
	return h, nil
}

// A hookConn holds one Read back after it has read.
type hookConn struct {
	net.Conn
	afterRead atomic.Pointer[afterRead]
}

type afterRead struct{ got, hold chan struct{} }

func (c *hookConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if h := c.afterRead.Swap(nil); h != nil {
		close(h.got)
		<-h.hold
	}
	return n, err
}

// TestClosedBodyKeepsNothing: what was spooled of a body goes with it.
func TestClosedBodyKeepsNothing(t *testing.T) {
	total := spool.NewBudget(0)
	spooled, closed, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	ts := serve(t, "unix", &Server{Limits: cgi.Limits{Spool: spool.Limits{Total: total}}, App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.ContentLength == 0 { // its id is behind the body on the wire
			close(spooled)
			return hello(w, r)
		}
		<-spooled
		if total.Used() == 0 {
			t.Error("nothing was spooled")
		}
		r.CloseBody()
		close(closed)
		<-done
		return hello(w, r)
	})})
	c := ts.dial()
	c.send(begin(2, 1), params(2, "REQUEST_METHOD=POST", "CONTENT_LENGTH=1000000"))
	for range 10 {
		c.send(stdin(2, strings.Repeat("x", 60000)))
	}
	c.send(get(3, 1))
	testkit.Receive(t, "the closing", closed)
	if n := total.Used(); n != 0 {
		t.Errorf("%d bytes are kept of a closed body", n)
	}
	close(done)
	if err := c.collect(make(map[uint16]*answer), 2); err != nil {
		t.Error(err)
	}
}

// TestClosedBodyIsNotCut: what still comes of a body that was closed is not beyond its
// length.
func TestClosedBodyIsNotCut(t *testing.T) {
	closed, done := make(chan struct{}), make(chan struct{})
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.ContentLength > 0 {
			r.CloseBody()
			close(closed)
			<-done
		}
		return hello(w, r)
	})})
	c := ts.dial()
	c.send(begin(2, 1), params(2, "CONTENT_LENGTH=1000"))
	testkit.Receive(t, "the closing", closed)
	c.send(stdin(2, strings.Repeat("x", 1000)), endStdin(2), get(3, 1))
	c.answer(3)
	close(done)
	if a := c.answer(2); a.stdout != helloAnswer {
		t.Errorf("got %q", a.stdout)
	}
	ts.Close()
	if log := ts.logs.String(); log != "" {
		t.Errorf("log %q", log)
	}
}

// TestServeLetsRequestsEnd: closing the listener does not abort what is in flight.
func TestServeLetsRequestsEnd(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	running, goOn := make(chan struct{}), make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(running)
			<-goOn
			io.WriteString(w, "whole")
		}))
	}()
	c := (&testServer{t: t, addr: l.Addr()}).dial()
	c.send(get(1, 1))
	testkit.Receive(t, "the request", running)
	l.Close()
	close(goOn)
	if a := c.answer(1); !strings.HasSuffix(a.stdout, "whole") {
		t.Errorf("got %q", a.stdout)
	}
	if err := testkit.Receive(t, "the end of Serve", served); err == nil {
		t.Error("Serve returned no error")
	}
}

// TestHalfCloseWithoutDescriptor: where a hang-up cannot be seen, the end of what a
// peer sends is its end.
func TestHalfCloseWithoutDescriptor(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	cause := make(chan error, 1)
	s := &Server{HalfClose: true, Log: slog.New(slog.DiscardHandler), App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		cause <- untilCancelled(r)
		return hello(w, r)
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(&hookListener{Listener: l, conns: make(chan *hookConn, 1)}) }()
	nc := testkit.Dial(t, l.Addr())
	nc.Write(get(1, 1))
	nc.(*net.TCPConn).CloseWrite()
	if err := testkit.Receive(t, "the cancellation", cause); !errors.Is(err, cgi.ErrAborted) {
		t.Errorf("the cause is %v", err)
	}
	s.Close()
	<-served
}

// TestPaddingMayComeLate: a record is acted on before its padding has come.
func TestPaddingMayComeLate(t *testing.T) {
	c := serve(t, "unix", &Server{App: cgi.AppFunc(hello)}).dial()
	values := record.AppendPair(nil, maxReqs, "")
	for _, x := range []struct {
		record []byte
		answer record.Type
	}{
		{append(record.AppendHeader(nil, record.GetValues, 0, len(values), 8), values...), record.GetValuesResult},
		{record.AppendHeader(nil, 77, 0, 0, 8), record.UnknownType},
		{append(record.AppendHeader(nil, record.BeginRequest, 1, 8, 8), 0, 7, 1, 0, 0, 0, 0, 0), record.EndRequest},
	} {
		c.send(x.record)
		if typ, _, _, err := c.next(); err != nil || typ != x.answer {
			t.Errorf("got %v, %v; want %v", typ, err, x.answer)
		}
		c.send(make([]byte, 8))
	}
	c.send(get(1, 1))
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("got %q", a.stdout)
	}
}

// TestRefusedBodyIsOneLogLine: a body that is too long is not also reported as cut.
func TestRefusedBodyIsOneLogLine(t *testing.T) {
	ts := serve(t, "unix", &Server{App: echo, Limits: cgi.Limits{BodyBytes: 10}})
	c := ts.dial()
	c.send(post(1, 1, strings.Repeat("x", 5000)))
	if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 413 ") {
		t.Errorf("got %q", a.stdout)
	}
	c.send(get(2, 0))
	c.answer(2)
	c.closed() // everything has been logged
	if log := ts.logs.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "body_bytes") {
		t.Errorf("log %q", log)
	}
}

// TestPeerThatSendsAllFirst: an application that writes before it reads, and a peer
// that sends before it reads, do not wait for each other.
func TestPeerThatSendsAllFirst(t *testing.T) {
	const size = 4 << 20
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := cgi.EnableFullDuplex(w); err != nil {
			return err
		}
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil && n != size {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			c := serve(t, network, &Server{App: app}).dial()
			c.send(post(1, record.KeepConn, strings.Repeat("b", size)))
			if a := c.answer(1); len(bodyOf(t, a)) != size || a.end != (record.End{}) {
				t.Errorf("%d bytes, %+v", len(a.stdout), a.end)
			}
			c.send(get(1, 0))
		})
	}
}

// TestAbortBehindUnreadBody: an abort is seen behind a body that nobody reads, also
// where the connection is not known to carry several requests.
func TestAbortBehindUnreadBody(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			cause := make(chan error, 1)
			app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				err := untilCancelled(r)
				cause <- err
				return err
			})
			c := serve(t, network, &Server{App: app}).dial()
			c.send(begin(1, record.KeepConn), params(1, "CONTENT_LENGTH=1000000"), stdin(1, strings.Repeat("b", 120<<10)), abort(1))
			if err := testkit.Receive(t, "the abort", cause); !errors.Is(err, cgi.ErrAborted) {
				t.Errorf("cause %v", err)
			}
			c.answer(1)
		})
	}
}

// TestStdinBeforeParams: a body that begins before the variables end breaks the order
// of the streams, and is not cut in silence.
func TestStdinBeforeParams(t *testing.T) {
	ts := serve(t, "unix", &Server{App: echo})
	c := ts.dial()
	c.send(begin(1, 0), stdin(1, "body"), params(1, "CONTENT_LENGTH=4"), endStdin(1))
	c.closed()
	ts.Close()
	if !strings.Contains(ts.logs.String(), "before the end of its PARAMS") {
		t.Errorf("log %q", ts.logs)
	}
}
