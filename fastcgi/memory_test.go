package fastcgi

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
	"gatehouse/internal/testkit"
)

// unfinished is a request whose PARAMS have not ended, with n bytes of them.
func unfinished(id uint16, n int) []byte {
	return append(begin(id, 1), record.AppendStream(nil, record.Params, id, []byte("\x01\x84\x00\x00\x00A"+strings.Repeat("x", n-6)))...)
}

// TestParamsTotal: connections that hoard variables hold no more than the total, and usual
// requests are served beside them.
func TestParamsTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		total := spool.NewBudget(1 << 20)
		ts := serve(t, "memory", &Server{App: hello, Limits: cgi.Limits{ParamsTotal: total}})
		hoarder := ts.dial()
		hoarder.send(unfinished(1, 700<<10))
		testkit.Until(t, "hoarding", func() bool { return total.Used() >= 600<<10 })
		second := ts.dial()
		go second.Write(unfinished(1, 900<<10))
		if a := second.answer(1); !strings.HasPrefix(a.stdout, "Status: 503 ") || !strings.Contains(a.stdout, "Retry-After:") {
			t.Errorf("beyond the total: got %q", a.stdout)
		}
		second.closed()
		if used := total.Used(); used > total.Max() {
			t.Errorf("%d bytes are taken of %d", used, total.Max())
		}
		usual := ts.dial()
		usual.send(get(1, 1, "X="+strings.Repeat("x", 30<<10)))
		if a := usual.answer(1); a.stdout != helloAnswer {
			t.Errorf("a usual request got %+v", a)
		}
		hoarder.Close()
		testkit.Until(t, "giving back the memory", func() bool { return total.Used() == 0 })
		usual.send(get(1, 1, "X="+strings.Repeat("x", 900<<10)))
		if a := usual.answer(1); a.stdout != helloAnswer {
			t.Errorf("after the hoarder, a large request got %+v", a)
		}
		ts.Close()
		if n := strings.Count(ts.logs.String(), "params_total"); n != 1 {
			t.Errorf("%d log lines name the key, want 1: %s", n, ts.logs)
		}
	})
}

// TestScarceMemory: once most of the total is taken, variables that are part of it have a
// second to arrive; those of a usual request have as long as ever.
func TestScarceMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := serve(t, "memory", &Server{App: hello, Limits: cgi.Limits{ParamsTotal: spool.NewBudget(1 << 20), Idle: time.Hour}})
		usual, hoarder := ts.dial(), ts.dial()
		usual.SetDeadline(time.Time{})
		usual.send(begin(1, 1))
		hoarder.send(unfinished(1, 700<<10))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if log := ts.logs.String(); log != "" {
			t.Errorf("closed while there was room: %s", log)
		}
		began := time.Now()
		hoarder.send(unfinished(2, 100<<10))
		hoarder.closed()
		if took := time.Since(began); took > frontend.ScarceHead+bubbleTick {
			t.Errorf("the hoarder was closed after %v", took)
		}
		usual.send(params(1, "A=b"), endStdin(1))
		usual.answer(1)
		if log := ts.logs.String(); strings.Count(log, "limit=params_total") != 1 {
			t.Errorf("no line, or more than one, names the key: %s", log)
		}
	})
}

// TestRequestsInParamsTotal: beyond the first request of a connection, each one that is begun
// counts, and is refused when the total is taken. Those of other connections are not.
func TestRequestsInParamsTotal(t *testing.T) {
	total := spool.NewBudget(3 * frontend.FreeMemory)
	release := make(chan struct{})
	wait := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.Env.Get("WAIT") != "" {
			<-release
		}
		return hello(w, r)
	})
	ts := serve(t, "unix", &Server{App: wait, Limits: cgi.Limits{ParamsTotal: total}})
	c := ts.dial()
	for id := uint16(1); id <= 5; id++ {
		c.send(get(id, 1, "WAIT=1"))
	}
	if a := c.answer(5); a.end.ProtocolStatus != record.CantMpxConn {
		t.Errorf("the request beyond the total got %+v", a)
	}
	other := ts.dial()
	for range 3 {
		other.send(get(1, 1))
		if a := other.answer(1); a.stdout != helloAnswer {
			t.Errorf("a connection with one request got %+v", a)
		}
	}
	close(release)
	answers := make(map[uint16]*answer)
	if err := c.collect(answers, 4); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "giving back the memory", func() bool { return total.Used() == 0 })
	c.send(get(5, 1))
	if a := c.answer(5); a.stdout != helloAnswer {
		t.Errorf("after the others the request got %+v", a)
	}
	ts.Close()
	if !strings.Contains(ts.logs.String(), "limit=params_total") {
		t.Errorf("log does not name the key: %s", ts.logs)
	}
}

// TestNextRequestWaitsForMemory: where the total is taken, a web server that has a response
// can send its next request although the handler of the last one has not returned.
func TestNextRequestWaitsForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		handler := &cgi.Handler{AccessLog: func(*cgi.Request, cgi.Result) { <-release }}
		ts := serve(t, "memory", &Server{App: hello, Handler: handler, Limits: cgi.Limits{ParamsTotal: spool.NewBudget(1)}})
		c := ts.dial()
		c.send(get(2, 1)) // not 1: it has a goroutine of its own
		c.answer(2)
		c.send(get(3, 1))
		synctest.Wait()
		close(release)
		if a := c.answer(3); a.stdout != helloAnswer {
			t.Errorf("got %+v", a)
		}
	})
}

// TestBodiesWithoutMemory: bodies that no memory is left for are kept in files.
func TestBodiesWithoutMemory(t *testing.T) {
	for name, memory := range map[string]int64{"none": 1, "a queue": queueSize, "enough": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			begun := make(chan struct{}, 2)
			release := make(chan struct{})
			late := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				begun <- struct{}{}
				<-release
				return echo(w, r)
			})
			total := spool.NewBudget(memory)
			ts := serve(t, "unix", &Server{App: late, Limits: cgi.Limits{Spool: spool.Limits{MemoryTotal: total, Dir: t.TempDir()}}})
			c := ts.dial()
			body := strings.Repeat("0123456789", 20_000)
			vars := "CONTENT_LENGTH=" + strconv.Itoa(len(body))
			c.send(begin(1, 1), params(1, vars), begin(2, 1), params(2, vars))
			testkit.Receive(t, "the first request", begun)
			testkit.Receive(t, "the second request", begun)
			c.send(stdin(1, body), stdin(2, body), endStdin(1), endStdin(2), get(3, 1)) // 3 is read behind them
			testkit.Receive(t, "the third request", begun)
			if used := total.Used(); used > memory {
				t.Errorf("%d bytes of memory are taken of %d", used, memory)
			}
			close(release)
			answers := make(map[uint16]*answer)
			if err := c.collect(answers, 3); err != nil {
				t.Fatal(err)
			}
			for id := uint16(1); id <= 2; id++ {
				if got := bodyOf(t, answers[id]); got != body {
					t.Errorf("request %d got %d bytes", id, len(got))
				}
			}
			testkit.Until(t, "giving back the memory", func() bool { return total.Used() == 0 })
		})
	}
}
