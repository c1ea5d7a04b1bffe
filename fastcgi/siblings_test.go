package fastcgi

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/internal/testkit"
)

const largeBody = 10 << 20

// A lodger is an application of which one request never reads its body, and says when
// it was cancelled. The others echo theirs.
type lodger struct{ cancelled chan error }

func (l *lodger) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if r.Env.Get("LODGER") == "" {
		return echo(w, r)
	}
	err := untilCancelled(r)
	l.cancelled <- err
	return err
}

// lodge starts a server that keeps bodies in total, and sends it a request that never
// reads its 10 MB, all of which the server has taken when it returns.
func lodge(t *testing.T, total *spool.Budget) (*client, *lodger, *testServer) {
	app := &lodger{make(chan error, 1)}
	s := &Server{App: app}
	s.Limits.Spool = spool.Limits{Memory: 64 << 10, Total: total}
	ts := serve(t, "unix", s)
	c := ts.dial()
	c.send(begin(2, 1), params(2, "LODGER=1", fmt.Sprint("CONTENT_LENGTH=", largeBody+1)))
	piece := stdin(2, strings.Repeat("x", 1<<16-8))
	for n := largeBody; n > 0; n -= 1<<16 - 8 {
		c.send(piece)
	}
	c.send(raw(1, 200, 0, "", 0, 0))
	if _, _, content, err := c.next(); err != nil || content[0] != 200 {
		t.Fatalf("got %q, %v", content, err)
	}
	return c, app, ts
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestSiblingsOfUnreadBody: requests beside one that never reads its 10 MB go on and
// finish, it is aborted while they do, and memory holds none of it.
func TestSiblingsOfUnreadBody(t *testing.T) {
	total := spool.NewBudget(0)
	before := heap()
	c, app, _ := lodge(t, total)
	if n := total.Used(); n < largeBody-bodyHeld-(1<<16) {
		t.Errorf("%d bytes are spooled", n)
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("memory has grown by %d bytes", grown)
	}
	const siblings = 8
	body := strings.Repeat("0123456789", 5000)
	for id := uint16(10); id < 10+siblings; id++ {
		c.send(begin(id, 1), params(id, fmt.Sprint("CONTENT_LENGTH=", len(body))), stdin(id, body[:1000]))
	}
	for id := uint16(10); id < 10+siblings; id++ {
		if id == 10+siblings/2 {
			c.send(abort(2))
			if err := testkit.Receive(t, "the cancellation", app.cancelled); !errors.Is(err, cgi.ErrAborted) {
				t.Errorf("cancelled for %v", err)
			}
			if a := c.answer(2); a.stdout != "" || a.end.AppStatus != 1 {
				t.Errorf("aborted: got %+v", a)
			}
		}
		c.send(stdin(id, body[1000:]), endStdin(id))
		if a := c.answer(id); bodyOf(t, a) != body {
			t.Errorf("request %d: got %d bytes", id, len(a.stdout))
		}
	}
	c.send(get(2, 0)) // the id is free, and what was kept has gone
	if a := c.answer(2); bodyOf(t, a) != "" {
		t.Errorf("got %q", a.stdout)
	}
	c.closed()
	if n := total.Used(); n != 0 {
		t.Errorf("%d bytes are still kept", n)
	}
}

// TestUnreadBodyOfLostPeer: it goes with the connection.
func TestUnreadBodyOfLostPeer(t *testing.T) {
	total := spool.NewBudget(0)
	c, app, ts := lodge(t, total)
	c.Close()
	if err := testkit.Receive(t, "the cancellation", app.cancelled); !errors.Is(err, cgi.ErrAborted) {
		t.Errorf("cancelled for %v", err)
	}
	ts.Close()
	if n := total.Used(); n != 0 {
		t.Errorf("%d bytes are still kept", n)
	}
}

// TestSpoolsAreFull: a body for which there is no room any more is refused, and its
// siblings go on.
func TestSpoolsAreFull(t *testing.T) {
	gate := make(chan struct{})
	c := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.Env.Get("LODGER") != "" {
			<-gate
		}
		return echo(w, r)
	}), Limits: cgi.Limits{Spool: spool.Limits{Total: spool.NewBudget(100_000)}}}).dial()
	c.send(begin(2, 1), params(2, "LODGER=1", "CONTENT_LENGTH=1000000"))
	for range 20 {
		c.send(stdin(2, strings.Repeat("x", 50_000)))
	}
	c.send(endStdin(2), post(3, 1, "hello"))
	if a := c.answer(3); bodyOf(t, a) != "hello" {
		t.Errorf("sibling: got %q", a.stdout)
	}
	close(gate)
	if a := c.answer(2); !strings.HasPrefix(a.stdout, "Status: 503 ") {
		t.Errorf("got %q", a.stdout)
	}
}

// TestSlowReader: a peer that takes nothing of an answer holds up its own connection,
// of which even the other requests' aborts are seen, and no other.
func TestSlowReader(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 10<<20)
	started, cancelled := make(chan struct{}), make(chan error, 1)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		switch r.Env.Get("DO") {
		case "WRITE":
			close(started)
			if err := w.StartResponse("200 OK", nil); err != nil {
				return err
			}
			_, err := w.Write(large)
			return err
		case "WAIT":
			err := untilCancelled(r)
			cancelled <- err
			return err
		}
		return echo(w, r)
	})})
	slow, quick := ts.dial(), ts.dial()
	slow.send(get(1, 1, "DO=WRITE"), get(2, 1, "DO=WAIT"))
	testkit.Receive(t, "the answer", started)
	for range 20 {
		quick.send(post(1, 1, "hello"))
		if a := quick.answer(1); bodyOf(t, a) != "hello" {
			t.Fatalf("got %q", a.stdout)
		}
	}
	slow.send(abort(2))
	if err := testkit.Receive(t, "the cancellation", cancelled); !errors.Is(err, cgi.ErrAborted) {
		t.Errorf("cancelled for %v", err)
	}
	answers := make(map[uint16]*answer)
	if err := slow.collect(answers, 2); err != nil {
		t.Fatal(err)
	}
	if b := bodyOf(t, answers[1]); b != string(large) {
		t.Errorf("got %d bytes", len(b))
	}
	if answers[2].stdout != "" || answers[2].end.AppStatus != 1 {
		t.Errorf("aborted: got %+v", answers[2])
	}
}
