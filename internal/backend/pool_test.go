package backend

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestLeastConnections: the address with the fewest connections in use is the next.
func TestLeastConnections(t *testing.T) {
	listeners := []net.Listener{testkit.Listen(t, "unix"), testkit.Listen(t, "tcp"), testkit.Listen(t, "unix")}
	p := newPool(t, Limits{}, listeners...)
	var turns []Turn
	count := make(map[string]int)
	for range 9 {
		turn := connect(t, p)
		count[turn.Name()]++
		turns = append(turns, turn)
	}
	for name, n := range count {
		if n != 3 || len(count) != 3 {
			t.Errorf("%d of 9 connections to %s", n, name)
		}
	}
	free := turns[4].Name()
	turns[4].Drop()
	again := connect(t, p)
	if again.Name() != free {
		t.Errorf("connected to %s, want %s", again.Name(), free)
	}
	for _, turn := range append(turns, again) {
		turn.Leave()
	}
	for _, target := range p.targets {
		if target.active != 0 {
			t.Errorf("%s counts %d connections", target.name, target.active)
		}
	}
	if load := p.Load(); load.Running != 0 {
		t.Errorf("%d run", load.Running)
	}
}

// TestRefused: an address that refuses is passed over, and avoided while there are others.
// Alone it is tried each time, and the error names it.
func TestRefused(t *testing.T) {
	dead, live := testkit.Listen(t, "tcp"), testkit.Listen(t, "unix")
	p := newPool(t, Limits{}, dead, live)
	dead.Close()
	for range 6 {
		turn := connect(t, p)
		if !strings.HasPrefix(turn.Name(), "unix:") {
			t.Errorf("connected to %s", turn.Name())
		}
		turn.Leave()
	}
	if d := p.targets[0]; d.failures != 1 || d.pause != firstPause {
		t.Errorf("it was tried again while it is avoided: %+v", d)
	}
	live.Close() // which removes the socket
	for range 3 {
		turn, err := p.Enter(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		err = turn.Connect(t.Context())
		turn.Leave()
		var se *cgi.StatusError
		if !errors.As(err, &se) || se.Code != http.StatusBadGateway || !strings.Contains(err.Error(), dead.Addr().String()) && !strings.Contains(err.Error(), live.Addr().String()) {
			t.Errorf("error %v", err)
		}
	}
}

// TestHealth: an address that fails is avoided for longer and longer, and is as good as the
// others once it has succeeded.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New([]string{"a:1", "b:1"}, Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var log testkit.Log
		p.log = log.Logger()
		a := p.targets[0]
		chosen := func() bool {
			n := 0
			for range 4 {
				if p.choose(nil) == a {
					n++
				}
			}
			return n > 0
		}
		cause := errors.New("broken")
		for range failuresAllowed - 1 {
			p.failed(a, false, cause)
		}
		if !chosen() {
			t.Error("it is avoided too early")
		}
		for _, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			p.failed(a, false, cause)
			if chosen() {
				t.Error("it is not avoided")
			}
			time.Sleep(pause*time.Second - 1)
			if chosen() {
				t.Errorf("it is avoided for less than %v", pause*time.Second)
			}
			time.Sleep(time.Nanosecond)
			if !chosen() {
				t.Errorf("it is avoided for more than %v", pause*time.Second)
			}
		}
		p.failed(a, true, cause)
		p.failed(p.targets[1], true, cause)
		if p.choose(nil) != p.targets[1] { // avoided for a second only
			t.Error("of those that fail not the first that is to be tried again was chosen")
		}
		p.succeeded(a)
		p.failed(a, false, cause)
		if !chosen() || !strings.Contains(log.String(), "works again") || strings.Count(log.String(), "avoided") != 9 {
			t.Errorf("it is avoided after a success, or the log is wrong:\n%s", &log)
		}
	})
}

// TestQueue: requests beyond Connections wait, and those beyond Queue are refused.
func TestQueue(t *testing.T) {
	p := newPool(t, Limits{Connections: 1, Queue: -1}, testkit.Listen(t, "unix"))
	first := connect(t, p)
	_, err := p.Enter(t.Context(), "")
	var se *cgi.StatusError
	if !errors.As(err, &se) || se.Code != http.StatusServiceUnavailable || se.RetryAfter <= 0 || !strings.Contains(err.Error(), "1 connections are in use (connections)") {
		t.Errorf("error %v", err)
	}
	first.Leave()
	second := connect(t, p)
	second.Leave()
	p.Close()
	third, err := p.Enter(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := third.Connect(t.Context()); !errors.As(err, &se) || se.Code != http.StatusServiceUnavailable {
		t.Errorf("after Close: %v", err)
	}
	third.Leave()
}

// TestKeep: how many idle connections are kept, and for how long and how many requests.
func TestKeep(t *testing.T) {
	l := testkit.Listen(t, "unix")
	fds := testkit.Descriptors(t)
	p := newPool(t, Limits{Keep: 2, KeepRequests: 3, KeepIdle: time.Hour}, l)
	turns := []Turn{connect(t, p), connect(t, p), connect(t, p)}
	for i := range turns {
		if turns[i].Kept() || !turns[i].Keeps() {
			t.Error("a new connection has served a request, or may not be kept")
		}
		turns[i].Keep("state")
		turns[i].Leave()
	}
	if n := p.idleCount(); n != 2 {
		t.Errorf("%d are idle", n)
	}
	for i := range 2 { // the one used last, for its second and third request
		turn := connect(t, p)
		if !turn.Kept() || turn.Client != "state" || turn.Keeps() != (i == 0) {
			t.Errorf("request %d: kept %v, %v", i+2, turn.Kept(), turn.Client)
		}
		if turn.Keeps() {
			turn.Keep("state")
		}
		turn.Leave()
	}
	if n := p.idleCount(); n != 1 {
		t.Errorf("%d are idle", n)
	}
	p.targets[0].idle[0].since = time.Now().Add(-2 * time.Hour)
	p.sweep()
	if n := p.idleCount(); n != 0 {
		t.Errorf("%d are idle after their time", n)
	}
	// One that has been spoken to unasked, or is closed, is not used.
	for _, last := range []string{"unasked", ""} {
		turn := connect(t, p)
		var far net.Conn
		for range 4 { // those before it
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if far != nil {
				far.Close()
			}
			far = c
			if last == "" {
				break
			}
		}
		turn.Keep(nil)
		turn.Leave()
		io.WriteString(far, last)
		far.Close()
		again := connect(t, p)
		if again.Kept() {
			t.Error("a connection that has ended is used again")
		}
		again.Leave()
		if last != "" {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	}
	p.Close()
	if testkit.Descriptors(t) > fds {
		t.Errorf("%d descriptors, %d before", testkit.Descriptors(t), fds)
	}
}

// TestDialErrors: each error says what to do.
func TestDialErrors(t *testing.T) {
	p := newPool(t, Limits{}, testkit.Listen(t, "unix"))
	target := p.targets[0]
	for _, tt := range []struct {
		err  error
		code int
		want string
	}{
		{os.ErrNotExist, 502, "is the application running?"},
		{os.ErrPermission, 502, "listen.group"},
		{os.ErrDeadlineExceeded, 504, "no connection within 5s (dial)"},
	} {
		err := p.dialError(target, &net.OpError{Op: "dial", Err: tt.err})
		var se *cgi.StatusError
		if !errors.As(err, &se) || se.Code != tt.code || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), target.name) {
			t.Errorf("%v: %v, want %d and %q", tt.err, err, tt.code, tt.want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cgi.ErrShutdown)
	tcp := newPool(t, Limits{}, testkit.Listen(t, "tcp"))
	turn, err := tcp.Enter(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer turn.Leave()
	var se *cgi.StatusError
	if err := turn.Connect(ctx); !errors.As(err, &se) || se.Code != 503 || tcp.targets[0].failures > 0 {
		t.Errorf("cancelled: %v, %d failures", err, tcp.targets[0].failures)
	}
}
