package gatehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/upstream"
	"gatehouse/internal/probe"
	"gatehouse/internal/testkit"
	"gatehouse/scgi"
)

// echo responds with the body.
var echo = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := w.StartResponse("200 OK", nil); err != nil {
		return err
	}
	_, err = w.Write(body)
	return err
})

var discard = slog.New(slog.DiscardHandler)

// socketFor listens on a unix socket.
func socketFor(t *testing.T, name string) net.Listener {
	t.Helper()
	l, err := Listen("unix", filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// applications returns a Mux of every kind of application that has figures.
func applications(t *testing.T, without ...string) *cgi.Mux {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"echo":   "printf 'Content-Type: text/plain\\n\\n'; exec cat",
		"status": "printf 'Status: 404 Not Found\\nContent-Type: text/plain\\n\\n'; exit 3",
		"killed": "kill -9 $$",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	programs := &script.App{Roots: []string{dir}, Log: discard}
	fast := socketFor(t, "fastcgi")
	testkit.Serve(t, &fastcgi.Server{App: echo}, fast, http.ErrServerClosed)
	up := &upstream.App{Addresses: []string{"unix:" + fast.Addr().String()}, Limits: upstream.Limits{Keep: 2}, Log: discard}
	simple := socketFor(t, "scgi")
	testkit.Serve(t, &scgi.Server{App: echo}, simple, http.ErrServerClosed)
	client := &scgi.Client{Addresses: []string{"unix:" + simple.Addr().String()}, Log: discard}
	t.Cleanup(func() { errors.Join(programs.Close(), up.Close(), client.Close()) })
	m := new(cgi.Mux)
	for prefix, app := range map[string]cgi.App{
		"/app": echo, "/cgi": programs, "/up": up, "/scgi": client,
		"/full": cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error { return &cgi.StatusError{Code: 503, Check: "queue"} }),
	} {
		if !slices.Contains(without, prefix) {
			if err := m.Mount(prefix, app); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

// statsProtocols are those of a Server, with their names in package probe.
var statsProtocols = map[Protocol]probe.Protocol{FastCGI: probe.FastCGI, SCGI: probe.SCGI, HTTP: probe.HTTP}

// askFor makes a request, and returns the response's body.
func askFor(t *testing.T, p Protocol, l net.Listener, path string, body []byte, vars ...string) (probe.Result, string, error) {
	t.Helper()
	var got bytes.Buffer
	target := &probe.Target{Protocol: statsProtocols[p], Dial: func(context.Context) (net.Conn, error) { return net.Dial("unix", l.Addr().String()) }}
	env := cgi.NewEnviron(append([]string{"REQUEST_METHOD=POST", "REQUEST_URI=" + path, "SCRIPT_NAME=" + path, "QUERY_STRING=", "HTTP_HOST=gate", "SERVER_PROTOCOL=HTTP/1.1",
		"REMOTE_ADDR=192.0.2.1", "CONTENT_LENGTH=" + strconv.Itoa(len(body))}, vars...)...)
	r := &probe.Request{Method: "POST", Env: env, Body: &probe.Body{ReaderAt: bytes.NewReader(body), Size: int64(len(body))}, Output: &got}
	for name, value := range env.All() {
		if field, ok := strings.CutPrefix(name, "HTTP_"); ok && name != "HTTP_HOST" {
			r.Fields = append(r.Fields, cgi.Field{Name: field, Value: value})
		}
	}
	res, err := target.Do(t.Context(), r)
	return res, got.String(), err
}

// application returns the figures of an application, and whether there are any.
func (s Stats) application(name string) (ApplicationStats, bool) {
	i := slices.IndexFunc(s.Applications, func(a ApplicationStats) bool { return a.Application == name && !a.Authorizer })
	if i < 0 {
		return ApplicationStats{}, false
	}
	return s.Applications[i], true
}

// TestStats: over all protocols, and for every kind of application, the figures are what the
// clients know: also across a reload that removes an application, and while somebody reads
// them all the time.
func TestStats(t *testing.T) {
	endpoints := []Endpoint{{Protocol: FastCGI, Listener: socketFor(t, "f")}, {Protocol: SCGI, Listener: socketFor(t, "s")}, {Protocol: HTTP, Listener: socketFor(t, "h")}}
	s := &Server{App: &cgi.Redirector{App: applications(t)}, Endpoints: endpoints, Log: discard}
	if got := s.Stats(); !got.Started.IsZero() || got.Process.PID != os.Getpid() {
		t.Errorf("before Serve: %+v", got)
	}
	stop := serve(t, s)

	reading, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		last := make(map[string]uint64)
		for {
			select {
			case <-reading:
				return
			default:
			}
			got := s.Stats()
			for _, a := range got.Applications {
				if n := a.Count(); n < last[a.Application] {
					t.Errorf("%s: %d requests after %d", a.Application, n, last[a.Application])
				} else {
					last[a.Application] = n
				}
			}
			for _, x := range s.InFlight() {
				if x.Client == "" || x.Method != "POST" || !strings.HasPrefix(x.Target, "/") {
					t.Errorf("in flight: %+v", x)
				}
			}
		}
	}()

	paths := []string{"/app", "/cgi/echo", "/cgi/status", "/cgi/killed", "/up", "/scgi", "/none"}
	const each = 5
	body := bytes.Repeat([]byte("0123456789"), 2000)
	var mu sync.Mutex
	sent, received := make(map[string]uint64), make(map[string]uint64) // bytes of bodies that were read, and sent
	ended := make(map[string]map[cgi.EndCount]uint64)
	load := func(paths []string) {
		var all sync.WaitGroup
		for _, e := range endpoints {
			for _, path := range paths {
				all.Go(func() {
					for range each {
						res, got, err := askFor(t, e.Protocol, e.Listener, path, body)
						if err != nil {
							t.Errorf("%s %s: %v", e.Protocol, path, err)
						}
						name := "/" + strings.SplitN(path, "/", 3)[1]
						if name == "/none" {
							name = ""
						}
						mu.Lock()
						if res.Code == 200 {
							sent[name] += uint64(len(body))
						}
						received[name] += uint64(len(got))
						if ended[name] == nil {
							ended[name] = make(map[cgi.EndCount]uint64)
						}
						ended[name][cgi.EndCount{Protocol: string(e.Protocol), Class: strconv.Itoa(res.Code/100) + "xx", Code: res.Code}]++
						mu.Unlock()
					}
				})
			}
		}
		all.Wait()
	}
	load(append(paths, "/full"))
	next := &Server{App: &cgi.Redirector{App: applications(t, "/full")}}
	before, err := s.Reconfigure(next)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Receive(t, "the end of the requests of the first configuration", before)
	if got, _ := s.Stats().application("/app"); got.Count() != 3*each {
		t.Errorf("after the reload: %d requests", got.Count())
	}
	load(paths)

	total := uint64(3 * each * (2*len(paths) + 1))
	testkit.Until(t, "all requests to end", func() bool {
		got := s.Stats()
		return got.Requests.Count() == total && got.Requests.InFlight == 0
	})
	close(reading)
	<-read
	got := s.Stats()
	if _, there := got.application("/full"); there || len(got.Applications) != 5 {
		t.Errorf("an application that was removed: %+v", got.Applications)
	}
	if got.Requests.Refusals["queue"] != 3*each || got.Requests.Refusals["unmounted"] != 2*3*each {
		t.Errorf("refused: %v", got.Requests.Refusals)
	}
	for name, want := range ended {
		a, there := got.application(name)
		if name == "/full" {
			continue
		}
		if !there {
			t.Errorf("no figures of %q", name)
			continue
		}
		count := make(map[cgi.EndCount]uint64)
		for _, e := range a.Ended {
			n := e.Count
			e.Count = 0
			count[e] = n
		}
		if fmt.Sprint(count) != fmt.Sprint(want) {
			t.Errorf("%s: ended %v, the clients have %v", name, count, want)
		}
		if a.BytesOut != received[name] || name != "/cgi" && name != "" && a.BytesIn != sent[name] || a.BytesIn < sent[name] {
			t.Errorf("%s: %d bytes in, %d out; the clients sent %d and received %d", name, a.BytesIn, a.BytesOut, sent[name], received[name])
		}
		if n := a.Count(); a.Duration.Count() != n || a.FirstByte.Count() != n {
			t.Errorf("%s: %d requests, %d took a time, %d had a first byte", name, n, a.Duration.Count(), a.FirstByte.Count())
		}
		if kinds := map[string]string{"/cgi": "scripts", "/up": "fastcgi", "/scgi": "scgi"}; (a.State == nil) != (kinds[name] == "") || a.State != nil && a.State.Kind != kinds[name] {
			t.Errorf("%s: state %+v", name, a.State)
		}
	}
	programs, _ := got.application("/cgi")
	p := programs.Programs
	if n := uint64(2 * 3 * each); p.Exits[0] != n || p.Exits[3] != n || len(p.Exits) != 2 || p.Signals["killed"] != n || len(p.Signals) != 1 || p.User+p.System <= 0 || p.PeakMemory <= 0 {
		t.Errorf("programs: %+v", p)
	}
	if u := programs.State.Programs; u.Used != 0 || u.Limit <= 0 || programs.State.Queue.Limit != 1024 {
		t.Errorf("state %+v", programs.State)
	}
	for p := range statsProtocols {
		if c := got.Connections[p]; c.Accepted != total/3 || c.Open.Limit != 10_000 {
			t.Errorf("%s: %d requests, connections %+v", p, total/3, c)
		}
	}
	if len(got.Listeners) != 3 || got.Process.Descriptors.Used <= 0 || got.Process.Descriptors.Limit <= 0 || got.Process.Memory.Used <= 0 || got.SpoolDisk.Limit != 8<<30 || got.SpoolMemory.Limit <= 0 || got.AllConnections.Limit <= 0 {
		t.Errorf("%+v", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.Requests.Count() != total {
		t.Errorf("after Serve: %d requests", got.Requests.Count())
	}
}

// TestConnectionsGone: the connections of a listener that is no longer served count on, for its
// protocol.
func TestConnectionsGone(t *testing.T) {
	first, second := socketFor(t, "a"), socketFor(t, "b")
	s := &Server{App: echo, Endpoints: []Endpoint{{Protocol: SCGI, Listener: first}}, Log: discard}
	serve(t, s)
	for range 3 {
		askFor(t, SCGI, first, "/", nil)
	}
	ended, err := s.Reconfigure(&Server{App: echo, Endpoints: []Endpoint{{Protocol: SCGI, Listener: second}}})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Receive(t, "the end of the first listener", ended)
	askFor(t, SCGI, second, "/", nil)
	got := s.Stats()
	if c := got.Connections[SCGI]; c.Accepted != 4 || c.Open.Limit != 10_000 || len(got.Listeners) != 1 || got.Listeners[0].Accepted != 1 {
		t.Errorf("%+v, listeners %+v", c, got.Listeners)
	}
}

// TestStatsWithoutLimits: what has no limit has none in the figures.
func TestStatsWithoutLimits(t *testing.T) {
	limits := cgi.Limits{Connections: -1, ParamsTotal: spool.NewBudget(-1), Spool: spool.Limits{Total: spool.NewBudget(-1), MemoryTotal: spool.NewBudget(-1)}}
	s := &Server{App: echo, Endpoints: []Endpoint{{Protocol: SCGI, Listener: socketFor(t, "s")}}, Limits: limits, Log: discard}
	serve(t, s)
	var got Stats
	testkit.Until(t, "the listener is served", func() bool {
		got = s.Stats()
		return len(got.Listeners) == 1
	})
	if got.Listeners[0].Open.Limit != 0 || got.Connections[SCGI].Open.Limit != 0 {
		t.Errorf("listeners %+v, connections %+v", got.Listeners, got.Connections)
	}
	if got.SpoolDisk.Limit != 0 || got.SpoolMemory.Limit != 0 || got.Params.Limit != 0 {
		t.Errorf("spool %+v, in memory %+v, variables %+v", got.SpoolDisk, got.SpoolMemory, got.Params)
	}
}

// TestServerAbort ends the program of a request, and the client gets the error page.
func TestServerAbort(t *testing.T) {
	dir, l := t.TempDir(), socketFor(t, "s")
	if err := os.WriteFile(filepath.Join(dir, "wait"), []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	programs := &script.App{Roots: []string{dir}, Log: discard}
	defer programs.Close()
	m := new(cgi.Mux)
	m.Mount("/cgi", programs)
	log := new(testkit.Log)
	s := &Server{App: m, Endpoints: []Endpoint{{Protocol: FastCGI, Listener: l}}, Log: log.Logger()}
	serve(t, s)
	done := make(chan probe.Result)
	go func() {
		res, _, _ := askFor(t, FastCGI, l, "/cgi/wait", nil)
		done <- res
	}()
	var x cgi.InFlight
	testkit.Until(t, "the program to run", func() bool {
		list := s.InFlight()
		if len(list) == 1 {
			x = list[0]
		}
		return x.Usage.PID != 0
	})
	if x.Application != "/cgi" || x.Protocol != "fastcgi" || x.Usage.Program != filepath.Join(dir, "wait") || x.State != cgi.Running || x.Client != "192.0.2.1" {
		t.Errorf("%+v", x)
	}
	if got := s.Stats().Applications[1]; got.InFlight != 1 || got.State.Programs.Used != 1 {
		t.Errorf("%+v, state %+v", got, got.State)
	}
	if !s.Abort(x.ID, nil) || s.Abort(x.ID+1, nil) {
		t.Error("Abort found the wrong request")
	}
	if res := testkit.Receive(t, "the response", done); res.Code != 503 {
		t.Errorf("%+v", res)
	}
	testkit.Until(t, "the program to end", func() bool { return s.Stats().Applications[1].Programs.Signals["terminated"] == 1 })
	if got := s.Stats().Applications[1]; got.Aborted != 1 || got.InFlight != 0 {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(log.String(), cgi.ErrTerminated.Error()) {
		t.Errorf("log %s", log)
	}
}

// TestAbortStalled: a request whose client takes nothing can be aborted, over each protocol, and is
// no client that left.
func TestAbortStalled(t *testing.T) {
	endless := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		for b := make([]byte, 64<<10); ; {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	})
	endpoints := []Endpoint{{Protocol: FastCGI, Listener: socketFor(t, "f")}, {Protocol: SCGI, Listener: socketFor(t, "s")}, {Protocol: HTTP, Listener: socketFor(t, "h")}}
	s := &Server{App: endless, Endpoints: endpoints, Log: discard}
	serve(t, s)
	for i, e := range endpoints {
		c, err := net.Dial("unix", e.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, keptRequest[e.Protocol]); err != nil {
			t.Fatal(err)
		}
		var x cgi.InFlight
		stalled := func() bool {
			list := s.InFlight()
			if len(list) != 1 || list[0].State != cgi.Sending {
				return false
			}
			last := x.BytesOut
			x = list[0]
			return last == x.BytesOut && last > 100_000
		}
		testkit.Until(t, "the client to hold up the response", stalled)
		if !s.Abort(x.ID, nil) {
			t.Fatal("it is not in flight")
		}
		testkit.Until(t, "the end of the request", func() bool { return len(s.InFlight()) == 0 })
		got := s.Stats().Requests
		var truncated uint64
		for _, end := range got.Ended {
			if end.Class == "truncated" {
				truncated += end.Count
			}
		}
		if n := uint64(i + 1); truncated != n || got.Count() != n || got.Aborted != n {
			t.Errorf("%s: ended %+v", e.Protocol, got.Ended)
		}
	}
}

// TestTraceContext: the fields of W3C Trace Context reach programs and upstreams as they came.
func TestTraceContext(t *testing.T) {
	const parent, state = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
	show := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		p, _ := r.Env.TraceParent()
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := io.WriteString(w, r.Env.Get("HTTP_TRACEPARENT")+" "+r.Env.Get("HTTP_TRACESTATE")+" "+p.SpanID)
		return err
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "show"), []byte("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s %s 00f067aa0ba902b7' \"$HTTP_TRACEPARENT\" \"$HTTP_TRACESTATE\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	fast, simple := socketFor(t, "f"), socketFor(t, "s")
	testkit.Serve(t, &fastcgi.Server{App: show}, fast, http.ErrServerClosed)
	testkit.Serve(t, &scgi.Server{App: show}, simple, http.ErrServerClosed)
	programs := &script.App{Roots: []string{dir}, Log: discard}
	up := &upstream.App{Addresses: []string{"unix:" + fast.Addr().String()}, Log: discard}
	client := &scgi.Client{Addresses: []string{"unix:" + simple.Addr().String()}, Log: discard}
	defer func() { errors.Join(programs.Close(), up.Close(), client.Close()) }()
	m := new(cgi.Mux)
	for prefix, app := range map[string]cgi.App{"/app": show, "/cgi": programs, "/up": up, "/scgi": client} {
		m.Mount(prefix, app)
	}
	endpoints := []Endpoint{{Protocol: FastCGI, Listener: socketFor(t, "1")}, {Protocol: SCGI, Listener: socketFor(t, "2")}, {Protocol: HTTP, Listener: socketFor(t, "3")}}
	serve(t, &Server{App: m, Endpoints: endpoints, Log: discard})
	for _, e := range endpoints {
		for _, path := range []string{"/app", "/cgi/show", "/up", "/scgi"} {
			_, got, err := askFor(t, e.Protocol, e.Listener, path, nil, "HTTP_TRACEPARENT="+parent, "HTTP_TRACESTATE="+state)
			if want := parent + " " + state + " 00f067aa0ba902b7"; err != nil || got != want {
				t.Errorf("%s %s: %q, %v; want %q", e.Protocol, path, got, err, want)
			}
		}
	}
}
