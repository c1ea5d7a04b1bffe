package fastcgi

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

const page504 = "Status: 504 Gateway Timeout\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\n504 Gateway Timeout\n"

// A deafServer has a small time limit, and an application that comes back when it is
// released.
type deafServer struct {
	*testServer
	deaf chan struct{} // closed to release it
	back chan error    // what came of writing afterwards
}

func serveDeaf(t *testing.T, network string, s *Server) *deafServer {
	d := &deafServer{deaf: make(chan struct{}), back: make(chan error, 10)}
	s.Handler = &cgi.Handler{RunTime: 20 * time.Millisecond}
	s.App = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		switch r.Env.Get("QUERY_STRING") {
		case "read":
			io.Copy(io.Discard, r.Body)
		case "sent":
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "part")
			w.Flush()
		}
		<-d.deaf
		_, err := w.Write([]byte("late"))
		d.back <- err
		return err
	})
	d.testServer = serve(t, network, s)
	return d
}

// release lets n deaf applications come back.
func (d *deafServer) release(t *testing.T, n int) {
	t.Helper()
	close(d.deaf)
	for range n {
		if err := testkit.Receive(t, "the return of the application", d.back); err == nil || !strings.Contains(err.Error(), "(RunTime)") {
			t.Errorf("a late Write returned %v", err)
		}
	}
}

// TestRunTime: whatever the connection is, the error page arrives and the connection is
// closed while the application still runs; and Close waits for it.
func TestRunTime(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for _, keep := range []byte{0, record.KeepConn} {
			for name, request := range map[string][]byte{
				"no body":     get(1, keep),
				"unread body": post(1, keep, strings.Repeat("x", 300_000)),
				"half a body": append(append(begin(1, keep), params(1, "CONTENT_LENGTH=10", "QUERY_STRING=read")...), stdin(1, "half")...),
			} {
				t.Run(fmt.Sprint(network, " ", keep, " ", name), func(t *testing.T) {
					d := serveDeaf(t, network, new(Server))
					c := d.dial()
					go c.Write(request)
					if a := c.answer(1); a.stdout != page504 || a.end.ProtocolStatus != record.RequestComplete {
						t.Errorf("got %+v", a)
					}
					c.closed()
					closed := make(chan error, 1)
					go func() { closed <- d.Close() }()
					d.release(t, 1)
					testkit.Receive(t, "the end of Close", closed)
					if n := strings.Count(d.logs.String(), "\n"); n != 1 || !strings.Contains(d.logs.String(), "(RunTime)") {
						t.Errorf("want one log line:\n%s", d.logs)
					}
				})
			}
		}
	}
}

// TestRunTimeTruncates: an answer that has begun is broken off at once.
func TestRunTimeTruncates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := serveDeaf(t, "memory", new(Server))
		c := d.dial()
		c.send(get(1, record.KeepConn, "QUERY_STRING=sent"))
		answers := make(map[uint16]*answer)
		if err := c.collect(answers, 1); err == nil {
			t.Error("the answer looks complete")
		}
		if a := answers[1]; a == nil || !strings.HasSuffix(a.stdout, "part") || a.ended {
			t.Errorf("got %+v", a)
		}
		c.closed()
		d.release(t, 1)
	})
}

// TestRunTimeBesideOthers: siblings on the connection go on, those that do not come back
// count as its requests, and it is kept for as many as there is room for.
func TestRunTimeBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, deaf, back := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
		s := &Server{Limits: cgi.Limits{Requests: 3}, Handler: &cgi.Handler{FirstByte: time.Second}}
		s.App = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
			if r.Env.Get("QUERY_STRING") == "good" {
				w.StartResponse("200 OK", nil)
				w.Flush() // in time, and then it may take as long as it likes
				<-good
				_, err := io.WriteString(w, "good")
				return err
			}
			<-deaf
			back <- struct{}{}
			return nil
		})
		ts := serve(t, "memory", s)
		c := ts.dial()
		c.send(get(2, 1, "QUERY_STRING=good"), get(1, 1), get(3, 1))
		answers := make(map[uint16]*answer)
		if err := c.collect(answers, 2); err != nil {
			t.Fatal(err)
		}
		for _, id := range []uint16{1, 3} {
			if a := answers[id]; a == nil || a.stdout != page504 {
				t.Errorf("request %d: got %+v", id, a)
			}
		}
		c.send(get(4, 1))
		if err := c.collect(answers, 1); err != nil {
			t.Fatal(err)
		}
		if a := answers[4]; a == nil || a.end.ProtocolStatus != record.CantMpxConn {
			t.Errorf("beyond max_requests: got %+v", a)
		}
		close(good)
		if err := c.collect(answers, 1); err != nil {
			t.Fatal(err)
		}
		if a := answers[2]; !strings.HasSuffix(a.stdout, "\r\n\r\ngood") || a.end.AppStatus != 0 {
			t.Errorf("the sibling: got %+v", a)
		}
		c.send(get(2, 1, "QUERY_STRING=good")) // there is room for one more
		delete(answers, 2)
		if err := c.collect(answers, 1); err != nil {
			t.Fatal(err)
		}
		if a := answers[2]; !strings.HasSuffix(a.stdout, "\r\n\r\ngood") {
			t.Errorf("the next: got %+v", a)
		}

		// A drain lets them come back; one that is cut short waits for them all the same.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		down := make(chan error, 1)
		go func() { down <- ts.Shutdown(ctx) }()
		close(deaf)
		testkit.Receive(t, "the return of the first", back)
		testkit.Receive(t, "the return of the second", back)
		testkit.Receive(t, "the end of Shutdown", down)
	})
}

// TestRunTimeOfAll: what has been sent behind a request that is over its limit is
// answered, then a connection without room for more is closed, and what the web server
// still sends is read meanwhile.
func TestRunTimeOfAll(t *testing.T) {
	d := serveDeaf(t, "unix", &Server{Limits: cgi.Limits{Linger: testkit.Patience, Requests: 2}})
	c := d.dial()
	c.send(begin(1, 1), params(1, "CONTENT_LENGTH=10"), stdin(1, "half"), begin(2, 1), params(2, "CONTENT_LENGTH=10"), stdin(2, "half"))
	answers := make(map[uint16]*answer)
	if err := c.collect(answers, 2); err != nil {
		t.Fatal(err)
	}
	for id, a := range answers {
		if a.stdout != page504 {
			t.Errorf("request %d: got %+v", id, a)
		}
	}
	c.closed()
	c.send(stdin(1, "x"), endStdin(1)) // which fails if the socket is closed already
	c.Close()
	d.release(t, 2)
}

// TestRunTimeOfLastRequests: a connection that was not to be kept is closed after the
// answers, whoever reads from it.
func TestRunTimeOfLastRequests(t *testing.T) {
	d := serveDeaf(t, "unix", new(Server))
	c := d.dial()
	c.send(begin(2, 0), begin(3, 0), params(2, "A=b"), params(3, "A=b"), endStdin(2), endStdin(3))
	answers := make(map[uint16]*answer)
	if err := c.collect(answers, 2); err != nil {
		close(d.deaf)
		for id, a := range answers {
			t.Errorf("request %d: %+v", id, *a)
		}
		t.Fatalf("%v; log %s", err, d.logs)
	}
	c.closed()
	d.release(t, 2)
}

func TestSpent(t *testing.T) {
	s := &Server{Limits: cgi.Limits{Requests: 3}}
	s.init()
	for _, tt := range []struct {
		overdue int
		mux     bool
		now     time.Duration
		want    bool
	}{
		{0, false, time.Hour, false},
		{1, false, time.Hour, true},
		{1, false, time.Minute + closeOverdueAfter, false}, // something may stand behind the request
		{1, true, time.Hour, false},                        // there is room for others
		{2, true, time.Hour, false},
		{3, true, time.Hour, true},
	} {
		c := &conn{srv: s, overdue: tt.overdue, mux: tt.mux, idleSince: time.Minute}
		if got := c.shouldClose(tt.now); got != tt.want {
			t.Errorf("%+v: got %t", tt, got)
		}
	}
}
