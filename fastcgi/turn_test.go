package fastcgi

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// TestAnswersThatWait: requests whose answers wait for the peer count as requests of
// the connection, so that one that begins requests and takes nothing has a bound.
func TestAnswersThatWait(t *testing.T) {
	const limit, many = 10, 1000
	written := make(chan struct{}, many)
	ts := serve(t, "unix", &Server{Limits: cgi.Limits{Requests: limit}, App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		defer func() { written <- struct{}{} }()
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := w.Write(bytes.Repeat([]byte("x"), 10_000))
		return err
	})})
	c := ts.dial()
	sent, refused := 0, false
	for ; sent < many && !refused; sent++ {
		c.send(get(uint16(2+sent), 1))
		for ran := false; !ran && !refused; {
			select {
			case <-written:
				ran = true
			default:
				refused = strings.Contains(ts.logs.String(), "limit=max_requests")
				runtime.Gosched()
			}
		}
	}
	if !refused || sent > many/2 { // what the socket holds is sent
		t.Fatalf("%d requests ran, and nothing was taken of their answers", sent)
	}
	answers := make(map[uint16]*answer)
	if err := c.collect(answers, sent); err != nil {
		t.Fatal(err)
	}
	last := answers[uint16(2+sent-1)]
	if last.end.ProtocolStatus != record.CantMpxConn || last.stdout != "" {
		t.Errorf("the last one got %+v", last)
	}
	delete(answers, uint16(2+sent-1))
	for id, a := range answers {
		if len(bodyOf(t, a)) != 10_000 {
			t.Errorf("request %d: got %d bytes", id, len(a.stdout))
		}
	}
}

// TestLargeWriteLetsOthersIn: an answer that is written at once is not in the way of
// those beside it until its end.
func TestLargeWriteLetsOthersIn(t *testing.T) {
	const large = 64 << 20
	started := make(chan struct{}, 2)
	c := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		started <- struct{}{}
		if r.Env.Get("LARGE") != "" {
			_, err := w.Write(make([]byte, large))
			return err
		}
		return nil
	})}).dial()
	c.send(get(2, 1, "LARGE=1"))
	testkit.Receive(t, "the large answer", started)
	if _, _, _, err := c.next(); err != nil {
		t.Fatal(err)
	}
	c.send(get(3, 1))
	testkit.Receive(t, "the small answer", started)
	for got, ended := 0, 0; ended < 2; {
		typ, id, content, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		got += len(content)
		if typ == record.EndRequest {
			if ended++; id == 2 && ended == 1 {
				t.Errorf("the large answer ended first, after %d bytes", got)
			}
		}
	}
}

// TestOneWriteInTime: what is written at once may take longer than a peer may that
// takes nothing, where the system does not tell how much it took.
func TestOneWriteInTime(t *testing.T) {
	inTime(t, 64<<10, func(b *bubbleTest) {
		b.send(get(1, 1, "LARGE="+strings.Repeat("x", 4000)))
		got := 0
		for {
			time.Sleep(time.Second)
			typ, _, content, err := b.next()
			if err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
			if got += len(content); typ == record.EndRequest {
				break
			}
		}
		if d := time.Since(b.start); d < bubbleWrite {
			t.Errorf("it took no more than %v", d)
		}
		b.logged("")
	})
}

// TestGoexit: a handler that ends its goroutine ends its connection, and what it had
// goes with it.
func TestGoexit(t *testing.T) {
	for _, limit := range []time.Duration{0, time.Hour} {
		for _, x := range []struct {
			name     string
			requests [][]byte
		}{
			{"alone", [][]byte{post(1, 1, "x", "GO=1")}},
			{"beside another", [][]byte{get(2, 1, "WAIT=1"), post(3, 1, "x", "GO=1")}},
		} {
			t.Run(fmt.Sprint(x.name, " ", limit), func(t *testing.T) {
				cancelled := make(chan error, 1)
				ts := serve(t, "unix", &Server{Handler: &cgi.Handler{RunTime: limit}, App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
					switch {
					case r.Env.Get("WAIT") != "":
						err := untilCancelled(r)
						cancelled <- err
						return err
					case r.Env.Get("GO") != "":
						if err := cgi.SetWriteDeadline(w, time.Now().Add(time.Hour)); err != nil {
							return err
						}
						runtime.Goexit()
					}
					return hello(w, r)
				})})
				c := ts.dial()
				c.send(x.requests...)
				c.closed()
				if len(x.requests) > 1 {
					testkit.Receive(t, "the cancellation", cancelled)
				}
				if log := ts.logs.String(); !strings.Contains(log, "ended its goroutine") {
					t.Errorf("log %q", log)
				}
				c = ts.dial()
				c.send(get(1, 0))
				if a := c.answer(1); a.stdout != helloAnswer {
					t.Errorf("got %q", a.stdout)
				}
			})
		}
	}
}

// TestGoexitStopsTheClock: no time limit passes for a request that has gone.
func TestGoexitStopsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Handler: &cgi.Handler{RunTime: time.Minute}, App: cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error {
			runtime.Goexit()
			return nil
		})}
		l := newPipeListener()
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		nc := l.dial(0, true)
		c := &client{t: t, Conn: nc, r: record.NewReader(nc)}
		c.send(get(1, 1))
		c.closed()
		time.Sleep(2 * time.Minute)
		nc.Close()
		s.Close()
		<-served
	})
}
