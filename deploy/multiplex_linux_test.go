package deploy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/fastcgi/record"
)

// multiplexed is a way on which HAProxy shares connections, in
// testdata/fastcgi/haproxy.cfg.
const multiplexed = "/shared-kept/tcp"

// startMultiplexed starts HAProxy, and an application behind a tap.
func startMultiplexed(t *testing.T) (*exercise, *tap) {
	t.Helper()
	const behind = "127.0.0.1:9002"
	e := newExercise()
	startExercise(t, e, behind)
	w := startTap(t, exercisePort, behind)
	startHAProxy(t, "testdata/fastcgi/haproxy.cfg")
	// It asks for the values on a connection before it shares that.
	wantEcho(t, multiplexed, 10)
	return e, w
}

// hold sends n requests with bodies of size bytes that wait in the application. The
// channel gets their answers.
func hold(t *testing.T, e *exercise, n, size int) <-chan page {
	t.Helper()
	answers := make(chan page, n)
	for range n {
		go func() { answers <- exercisePage(t, "POST", multiplexed, "held", 0, large(size)) }()
	}
	for range n {
		wait(t, "a request", e.begun)
	}
	return answers
}

func wantHeld(t *testing.T, answers <-chan page, n, size int) {
	t.Helper()
	for range n {
		if got := wait(t, "an answer", answers); got.status != http.StatusOK || got.body != large(size) {
			t.Errorf("status %d, %d bytes; want 200 and the %d that were sent", got.status, len(got.body), size)
		}
	}
}

// TestMultiplexed: HAProxy shares connections between requests that run at the
// same time, having asked whether it may, with ids that it does not use again.
func TestMultiplexed(t *testing.T) {
	e, w := startMultiplexed(t)
	const n = 20
	answers := hold(t, e, n, 1000)
	ids, most := make(map[int]map[uint16]bool), 0
	asked := false
	for _, s := range w.seen() {
		switch {
		case s.answer:
		case s.typ == record.GetValues:
			asked = true
		case s.typ == record.BeginRequest:
			if s.id%2 == 0 || ids[s.conn][s.id] {
				t.Errorf("connection %d, request id %d: even, or used again", s.conn, s.id)
			}
			if ids[s.conn] == nil {
				ids[s.conn] = make(map[uint16]bool)
			}
			ids[s.conn][s.id] = true
			most = max(most, len(ids[s.conn]))
		}
	}
	if !asked {
		t.Error("HAProxy has not asked for any values")
	}
	// The first request of all has ended before.
	if len(ids) >= n || most < 3 {
		t.Errorf("%d requests at the same time on %d connections, at most %d on one: they are not multiplexed", n, len(ids), most)
	}
	t.Logf("%d requests at the same time on %d connections, at most %d on one", n, len(ids), most)
	close(e.release)
	wantHeld(t, answers, n, 1000)
	w.wantOneEnd(t)
}

// TestMultiplexedBodies: bodies that nobody reads yet stop neither each other nor
// the requests beside them.
func TestMultiplexedBodies(t *testing.T) {
	e, w := startMultiplexed(t)
	const n, size = 8, 2 << 20
	answers := hold(t, e, n, size)
	for _, size := range []int{0, 1000, 500_000} {
		wantEcho(t, multiplexed, size)
	}
	close(e.release)
	wantHeld(t, answers, n, size)
	w.wantOneEnd(t)
}

// TestMultiplexedAbort: a client leaves in the middle of its upload, HAProxy sends
// an ABORT_REQUEST, and the requests beside it go on.
func TestMultiplexedAbort(t *testing.T) {
	e, w := startMultiplexed(t)
	const n = 6
	answers := hold(t, e, n, 1000)
	for range 3 {
		conn := send(t, fmt.Sprintf("POST %s?page=upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n%s", multiplexed, large(100_000)))
		wait(t, "the upload", e.begun)
		conn.Close()
		wantAborted(t, "upload", e)
		wantEcho(t, multiplexed, 1000)
	}
	close(e.release)
	wantHeld(t, answers, n, 1000)
	aborts := 0
	for _, s := range w.seen() {
		if s.typ == record.AbortRequest {
			aborts++
		}
	}
	if aborts != 3 {
		t.Errorf("HAProxy has sent %d ABORT_REQUESTs; want 3", aborts)
	}
	w.wantOneEnd(t)
}

// TestSlowReader: a client that does not take its large answer stops none of those
// beside it where each request has a connection for its time. Where they share one
// it is HAProxy that reads no further: they go on with the slow one, and all are
// whole.
func TestSlowReader(t *testing.T) {
	_, w := startMultiplexed(t)
	for _, way := range []string{"/kept/tcp", multiplexed} {
		t.Run(strings.TrimPrefix(way, "/"), func(t *testing.T) {
			const size, fast = 32 << 20, 10
			conn := send(t, fmt.Sprintf("GET %s?page=large&n=%d HTTP/1.0\r\n\r\n", way, size))
			if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			answers := make(chan page, fast)
			for range fast {
				go func() { answers <- exercisePage(t, "POST", way, "echo", 0, large(1000)) }()
			}
			if way != multiplexed {
				wantHeld(t, answers, fast, 1000)
			}
			if n, err := io.Copy(io.Discard, conn); err != nil || n < size-1000 {
				t.Errorf("%v after %d bytes; want %d", err, n, size)
			}
			if way == multiplexed {
				wantHeld(t, answers, fast, 1000)
			}
		})
	}
	w.wantOneEnd(t)
}

// wantOneEnd checks that each request has at most one END_REQUEST, with which its
// answer ends.
func (w *tap) wantOneEnd(t *testing.T) {
	t.Helper()
	type request struct {
		conn int
		id   uint16
	}
	ended := make(map[request]bool)
	for _, s := range w.seen() {
		r := request{s.conn, s.id}
		switch {
		case !s.answer || s.id == 0:
		case ended[r]:
			t.Errorf("connection %d, request %d: %v after its END_REQUEST", s.conn, s.id, s.typ)
		case s.typ == record.EndRequest:
			ended[r] = true
		}
	}
}
