package gatehouse

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
	"gatehouse/systemd"
)

// managed returns the Notifier of a process that m manages.
func managed(t *testing.T, m *testkit.ServiceManager, watchdog time.Duration) *systemd.Notifier {
	t.Helper()
	env := map[string]string{"NOTIFY_SOCKET": m.Path}
	if watchdog > 0 {
		env["WATCHDOG_USEC"] = strconv.FormatInt(watchdog.Microseconds(), 10)
	}
	n, err := processOf(env).Notifier()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// processOf returns a process with an environment, and nothing to serve on.
func processOf(env map[string]string) systemd.Process {
	return systemd.Process{
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Unsetenv:  func(name string) error { delete(env, name); return nil },
		Inspect:   func(int) (systemd.Socket, error) { return systemd.Socket{}, os.ErrNotExist },
	}
}

// receive asserts that the next message is one of want, or of what may come at any time.
func receive(t *testing.T, m *testkit.ServiceManager, want string, anytime ...string) string {
	t.Helper()
	for {
		got, _ := m.Receive(t)
		switch {
		case regexp.MustCompile("^(" + want + ")$").MatchString(got):
			return got
		case !slices.ContainsFunc(anytime, func(s string) bool { return strings.HasPrefix(got, s) }):
			t.Fatalf("got %q; want %s", got, want)
		}
	}
}

// serveManaged serves s until the returned function is called, which returns the error.
func serveManaged(t *testing.T, s *Server) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	stop = func() error {
		cancel()
		return testkit.Receive(t, "the end of Serve", served)
	}
	t.Cleanup(func() {
		s.Close()
		cancel()
	})
	return stop
}

// TestNotifications: READY when connections are accepted, the figures, STOPPING when the
// drain begins, and time for as long as it takes.
func TestNotifications(t *testing.T) {
	for _, p := range []Protocol{FastCGI, SCGI, HTTP} {
		m := testkit.NewServiceManager(t, "")
		l, app := testkit.Listen(t, "tcp"), newHeld()
		s := &Server{App: app, Endpoints: []Endpoint{{Protocol: p, Listener: l}}, process: processOf(map[string]string{"NOTIFY_SOCKET": m.Path})}
		stop := serveManaged(t, s)
		receive(t, m, "READY=1")
		receive(t, m, `STATUS=0 connections, 0 requests in flight, 0 served, 0/s`)
		c := testkit.Dial(t, l.Addr())
		c.Write(selfCheckRequest(p))
		<-app.entered
		ended := make(chan error, 1)
		go func() { ended <- stop() }()
		receive(t, m, "STOPPING=1", "STATUS=")
		receive(t, m, "EXTEND_TIMEOUT_USEC=10000000", "STATUS=")
		receive(t, m, `STATUS=draining: 1 connections, 1 requests in flight, 0 served, 0/s`)
		app.release <- struct{}{}
		if b, _ := io.ReadAll(c); !strings.Contains(string(b), "done") {
			t.Errorf("%s: response %q", p, b)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestManagerGone: a service manager that cannot be reached is a line in the log.
func TestManagerGone(t *testing.T) {
	m, logs := testkit.NewServiceManager(t, ""), new(testkit.Log)
	n := managed(t, m, 0)
	os.Remove(m.Path)
	s := &Server{App: newHeld(), Notifier: n, Log: logs.Logger(), Endpoints: []Endpoint{{Protocol: HTTP, Listener: testkit.Listen(t, "tcp")}}}
	stop := serveManaged(t, s)
	testkit.Until(t, "a line in the log", func() bool { return strings.Contains(logs.String(), "notification lost") })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(logs.String(), "notification lost"); n != 1 {
		t.Errorf("%d lines:\n%s", n, logs)
	}
}

// TestExtendTimeout: more time is asked for until Drain has passed.
func TestExtendTimeout(t *testing.T) {
	for limit, want := range map[time.Duration]int{30 * time.Second: 6, time.Second: 1, -1: 13} {
		m := testkit.NewServiceManager(t, "")
		n := managed(t, m, 0)
		sent := make(chan string, 100)
		go func() { // outside of the bubble: the queue of a socket is short
			defer close(sent)
			for {
				message, _ := m.Receive(t)
				if message == "STOPPING=1" {
					return
				}
				sent <- message
			}
		}()
		synctest.Test(t, func(t *testing.T) {
			v, err := (&Server{Notifier: n, Drain: limit}).supervise(nil)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				close(v.draining)
				time.Sleep(62 * time.Second)
				v.endNow()
			}()
			v.report()
		})
		n.Stopping()
		got := 0
		for message := range sent {
			if message == "EXTEND_TIMEOUT_USEC=10000000" {
				got++
			} else if !strings.HasPrefix(message, "STATUS=") {
				t.Errorf("got %q", message)
			}
		}
		if got != want {
			t.Errorf("drain of %v: %d messages; want %d", limit, got, want)
		}
	}
}

// TestStatus: only what has changed is sent, and the rate is that since the last time.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := func(n uint64) cgi.RequestStats { return cgi.RequestStats{Ended: []cgi.EndCount{{Count: n}}} }
		var s status
		s.next(requests(0), 0, false)
		if line, changed := s.next(requests(0), 0, false); changed {
			t.Errorf("%q has not changed", line)
		}
		time.Sleep(statusEvery)
		if line, changed := s.next(requests(50), 2, false); line != "2 connections, 0 requests in flight, 50 served, 10/s" || !changed {
			t.Errorf("got %q, %v", line, changed)
		}
	})
}

// TestKeepAlive: twice for each limit, sooner again after a failure, and a line for several.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 40 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		var alive []time.Duration
		failed, begun := 0, time.Now()
		hung := func() bool { d := time.Since(begun); return d >= 35*time.Second && d < 45*time.Second }
		time.AfterFunc(90*time.Second, cancel)
		keepAlive(ctx, limit, func(ctx context.Context) error {
			if hung() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, func() { alive = append(alive, time.Since(begun)) }, func(error) { failed++ })
		want := []time.Duration{0, 20, 52, 72}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(alive, want) || failed != 1 {
			t.Errorf("alive at %v, failed %d times; want %v, once", alive, failed, want)
		}
	})
}

// TestWatchdogAtLimits: a gateway with no place for a connection, whose programs are slow,
// and that lets nobody connect, is alive for three times the limit; and its self-check leaves
// no trace.
func TestWatchdogAtLimits(t *testing.T) {
	testkit.Longer(t, 200*time.Millisecond, watchdogAtLimits)
}

func watchdogAtLimits(t *testing.T, watchdog time.Duration) (early bool) {
	m, logs := testkit.NewServiceManager(t, ""), new(testkit.Log)
	app := newHeld()
	var logged atomic.Int32
	full := map[Protocol]net.Listener{FastCGI: testkit.Listen(t, "unix"), SCGI: testkit.Listen(t, "tcp"), HTTP: testkit.Listen(t, "tcp")}
	closed := map[Protocol]net.Listener{FastCGI: testkit.Listen(t, "tcp"), SCGI: testkit.Listen(t, "unix"), HTTP: testkit.Listen(t, "unix")}
	s := &Server{App: app, Notifier: managed(t, m, watchdog), Log: logs.Logger(), Limits: cgi.Limits{Connections: 1},
		Handler: &cgi.Handler{Log: logs.Logger(), AccessLog: func(*cgi.Request, cgi.Result) { logged.Add(1) }}}
	for p, l := range full {
		s.Endpoints = append(s.Endpoints, Endpoint{Protocol: p, Listener: l})
	}
	nobody := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for p, l := range closed {
		s.Endpoints = append(s.Endpoints, Endpoint{Protocol: p, Listener: l, Allow: nobody, AllowUsers: []uint32{4294967294}})
	}
	serveManaged(t, s)
	receive(t, m, "READY=1")
	for p, l := range full {
		testkit.Dial(t, l.Addr()).Write(selfCheckRequest(p))
		<-app.entered
		for range 3 {
			testkit.Dial(t, l.Addr()) // waits in the backlog
		}
	}
	for range 8 { // of half the limit
		receive(t, m, "WATCHDOG=1", "STATUS=")
	}
	if strings.Contains(logs.String(), "self-check failed") {
		return true
	}
	if log := logs.String(); logged.Load() > 0 || strings.Contains(log, "refused") {
		t.Errorf("the self-check has left a trace:\n%s", log)
	}
	return false
}

// TestSelfCheckRequests: the self-check gets a response from the front-end of each protocol,
// on both networks, past an allow list that nobody is on.
func TestSelfCheckRequests(t *testing.T) {
	for _, p := range []Protocol{FastCGI, SCGI, HTTP} {
		for _, network := range []string{"unix", "tcp"} {
			l, m := testkit.Listen(t, network), testkit.NewServiceManager(t, "")
			s := &Server{App: newHeld(), Notifier: managed(t, m, time.Hour), Log: new(testkit.Log).Logger()}
			v, err := s.supervise(nil)
			if err != nil {
				t.Fatal(err)
			}
			s.watch = v
			g := s.start([]Endpoint{{Protocol: p, Listener: l, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}})
			asked := 0
			testkit.Until(t, "a response", func() bool { // the loop may be on its way to Accept
				if err := v.endpoints()[0].pulse.Check(t.Context(), func(ctx context.Context, c net.Conn) error {
					asked++
					return exchange(ctx, p, c)
				}); err != nil {
					t.Fatalf("%s on %s: %v", p, network, err)
				}
				return asked > 0
			})
			if err := g.shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if err := v.selfCheck(t.Context()); err != nil {
				t.Errorf("after the end: %v", err)
			}
			v.close()
		}
	}
}

// A stuckListener stops accepting when it is told to.
type stuckListener struct {
	net.Listener
	stuck chan struct{} // closed: Accept keeps what it has accepted
	free  chan struct{}
}

func (l *stuckListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	select {
	case <-l.stuck:
		<-l.free
	default:
	}
	return c, err
}

func (l *stuckListener) SyscallConn() (syscall.RawConn, error) {
	return l.Listener.(syscall.Conn).SyscallConn()
}

// TestWatchdogHung: an accept loop that hangs is not alive, until it gets on.
func TestWatchdogHung(t *testing.T) {
	m, logs := testkit.NewServiceManager(t, ""), new(testkit.Log)
	l := &stuckListener{testkit.Listen(t, "tcp"), make(chan struct{}), make(chan struct{})}
	s := &Server{App: newHeld(), Notifier: managed(t, m, 200*time.Millisecond), Log: logs.Logger(), Endpoints: []Endpoint{{Protocol: SCGI, Listener: l}}}
	watch := make(chan *supervision, 1)
	s.Listening = func(net.Addr) { watch <- s.watch }
	serveManaged(t, s)
	receive(t, m, "READY=1")
	receive(t, m, "WATCHDOG=1", "STATUS=")
	close(l.stuck)
	v := <-watch
	testkit.Until(t, "a check that fails", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := v.selfCheck(ctx)
		return err != nil && err.Error() == "scgi on "+l.Addr().String()+": no connection is accepted"
	})
	testkit.Until(t, "a line in the log", func() bool { return strings.Contains(logs.String(), "self-check failed") })
	m.Drop() // what came before it hung
	close(l.free)
	receive(t, m, "WATCHDOG=1", "STATUS=")
}

// TestIdleExit: Serve ends after the last request, and not while one is in flight.
func TestIdleExit(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	passed := testkit.File(t, l) // that of the service manager
	m, app, logs := testkit.NewServiceManager(t, ""), newHeld(), new(testkit.Log)
	s := &Server{App: app, Notifier: managed(t, m, 0), Log: logs.Logger(), IdleExit: minIdleExit, Endpoints: []Endpoint{{Protocol: HTTP, Listener: l}}}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	receive(t, m, "READY=1")
	kept := testkit.Dial(t, l.Addr())
	io.WriteString(kept, "GET / HTTP/1.1\r\nHost: gate\r\n\r\n")
	<-app.entered
	if v := s.watch.load.idle(); v != 0 {
		t.Errorf("idle for %v with a request in flight", v)
	}
	app.release <- struct{}{}
	resp, err := http.ReadResponse(bufio.NewReader(kept), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != "done" || err != nil {
		t.Errorf("response %q, %v", b, err)
	}
	receive(t, m, "STOPPING=1", "STATUS=")
	if err := testkit.Receive(t, "the end of Serve", served); err != nil {
		t.Error(err)
	}
	if !strings.Contains(logs.String(), "no request has come for long") {
		t.Errorf("log:\n%s", logs)
	}
	// Nobody is refused: the next process accepts.
	waiting := testkit.Dial(t, l.Addr())
	next, err := net.FileListener(passed)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	c, err := next.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	waiting.Close()
}

// TestWaitIdle: the time runs from the last request.
func TestWaitIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := (&Server{IdleExit: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}).supervise(nil)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		app := v.count(cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { time.Sleep(25 * time.Second); return nil }))
		go func() {
			time.Sleep(3 * time.Second)
			app.ServeCGI(nil, nil)
		}()
		v.waitIdle()
		<-v.done()
		if d := time.Since(begun); d != 38*time.Second {
			t.Errorf("idle after %v; want 38 s", d)
		}
	})
}

// TestIdleExitRefused: nobody starts a process again that has opened its sockets itself.
func TestIdleExitRefused(t *testing.T) {
	own, err := Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{App: newHeld(), IdleExit: time.Minute, Endpoints: []Endpoint{{Protocol: HTTP, Listener: own}}}
	err = s.Serve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nobody would serve "+own.Addr().String()+" after it") {
		t.Errorf("got %v", err)
	}
	if _, err := own.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener stays open: %v", err)
	}
	if err := CheckIdleExit(time.Second-1, nil); err == nil {
		t.Error("a time below 1 s is taken")
	}
}

// TestReadyFD: a line feed, and then the end, when connections are accepted.
func TestReadyFD(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd, err := unix.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	s := &Server{App: newHeld(), ReadyFD: fd, Endpoints: []Endpoint{{Protocol: HTTP, Listener: testkit.Listen(t, "tcp")}}, Log: new(testkit.Log).Logger(), process: processOf(nil)}
	stop := serveManaged(t, s)
	if b, err := io.ReadAll(r); string(b) != "\n" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	s = &Server{App: newHeld(), ReadyFD: 1 << 20, Endpoints: []Endpoint{{Protocol: HTTP, Listener: testkit.Listen(t, "tcp")}}, process: processOf(nil)}
	if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "descriptor 1048576, to tell readiness on, is not open") {
		t.Errorf("got %v", err)
	}
}
