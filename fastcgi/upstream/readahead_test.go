package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/client"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
	"gatehouse/internal/testkit/peer"
)

// A stuckClient is a sink that takes nothing until it is let.
type stuckClient struct {
	cgitest.Recorder
	writes chan error // what a Write that is let returns, if that is an error
	stuck  chan int   // has the size of a Write that waits; nil: nobody wants to know
	steps  bool       // each Write waits; otherwise the first alone
	loose  bool
}

func newStuckClient() *stuckClient { return &stuckClient{writes: make(chan error)} }

func (s *stuckClient) Write(p []byte) (int, error) {
	if !s.loose {
		if s.stuck != nil {
			s.stuck <- len(p)
		}
		if err := <-s.writes; err != nil {
			return 0, err
		}
		s.loose = !s.steps
	}
	return s.Recorder.Write(p)
}

// An aheadRun is a request of a stuckClient.
type aheadRun struct {
	got  *stuckClient
	log  testkit.Log
	done chan struct{}
}

// runStuck runs an App for a client.
func runStuck(app cgi.App, r *cgi.Request, got *stuckClient) *aheadRun {
	run := &aheadRun{got: got, done: make(chan struct{})}
	go func() {
		defer close(run.done)
		(&cgi.Handler{Log: run.log.Logger()}).Run(r, got, app)
	}()
	return run
}

// ok lets the client take all, and fails the test unless the response is complete, with that body.
func (run *aheadRun) ok(t *testing.T, body string) {
	t.Helper()
	run.got.writes <- nil
	testkit.Receive(t, "the end of the response", run.done)
	wantOK(t, &run.got.Recorder, &run.log, body)
}

// spooled is an App that reads responses ahead, with a spool whose budget the test can ask.
func spooled(t testing.TB, l Limits, p *peer.Peer) (*App, *spool.Budget) {
	t.Helper()
	total := spool.NewBudget(0)
	l.Spool.Total, l.Spool.Dir = total, t.TempDir()
	a := newApp(t, l, p)
	a.SpoolRequests, a.SpoolResponses = true, true
	t.Cleanup(func() {
		used, _, _ := total.Files()
		if total.Used() != 0 || used != 0 {
			t.Errorf("%d bytes and %d files of spools are left", total.Used(), used)
		}
	})
	return a, total
}

// idle waits until no connection of the App is in use.
func idle(t testing.TB, a *App) {
	t.Helper()
	testkit.Until(t, "no connection is in use", func() bool { return a.Load().Running == 0 })
}

// TestSlowClientsHoldNoConnection: two connections serve a thousand clients none of which takes its
// response or, of half of them, sends its body, and a client that does both is served meanwhile.
func TestSlowClientsHoldNoConnection(t *testing.T) {
	text := peer.Text(60_000)
	a, _ := spooled(t, Limits{Connections: 2, Keep: 2, QueueWait: -1, Spool: spool.Limits{Memory: 100_000}}, peer.New(t, "unix", func(c *peer.Conn) {
		for {
			vars, body, err := c.Receive()
			if err != nil || len(body) > 0 && len(body) != 3*cgi.BodyAhead || c.Respond(text+vars["N"]) != nil {
				return
			}
		}
	}))
	const clients = 1000
	var runs []*aheadRun
	var uploads []*io.PipeWriter
	for i := range clients {
		r := newRequest("GET", nil)
		if i%2 == 1 {
			body, w := io.Pipe()
			uploads = append(uploads, w)
			r = newRequest("POST", knownBody{body, 3 * cgi.BodyAhead})
			go w.Write(make([]byte, 2*cgi.BodyAhead))
		}
		runs = append(runs, runStuck(a, r, newStuckClient()))
	}
	idle(t, a)
	got, log := run(t, a, newRequest("POST", strings.NewReader(strings.Repeat("x", 3*cgi.BodyAhead))))
	wantOK(t, got, log, text)
	for _, w := range uploads {
		w.Write(make([]byte, cgi.BodyAhead))
		w.Close()
	}
	idle(t, a)
	for _, run := range runs {
		select {
		case <-run.done:
			t.Fatal("a client that takes nothing has its response")
		default:
		}
	}
	for _, run := range runs {
		run.ok(t, text)
	}
}

// TestReadAhead: what a client gets that is slow now and then is what the application has sent.
func TestReadAhead(t *testing.T) {
	text := peer.Text(3 << 20)
	for _, tt := range []struct {
		name  string
		spool spool.Limits
		size  int // of records
	}{
		{"memory", spool.Limits{Memory: 10 << 20}, record.MaxAligned},
		{"file", spool.Limits{Memory: 1}, record.MaxAligned},
		{"small records", spool.Limits{}, 1000},
		{"a small spool", spool.Limits{Max: 200_000}, record.MaxAligned},
		{"no room", spool.Limits{Max: 1}, record.MaxAligned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, total := spooled(t, Limits{Keep: 1, Spool: tt.spool}, peer.New(t, "unix", func(c *peer.Conn) {
				for {
					if _, _, err := c.Receive(); err != nil {
						return
					}
					b := c.Stdout(peer.Head)
					for rest := text; len(rest) > 0; {
						n := min(tt.size, len(rest))
						b = append(b, c.Stdout(rest[:n])...)
						rest = rest[n:]
					}
					c.Send(b, c.End(0, 0))
				}
			}))
			for range 3 {
				client := newStuckClient()
				client.steps, client.stuck = true, make(chan int)
				run := runStuck(a, newRequest("GET", nil), client)
				for i := 0; ; i++ {
					select {
					case <-client.stuck:
					case <-run.done:
						wantOK(t, &client.Recorder, &run.log, text)
						if max := total.Max(); total.Used() > max {
							t.Errorf("%d bytes in the spool", total.Used())
						}
						i = -1
					}
					if i < 0 {
						break
					}
					if i%5 == 0 {
						time.Sleep(2 * stall)
					}
					client.writes <- nil
				}
			}
		})
	}
}

// stall is longer than a client is waited for until its response is read ahead.
const stall = 3 * time.Millisecond

// TestReadAheadEndsBefore: a response that a client does not take has ended for its connection, whichever way the
// application ends it, and what has come is the client's.
func TestReadAheadEndsBefore(t *testing.T) {
	text := peer.Text(1 << 20)
	for _, tt := range []struct {
		name string
		end  func(c *peer.Conn)
		want cgi.End
		log  string
	}{
		{"complete", func(c *peer.Conn) { c.Send(c.End(0, 0)) }, cgi.Complete, ""},
		{"with a status", func(c *peer.Conn) { c.Send(c.End(3, 0)) }, cgi.Complete, "status=3"},
		{"with stderr", func(c *peer.Conn) { c.Send(c.Stderr("complaint\n"), c.End(0, 0)) }, cgi.Complete, "complaint"},
		{"broken off", func(c *peer.Conn) { c.Close() }, cgi.Truncated, "the connection ended after"},
		{"no record", func(c *peer.Conn) { c.Write(make([]byte, 100)) }, cgi.Truncated, "record version"},
		{"silent", func(c *peer.Conn) { c.Wait() }, cgi.Truncated, "silence of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := spooled(t, Limits{Keep: 1, Silence: 500 * time.Millisecond}, peer.New(t, "unix", func(c *peer.Conn) {
				c.Receive()
				if c.Send(c.Stdout(peer.Head+text)) == nil {
					tt.end(c)
				}
				c.Wait()
			}))
			var log testkit.Log
			a.Log = log.Logger()
			r := newRequest("GET", nil)
			r.Stderr = &log
			run := runStuck(a, r, newStuckClient())
			idle(t, a)
			run.got.writes <- nil
			testkit.Receive(t, "the end of the response", run.done)
			if got := run.got; got.Outcome.End != tt.want || got.Body.String() != text || !strings.Contains(log.String()+run.log.String(), tt.log) {
				t.Errorf("%v with %d bytes\n%s%s", got.Outcome, got.Body.Len(), log.String(), run.log.String())
			}
		})
	}
}

// TestReadAheadStream: blocks that an application sends now and then reach a client at once, also
// after that was slow.
func TestReadAheadStream(t *testing.T) {
	next := make(chan string)
	large := peer.Text(300_000)
	a, _ := spooled(t, Limits{}, peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		c.Send(c.Stdout(peer.Head))
		for s := range next {
			c.Send(c.Stdout(s))
		}
		c.Send(c.End(0, 0))
	}))
	l := serve(t, "unix", a)
	c, err := client.Dial(t.Context(), "unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	resp, err := c.Do(t.Context(), &client.Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	read := func(want string) {
		t.Helper()
		b := make([]byte, len(want))
		if _, err := io.ReadFull(resp, b); err != nil || string(b) != want {
			t.Fatalf("%v, or other bytes", err)
		}
	}
	next <- "first\n"
	read("first\n")
	for range 5 {
		for range 4 { // more than the sockets take
			next <- large
		}
		for range 4 {
			read(large)
		}
		for _, s := range []string{"a\n", "b\n", "c\n"} {
			next <- s
			read(s)
		}
	}
	close(next)
	if b, err := io.ReadAll(resp); err != nil || len(b) > 0 {
		t.Errorf("%q, %v", b, err)
	}
}

// TestReadAheadGivenUp: a client that leaves ends the reading ahead, and so does a request that is
// cancelled, while the client still takes nothing.
func TestReadAheadGivenUp(t *testing.T) {
	left := errors.New("the client has left")
	for _, cancels := range []bool{false, true} {
		ended := make(chan bool)
		a, total := spooled(t, Limits{Keep: 1}, peer.New(t, "unix", func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(peer.Head + peer.Text(1<<20)))
			c.Wait()
			ended <- true
		}))
		ctx, cancel := context.WithCancelCause(t.Context())
		r := newRequest("GET", nil)
		r.SetContext(ctx)
		run := runStuck(a, r, newStuckClient())
		testkit.Until(t, "all is read ahead", func() bool { return total.Used() > 900_000 })
		if cancels {
			cancel(left)
			testkit.Receive(t, "the end of the connection", ended)
			idle(t, a)
		}
		run.got.writes <- cgi.ErrAborted
		testkit.Receive(t, "the end of the request", run.done)
		if !cancels {
			testkit.Receive(t, "the end of the connection", ended)
		}
		if run.got.Outcome.End == cgi.Complete {
			t.Error("a response is complete that nobody took")
		}
		cancel(nil)
	}
}

// TestReadAheadBounded: an answer of a gigabyte to a client that takes nothing is held to the
// bounds of the spool, and the write limit of the front-end ends it.
func TestReadAheadBounded(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		sent := make(chan int, 1)
		a, total := spooled(t, Limits{Spool: spool.Limits{Memory: 1 << 20, Max: 8 << 20}}, peer.New(t, network, func(c *peer.Conn) {
			c.Receive()
			c.Send(c.Stdout(peer.Head))
			block, n := c.Stdout(peer.Text(1<<20)), 0
			for n < 1<<30 && c.Send(block) == nil {
				n += 1 << 20
			}
			sent <- n
		}))
		memory := spool.NewBudget(0)
		a.Limits.Spool.MemoryTotal = memory
		l := testkit.Listen(t, network)
		s := &fastcgi.Server{App: a, Limits: cgi.Limits{Write: time.Second}, Log: new(testkit.Log).Logger()}
		testkit.Serve(t, s, l, fastcgi.ErrServerClosed)
		c, err := client.Dial(t.Context(), l.Addr().Network(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Begin(t.Context(), &client.Request{}); err != nil {
			t.Fatal(err)
		}
		most := int64(0)
		testkit.Until(t, "the spool is full", func() bool {
			most = max(most, total.Used())
			return most > 7<<20
		})
		if m := memory.Used(); m > 1<<20+64<<10 {
			t.Errorf("%s: %d bytes in memory", network, m)
		}
		if n := testkit.Receive(t, "the end of the response", sent); n > 32<<20 {
			t.Errorf("%s: the gateway has taken %d bytes", network, n)
		}
		if most > 8<<20 {
			t.Errorf("%s: %d bytes in the spool", network, most)
		}
		idle(t, a)
		testkit.Until(t, "the spool is empty", func() bool { return total.Used() == 0 && memory.Used() == 0 })
	}
}

// TestSpooledRequests: a body is spooled as a whole, and one that cannot be is refused.
func TestSpooledRequests(t *testing.T) {
	p := peer.New(t, "unix", func(c *peer.Conn) {
		if _, body, err := c.Receive(); err == nil {
			c.Respond(body)
		}
	})
	text := peer.Text(3 * cgi.BodyAhead)
	for _, tt := range []struct {
		name   string
		limits spool.Limits
		length int
		code   int
		check  string
	}{
		{"memory", spool.Limits{}, len(text), 200, ""},
		{"file", spool.Limits{Memory: 1}, len(text), 200, ""},
		{"of unknown length", spool.Limits{}, -1, 200, ""},
		{"too long", spool.Limits{Max: int64(len(text) - 1)}, len(text), 413, "spool_bytes"},
		{"too long, of unknown length", spool.Limits{Max: int64(len(text) - 1)}, -1, 413, "spool_bytes"},
		{"no room", spool.Limits{Total: spool.NewBudget(100_000)}, len(text), 503, "spool_total"},
		{"no directory", spool.Limits{Memory: 1, Dir: "/no/such/directory"}, len(text), 503, "spool_dir"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t, Limits{Spool: tt.limits}, p)
			a.SpoolRequests = true
			r := newRequest("POST", strings.NewReader(text))
			r.ContentLength = int64(tt.length)
			got, log := run(t, a, r)
			if tt.code == http.StatusOK {
				wantOK(t, got, log, text)
			} else if got.Head.Code != tt.code || !strings.Contains(log.String(), tt.check) {
				t.Errorf("%d\n%s", got.Head.Code, log)
			}
		})
	}
}

// TestReadAheadSiblings: many clients of different pace, at once, each get their own response.
func TestReadAheadSiblings(t *testing.T) {
	a, _ := spooled(t, Limits{Connections: 3, Keep: 3, Spool: spool.Limits{Memory: 100_000}}, peer.New(t, "unix", func(c *peer.Conn) {
		for {
			vars, _, err := c.Receive()
			if err != nil || c.Respond(strings.Repeat(vars["N"], 500_000)) != nil {
				return
			}
		}
	}))
	var all sync.WaitGroup
	for i := range 26 {
		all.Go(func() {
			n := string(rune('a' + i))
			for j := range 4 {
				client := newStuckClient()
				client.steps, client.stuck = true, make(chan int)
				run := runStuck(a, newRequest("GET", nil, "N="+n), client)
				for over := false; !over; {
					select {
					case <-client.stuck:
						if (i+j)%2 == 0 {
							time.Sleep(stall)
						}
						client.writes <- nil
					case <-run.done:
						over = true
					}
				}
				wantOK(t, &client.Recorder, &run.log, strings.Repeat(n, 500_000))
			}
		})
	}
	all.Wait()
}
