package admission

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
)

func newGate(l Limits) (*Gate, *strings.Builder) {
	log := new(strings.Builder)
	return New(l, slog.New(slog.NewTextHandler(log, nil))), log
}

// checkEmpty asserts that nothing is left of what has run and waited.
func (g *Gate) checkEmpty(t *testing.T) {
	t.Helper()
	if g.free != g.limits.Programs || g.load.Running != 0 || g.load.Waiting != 0 || len(g.ready) != 0 ||
		len(g.scripts) != 0 || len(g.addresses) != 0 || len(g.anyScript.byAddress) != 0 || g.anyAddress.waiting != 0 || len(g.anyAddress.parked) != 0 {
		t.Errorf("left over: %d of %d free, %+v, %d ready, scripts %v, addresses %v", g.free, g.limits.Programs, g.load, len(g.ready), g.scripts, g.addresses)
	}
}

func TestAdmissionIsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGate(Limits{Programs: 1})
		p, err := g.Enter(context.Background(), "/x", "")
		if err != nil {
			t.Fatal(err)
		}
		order := make(chan int, 5)
		for i := range cap(order) {
			go func() {
				p, err := g.Enter(context.Background(), "/x", "")
				if err != nil {
					t.Error(err)
				}
				order <- i
				g.Leave(p)
			}()
			synctest.Wait()
		}
		g.Leave(p)
		for i := range cap(order) {
			if got := <-order; got != i {
				t.Errorf("place %d went to %d", i, got)
			}
		}
		synctest.Wait()
		g.checkEmpty(t)
	})
}

func TestAdmissionRefuses(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		busy   string
	}{
		{Limits{Programs: 1, Queue: 1}, "1 programs run (programs)"},
		{Limits{Programs: 5, Queue: 1, ProgramsPerScript: 1}, "1 programs of this script run (programs_per_script)"},
		{Limits{Programs: 5, Queue: 1, ProgramsPerAddress: 1}, "1 programs run for 192.0.2.1 (programs_per_address)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			g, log := newGate(c.limits)
			enter := func(ctx context.Context) (Place, error) { return g.Enter(ctx, "/x", "192.0.2.1") }
			first, err := enter(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			waits := make(chan error, 1)
			start := time.Now()
			begin := func(ctx context.Context) {
				go func() {
					_, err := enter(ctx)
					waits <- err
				}()
				synctest.Wait()
			}
			begin(context.Background())
			var se *cgi.StatusError
			_, err = enter(context.Background())
			if want := c.busy + " and 1 requests wait (queue)"; !errors.As(err, &se) || se.Code != 503 || se.RetryAfter != 10*time.Second || se.Err.Error() != want {
				t.Errorf("beyond the queue: %v; want 503 with Retry-After, %s", err, want)
			}
			err = <-waits
			if want := "no turn within 10s (queue_wait): " + c.busy; !errors.As(err, &se) || se.Code != 503 || se.Err.Error() != want || time.Since(start) != 10*time.Second {
				t.Errorf("after %v: %v; want 503 after 10s, %s", time.Since(start), err, want)
			}
			if want := (Load{Running: 1, Waited: 1, Refused: 2}); g.load != want {
				t.Errorf("%+v; want %+v", g.load, want)
			}
			if !strings.Contains(log.String(), `reason="`+c.busy+`"`) {
				t.Errorf("log %q; want %q", log, c.busy)
			}
			// A client that vanishes leaves the queue.
			ctx, cancel := context.WithCancelCause(context.Background())
			begin(ctx)
			cancel(cgi.ErrAborted)
			if err := <-waits; !errors.Is(err, cgi.ErrAborted) || g.load.Waiting != 0 || g.load.Refused != 2 {
				t.Errorf("%v with %+v; want aborted, none in the queue", err, g.load)
			}
			g.Leave(first)
			g.checkEmpty(t)
		})
	}
}

// TestTurnAtTheLastMoment holds the place of a client that vanishes while it gets its
// turn.
func TestTurnAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 { // select chooses at random
			g, _ := newGate(Limits{Programs: 1})
			first, _ := g.Enter(context.Background(), "/x", "")
			ctx, cancel := context.WithCancelCause(context.Background())
			go func() {
				if p, err := g.Enter(ctx, "/x", ""); err == nil {
					g.Leave(p)
				} else if err != cgi.ErrAborted {
					t.Error(err)
				}
			}()
			synctest.Wait()
			cancel(cgi.ErrAborted)
			g.Leave(first)
			synctest.Wait()
			g.checkEmpty(t)
		}
	})
}

// TestTurnAtTheEndOfTheWait: a turn that comes together with the end of queue_wait is
// either taken or given back.
func TestTurnAtTheEndOfTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			g, _ := newGate(Limits{Programs: 1})
			first, _ := g.Enter(context.Background(), "/x", "")
			go func() {
				if p, err := g.Enter(context.Background(), "/x", ""); err == nil {
					g.Leave(p)
				}
			}()
			time.Sleep(g.limits.QueueWait)
			g.Leave(first)
			synctest.Wait()
			g.checkEmpty(t)
		}
	})
}

// TestAdmissionForgets: clients that only waited, or were refused, leave nothing.
func TestAdmissionForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGate(Limits{Programs: 1, Queue: 10, ProgramsPerScript: 1, ProgramsPerAddress: 1})
		first, _ := g.Enter(context.Background(), "/x", "192.0.2.1")
		ctx, cancel := context.WithCancelCause(context.Background())
		for i := range 200 {
			go g.Enter(ctx, fmt.Sprint("/", i), fmt.Sprint("198.51.100.", i))
			synctest.Wait()
		}
		if want := (Load{Running: 1, Waiting: 10, Waited: 10, Refused: 190}); g.load != want || len(g.addresses) != 11 || len(g.scripts) != 11 {
			t.Errorf("%+v, %d addresses, %d scripts; want %+v, and 11 of each", g.load, len(g.addresses), len(g.scripts), want)
		}
		cancel(cgi.ErrAborted)
		synctest.Wait()
		if len(g.addresses) != 1 || len(g.scripts) != 1 {
			t.Errorf("%d addresses, %d scripts; want 1 of each", len(g.addresses), len(g.scripts))
		}
		g.Leave(first)
		g.checkEmpty(t)
	})
}

func TestNoQueue(t *testing.T) {
	g, _ := newGate(Limits{Programs: 1, Queue: -1})
	g.Enter(context.Background(), "/x", "")
	if _, err := g.Enter(context.Background(), "/x", ""); err == nil {
		t.Error("a request waits without a queue")
	}
	if g.load.Refused != 1 {
		t.Errorf("%+v; want one refused", g.load)
	}
}

// TestNobodyIsHeldUp: who waits for a script or a client at its limit stands in
// nobody's way, and the order of arrival holds among the rest.
func TestNobodyIsHeldUp(t *testing.T) {
	g, _ := newGate(Limits{Programs: 3, ProgramsPerScript: 2, ProgramsPerAddress: 2})
	m := gateModel{t: t, Gate: g}
	m.arrive("/slow", "192.0.2.1")
	m.arrive("/slow", "192.0.2.2")
	for range 100 {
		m.arrive("/slow", "192.0.2.3") // wait for the script
	}
	m.arrive("/fast", "192.0.2.1") // the third program, at once
	m.arrive("/fast", "192.0.2.1") // waits for the address
	m.arrive("/fast", "192.0.2.2") // wait for any program
	m.arrive("/fast", "192.0.2.4")
	m.expect("0 /slow, 1 /slow, 102 /fast")
	m.leave(102)
	m.expect("0 /slow, 1 /slow, 103 /fast") // whose address has room again
	m.leave(1)
	m.expect("0 /slow, 103 /fast, 2 /slow")
	m.leave(0)
	m.expect("103 /fast, 2 /slow, 3 /slow")
	m.leave(2)
	m.expect("103 /fast, 3 /slow, 4 /slow")
}

// A gateModel does to a Gate, without goroutines, what requests do, and
// holds it against a list that is searched from its beginning.
type gateModel struct {
	t *testing.T
	*Gate
	next             int
	running, waiting []*modelRequest
}

type modelRequest struct {
	n               int
	script, address string
	place           Place
	waiter          *waiter // nil if it ran at once
}

func (m *gateModel) arrive(script, address string) {
	r := &modelRequest{n: m.next, script: script, address: address, place: m.place(script, address)}
	m.next++
	if m.free > 0 && r.place.mayRun() {
		m.occupy(r.place)
		m.running = append(m.running, r)
		if !m.mayRun(r, len(m.running)-1) {
			m.t.Fatalf("%d runs and may not", r.n)
		}
		return
	}
	r.waiter = m.wait(r.place)
	m.waiting = append(m.waiting, r)
	m.compare()
}

// mayRun reports whether r may run beside the first n that run.
func (m *gateModel) mayRun(r *modelRequest, n int) bool {
	script, address := 0, 0
	for _, x := range m.running[:n] {
		if x.script == r.script {
			script++
		}
		if x.address == r.address {
			address++
		}
	}
	return n < m.limits.Programs && script < m.limits.ProgramsPerScript && address < m.limits.ProgramsPerAddress
}

// compare starts in the list all that may run, and asserts that those have their turn
// and no others.
func (m *gateModel) compare() {
	for i := 0; i < len(m.waiting); i++ {
		r := m.waiting[i]
		turn := false
		select {
		case <-r.waiter.turn:
			turn = true
		default:
		}
		may := m.mayRun(r, len(m.running))
		if turn != may {
			m.t.Fatalf("request %d, %s for %s: runs %v, may run %v, of\n%v", r.n, r.script, r.address, turn, may, m)
		}
		if may {
			m.running = append(m.running, r)
			m.waiting = slices.Delete(m.waiting, i, i+1)
			i--
		}
	}
	if l := m.load; l.Running != len(m.running) || l.Waiting != len(m.waiting) || m.free != m.limits.Programs-l.Running {
		m.t.Fatalf("%+v, %d free; want %d running, %d waiting", l, m.free, len(m.running), len(m.waiting))
	}
}

func (m *gateModel) String() string {
	var b strings.Builder
	for i, r := range m.running {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, r.n, " ", r.script)
	}
	return b.String()
}

// leave ends the n-th request that arrived, which runs.
func (m *gateModel) leave(n int) {
	i := slices.IndexFunc(m.running, func(r *modelRequest) bool { return r.n == n })
	m.end(i)
}

func (m *gateModel) end(i int) {
	r := m.running[i]
	m.running = slices.Delete(m.running, i, i+1)
	m.leaveLocked(r.place)
	m.compare()
}

// vanish takes the i-th that waits away.
func (m *gateModel) vanish(i int) {
	r := m.waiting[i]
	m.waiting = slices.Delete(m.waiting, i, i+1)
	m.remove(r.waiter)
	m.dropUnused(r.place)
	m.compare()
}

func (m *gateModel) expect(running string) {
	m.t.Helper()
	if got := m.String(); got != running {
		m.t.Errorf("run: %s; want %s", got, running)
	}
}

// TestAdmissionAgainstAList does at random what requests do.
func TestAdmissionAgainstAList(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		g, _ := newGate(Limits{
			Programs:           1 + rnd.IntN(8),
			ProgramsPerScript:  1 + rnd.IntN(5),
			ProgramsPerAddress: 1 + rnd.IntN(5),
		})
		m := gateModel{t: t, Gate: g}
		for range 500 {
			switch k := rnd.IntN(10); {
			case k < 5:
				m.arrive(fmt.Sprint("/", rnd.IntN(6)), fmt.Sprint("192.0.2.", rnd.IntN(6)))
			case k < 8 && len(m.running) > 0:
				m.end(rnd.IntN(len(m.running)))
			case len(m.waiting) > 0:
				m.vanish(rnd.IntN(len(m.waiting)))
			}
		}
		for len(m.running) > 0 {
			m.end(rnd.IntN(len(m.running)))
		}
		g.checkEmpty(t)
	}
}

func TestClientOf(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1":                    "192.0.2.1",
		"::ffff:192.0.2.1":             "192.0.2.1",
		"2001:db8::1":                  "2001:db8::/64",
		"2001:db8:0:0:ffff:ffff::":     "2001:db8::/64",
		"2001:db8:0:1::":               "2001:db8:0:1::/64",
		"fe80::1%eth0":                 "fe80::/64",
		"":                             "",
		"unix:":                        "",
		"[2001:db8::1]":                "",
		"192.0.2.1, 198.51.100.1":      "",
		strings.Repeat("192.0.2.1", 9): "",
	} {
		if got := clientOf(remote); got != want {
			t.Errorf("%q counts as %q; want %q", remote, got, want)
		}
	}
}

// TestWaitingIsLogged: requests that wait have a line, and a crowd of them a few.
func TestWaitingIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, log := newGate(Limits{Programs: 1, QueueWait: time.Hour})
		first, _ := g.Enter(context.Background(), "/x", "")
		wait := func(n int) {
			for range n {
				go func() {
					p, err := g.Enter(context.Background(), "/x", "")
					if err != nil {
						t.Error(err)
					}
					g.Leave(p)
				}()
				synctest.Wait()
			}
		}
		wait(100)
		time.Sleep(waitLogPause)
		wait(50)
		g.Leave(first)
		synctest.Wait()
		g.checkEmpty(t)
		for _, want := range []string{
			`level=WARN msg="requests wait for programs to end" began=1 waiting=1 running=1 reason="1 programs run (programs)"`,
			`level=WARN msg="requests wait for programs to end" began=100 waiting=101 running=1 reason="1 programs run (programs)"`,
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, log)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d lines; want 2", n)
		}
		if g.load.Waited != 150 {
			t.Errorf("%+v; want 150 that have waited", g.load)
		}
	})
}

// TestMeasure: what runs and waits, beside its limits, and a request that tells how long it has
// waited.
func TestMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			limits          Limits
			programs, queue int64
		}{
			{Limits{Programs: 1, Queue: 5}, 1, 5},
			{Limits{Programs: -1, Queue: -1}, 0, -1},
		} {
			g, _ := newGate(c.limits)
			var s cgi.AppState
			g.Measure(&s)
			if want := (cgi.AppState{Programs: cgi.Use{Limit: c.programs}, Queue: cgi.Use{Limit: c.queue}}); fmt.Sprint(s) != fmt.Sprint(want) {
				t.Errorf("%+v, want %+v", s, want)
			}
		}
		g, _ := newGate(Limits{Programs: 1, Queue: 1, QueueWait: time.Hour})
		h := &cgi.Handler{Log: slog.New(slog.DiscardHandler)}
		run := func() cgi.Result {
			return h.Run(cgitest.NewRequest(cgi.NewEnviron("REMOTE_ADDR=192.0.2.1")), new(cgitest.Recorder), cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				p, err := g.Admit(r.Context(), r, "/x")
				if err != nil {
					return err
				}
				g.Leave(p)
				return w.StartResponse("204 No Content", nil)
			}))
		}
		if res := run(); res.Usage.Queued != 0 {
			t.Errorf("at once: %+v", res)
		}
		first, err := g.Enter(t.Context(), "/x", "")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan cgi.Result)
		go func() { done <- run() }()
		synctest.Wait()
		time.Sleep(3 * time.Second)
		var s cgi.AppState
		g.Measure(&s)
		if s.Programs.Used != 1 || s.Queue.Used != 1 || s.Programs.Waited != 1 {
			t.Errorf("%+v", s)
		}
		if list := h.InFlight(); len(list) != 1 || list[0].State != cgi.Waiting || list[0].Usage.Queued != 3*time.Second {
			t.Errorf("in flight: %+v", list)
		}
		if res := run(); res.Code != 503 || res.Check != "queue" {
			t.Errorf("beyond the queue: %+v", res)
		}
		g.Leave(first)
		if res := <-done; res.Usage.Queued != 3*time.Second || res.Duration != 3*time.Second {
			t.Errorf("in the queue: %+v", res)
		}
		if s := h.Stats()[0]; s.Wait.Count() != 1 || s.Wait.Sum != 3*time.Second || s.Refusals["queue"] != 1 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}
