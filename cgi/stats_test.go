package cgi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// newHandler returns a Handler without a log.
func newHandler() *Handler { return &Handler{Log: slog.New(slog.DiscardHandler)} }

// ask runs one request for a path.
func ask(h *Handler, a App, protocol, path string, body io.Reader, length int64) Result {
	return h.Run(&Request{Env: NewEnviron("REQUEST_METHOD=POST", "SCRIPT_NAME="+path, "REQUEST_URI="+path, "REMOTE_ADDR=192.0.2.1"),
		Protocol: protocol, Body: body, ContentLength: length}, new(textSink), a)
}

// statsOf returns the figures of an application.
func statsOf(t *testing.T, h *Handler, application string) RequestStats {
	t.Helper()
	for _, s := range h.Stats() {
		if s.Application == application && !s.Authorizer {
			return s
		}
	}
	t.Fatalf("there are no figures of %q in %+v", application, h.Stats())
	return RequestStats{}
}

// checkEnded compares how requests have ended with "protocol class code count", sorted.
func checkEnded(t *testing.T, s RequestStats, want ...string) {
	t.Helper()
	var got []string
	for _, e := range s.Ended {
		got = append(got, fmt.Sprint(e.Protocol, " ", e.Class, " ", e.Code, " ", e.Count))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("ended %q, want %q", got, want)
	}
}

// TestStats: each request counts once, for the application that served it.
func TestStats(t *testing.T) {
	h := newHandler()
	m := new(Mux)
	for prefix, app := range map[string]AppFunc{
		"/": func(w ResponseWriter, r *Request) error {
			io.Copy(io.Discard, r.Body)
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "hello world\n")
			return nil
		},
		"/flush": func(w ResponseWriter, r *Request) error {
			w.StartResponse("404 Not Found", nil)
			return w.Flush()
		},
		"/refused": func(ResponseWriter, *Request) error {
			return fmt.Errorf("outer: %w", &StatusError{Code: 503, Err: &StatusError{Code: 503, Check: "queue"}})
		},
		"/late": func(ResponseWriter, *Request) error {
			return &StatusError{Code: 504, Check: "first_byte"}
		},
		"/gone": func(ResponseWriter, *Request) error { return ErrAborted },
		"/short": func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", []Field{{"Content-Length", "5"}})
			w.Write([]byte("abc"))
			return nil
		},
		"/panic": func(ResponseWriter, *Request) error { panic("oops") },
		"/odd":   func(w ResponseWriter, r *Request) error { return w.StartResponse("999 Odd", nil) },
	} {
		if err := m.Mount(prefix, app); err != nil {
			t.Fatal(err)
		}
	}
	app := &Redirector{m}
	for range 3 {
		if res := ask(h, app, "fastcgi", "/x", strings.NewReader("12345"), 5); res.Application != "/" || res.BytesIn != 5 || res.Bytes != 12 || res.FirstByte != res.Duration || res.Duration <= 0 {
			t.Errorf("%+v", res)
		}
	}
	ask(h, app, "http", "/x", nil, 0)
	if res := ask(h, app, "scgi", "/flush", nil, 0); res.FirstByte <= 0 || res.FirstByte > res.Duration {
		t.Errorf("first byte after %v of %v", res.FirstByte, res.Duration)
	}
	if res := ask(h, app, "scgi", "/refused/x", nil, 0); res.Check != "queue" {
		t.Errorf("check %q", res.Check)
	}
	for _, path := range []string{"/late", "/gone", "/short", "/panic", "/odd"} {
		ask(h, app, "cgi", path, nil, 0)
	}

	s := statsOf(t, h, "/")
	checkEnded(t, s, "fastcgi 2xx 200 3", "http 2xx 200 1")
	if s.BytesIn != 15 || s.BytesOut != 48 || s.Duration.Count() != 4 || s.FirstByte.Count() != 4 || s.Wait.Count() != 0 || s.Duration.Sum <= 0 {
		t.Errorf("%+v", s)
	}
	s = statsOf(t, h, "/flush")
	checkEnded(t, s, "scgi 4xx 404 1")
	if s.FirstByte.Count() != 1 || s.Duration.Count() != 1 || s.FirstByte.Sum > s.Duration.Sum {
		t.Errorf("%+v", s)
	}
	s = statsOf(t, h, "/refused")
	checkEnded(t, s, "scgi 5xx 503 1")
	if s.Refusals["queue"] != 1 || len(s.TimeLimits) != 0 {
		t.Errorf("refused by %v, late by %v", s.Refusals, s.TimeLimits)
	}
	s = statsOf(t, h, "/late")
	checkEnded(t, s, "cgi 5xx 504 1")
	if s.TimeLimits["first_byte"] != 1 || len(s.Refusals) != 0 {
		t.Errorf("refused by %v, late by %v", s.Refusals, s.TimeLimits)
	}
	s = statsOf(t, h, "/gone")
	checkEnded(t, s, "cgi gone 0 1")
	if s.FirstByte.Count() != 0 || s.Duration.Count() != 1 {
		t.Errorf("%+v", s)
	}
	checkEnded(t, statsOf(t, h, "/short"), "cgi truncated 0 1")
	s = statsOf(t, h, "/panic")
	checkEnded(t, s, "cgi 5xx 500 1")
	if s.Panics != 1 {
		t.Errorf("%d panics", s.Panics)
	}
	checkEnded(t, statsOf(t, h, "/odd"), "cgi other 0 1")

	bare := new(Mux)
	bare.Mount("/a", app)
	if ask(h, bare, "", "/b", nil, 0); statsOf(t, h, "").Refusals["unmounted"] != 1 {
		t.Errorf("%+v", statsOf(t, h, ""))
	}
	checkEnded(t, statsOf(t, h, ""), "other 4xx 404 1")
	var all RequestStats
	for _, s := range h.Stats() {
		all.Merge(&s)
	}
	if all.Count() != 12 || all.Duration.Count() != 12 || all.BytesOut != 48+3+pages(h) || all.InFlight != 0 {
		t.Errorf("all: %d ended, %+v", all.Count(), all)
	}
}

// pages returns how many bytes of error pages h has sent.
func pages(h *Handler) (n uint64) {
	for _, s := range h.Stats() {
		switch s.Application {
		case "/", "/short":
		default:
			n += s.BytesOut
		}
	}
	return n
}

// TestStatsContinue: a Handler that takes the place of another counts on, with the applications
// that have gone.
func TestStatsContinue(t *testing.T) {
	old := newHandler()
	app := AppFunc(func(w ResponseWriter, r *Request) error { return w.StartResponse("204 No Content", nil) })
	m := new(Mux)
	m.Mount("/a", app)
	m.Mount("/b", app)
	for range 2 {
		ask(old, m, "http", "/a", nil, 0)
		ask(old, m, "http", "/b", nil, 0)
	}
	next := newHandler()
	next.ContinueFrom(old)
	again := new(Mux)
	again.Mount("/a", app)
	ask(next, again, "http", "/a", nil, 0)
	ask(old, m, "http", "/a", nil, 0) // which has begun before
	for _, h := range []*Handler{old, next} {
		checkEnded(t, statsOf(t, h, "/a"), "http 2xx 204 4")
		checkEnded(t, statsOf(t, h, "/b"), "http 2xx 204 2")
	}
	if got := Mounts(&Redirector{again}); len(got) != 1 || got[0].Application != "/a" {
		t.Errorf("mounted: %+v", got)
	}
}

// TestAuthorizerStats: what is mounted twice at a prefix, once in the role of an Authorizer,
// has figures for each.
func TestAuthorizerStats(t *testing.T) {
	h, m := newHandler(), new(Mux)
	m.Mount("/", AppFunc(func(w ResponseWriter, r *Request) error { return w.StartResponse("200 OK", nil) }))
	for _, role := range []Role{Authorizer, Authorizer, Responder} {
		h.Run(&Request{Env: NewEnviron("SCRIPT_NAME=/x"), Role: role, Protocol: "fastcgi"}, new(textSink), m)
	}
	var got []string
	for _, s := range h.Stats() {
		got = append(got, fmt.Sprint(s.Application, s.Authorizer, s.Count()))
	}
	if want := "[false 0 /false 1 /true 2]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestInFlight looks at a request in each of its states.
func TestInFlight(t *testing.T) {
	h := newHandler()
	m := new(Mux)
	step := make(chan func(w ResponseWriter, r *Request))
	stepped := make(chan struct{})
	m.Mount("/app", AppFunc(func(w ResponseWriter, r *Request) error {
		r.Env.Set("REQUEST_METHOD", "changed")
		for f := range step {
			f(w, r)
			stepped <- struct{}{}
		}
		return nil
	}))
	body, feed := io.Pipe()
	done := make(chan Result)
	go func() { done <- ask(h, m, "scgi", "/app/x", body, 10) }()
	do := func(f func(w ResponseWriter, r *Request)) {
		step <- f
		<-stepped
	}
	look := func() InFlight {
		t.Helper()
		list := h.InFlight()
		if len(list) != 1 {
			t.Fatalf("in flight: %+v", list)
		}
		return list[0]
	}
	do(func(ResponseWriter, *Request) {})
	x := look()
	if x.ID != 1 || x.Protocol != "scgi" || x.Client != "192.0.2.1" || x.Method != "changed" || x.Target != "/app/x" || x.Application != "/app" || x.State != Running ||
		x.Age <= 0 || time.Since(x.Start) < x.Age {
		t.Errorf("%+v", x)
	}
	do(func(_ ResponseWriter, r *Request) {
		r.BeginWaiting()
		r.UpdateUsage(func(u *Usage) { u.Program, u.PID = "/bin/x", 7 })
	})
	if x := look(); x.State != Waiting || x.Usage.Queued <= 0 || x.Usage.Program != "/bin/x" || x.Usage.PID != 7 {
		t.Errorf("%+v", x)
	}
	if s := statsOf(t, h, "/app"); s.InFlight != 1 || s.Waiting != 1 {
		t.Errorf("%+v", s)
	}
	do(func(_ ResponseWriter, r *Request) { r.EndWaiting() })
	if x := look(); x.State != Running || x.Usage.Queued <= 0 {
		t.Errorf("%+v", x)
	}
	go func() {
		step <- func(_ ResponseWriter, r *Request) { r.Body.Read(make([]byte, 4)) }
	}()
	testkit.Until(t, "reading", func() bool { return look().State == Reading })
	feed.Write([]byte("1234"))
	<-stepped
	if x := look(); x.State != Running || x.BytesIn != 4 {
		t.Errorf("%+v", x)
	}
	close(step)
	res := <-done
	if res.Usage.Queued <= 0 || res.BytesIn != 4 {
		t.Errorf("%+v", res)
	}
	if s := statsOf(t, h, "/app"); len(h.InFlight()) != 0 || s.Wait.Count() != 1 || s.InFlight != 0 || s.BytesIn != 4 {
		t.Errorf("afterwards: %+v", s)
	}
}

// A stalledSink holds what is written until it is told to go on.
type stalledSink struct {
	textSink
	goOn chan struct{}
}

func (s *stalledSink) Write(p []byte) (int, error) {
	<-s.goOn
	return s.textSink.Write(p)
}

func TestInFlightSending(t *testing.T) {
	h, sink := newHandler(), &stalledSink{goOn: make(chan struct{})}
	done := make(chan Result)
	go func() {
		done <- h.Run(&Request{Env: NewEnviron()}, sink, AppFunc(func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			w.Write(make([]byte, 20_000))
			return w.Flush()
		}))
	}()
	testkit.Until(t, "sending", func() bool {
		list := h.InFlight()
		return len(list) == 1 && list[0].State == Sending
	})
	close(sink.goOn)
	if res := <-done; res.Bytes != 20_000 {
		t.Errorf("%+v", res)
	}
}

// TestAbort: the client gets an error page, or a truncated response, and the application sees
// the end of its context and of the body, whatever it does about it.
func TestAbort(t *testing.T) {
	why := errors.New("it was in the way")
	for _, c := range []struct {
		name string
		app  func(begun chan<- struct{}) AppFunc
		code int
		end  End
	}{
		{"context", func(begun chan<- struct{}) AppFunc {
			return func(w ResponseWriter, r *Request) error {
				ctx := r.Context()
				close(begun)
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), why) {
					return fmt.Errorf("cause %w", context.Cause(ctx))
				}
				return w.StartResponse("200 OK", nil) // as though nothing had happened
			}
		}, 503, Complete},
		{"context, asked later", func(begun chan<- struct{}) AppFunc {
			return func(w ResponseWriter, r *Request) error {
				close(begun)
				for { // ignores what it is told
					if err := w.Flush(); errors.Is(err, why) {
						break
					}
				}
				<-r.Context().Done()
				return nil
			}
		}, 503, Complete},
		{"body", func(begun chan<- struct{}) AppFunc {
			return func(w ResponseWriter, r *Request) error {
				close(begun)
				_, err := io.ReadAll(r.Body)
				return err
			}
		}, 503, Complete},
		{"writing", func(begun chan<- struct{}) AppFunc {
			return func(w ResponseWriter, r *Request) error {
				w.StartResponse("200 OK", nil)
				w.Flush()
				close(begun)
				for {
					if _, err := w.Write(make([]byte, 1000)); err != nil {
						return nil
					}
				}
			}
		}, 200, Truncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			h := &Handler{Log: slog.New(slog.NewTextHandler(&log, nil))}
			begun, done := make(chan struct{}), make(chan Result)
			body, feed := io.Pipe()
			defer feed.Close()
			go func() {
				done <- h.Run(&Request{Env: NewEnviron(), Body: body, ContentLength: -1}, new(textSink), AppFunc(func(w ResponseWriter, r *Request) error {
					EnableFullDuplex(w)
					return c.app(begun)(w, r)
				}))
			}()
			<-begun
			if h.Abort(2, why) {
				t.Error("there is no request 2")
			}
			if !h.Abort(1, why) || !h.Abort(1, errors.New("only the first counts")) {
				t.Error("the request is not in flight")
			}
			res := testkit.Receive(t, "the end", done)
			if res.Code != c.code || res.End != c.end || !errors.Is(res.Err, why) {
				t.Errorf("%+v", res)
			}
			if s := statsOf(t, h, ""); s.Aborted != 1 || s.Count() != 1 {
				t.Errorf("%+v", s)
			}
			if !strings.Contains(log.String(), why.Error()) {
				t.Errorf("log %s", &log)
			}
			if h.Abort(1, why) {
				t.Error("it has ended")
			}
		})
	}
	var res Result
	h := newHandler()
	res = h.Run(&Request{Env: NewEnviron()}, new(textSink), AppFunc(func(w ResponseWriter, r *Request) error {
		h.Abort(r.ID, nil)
		<-r.Context().Done()
		return context.Cause(r.Context())
	}))
	if !errors.Is(res.Err, ErrTerminated) {
		t.Errorf("%v", res.Err)
	}
}

// TestStatsTimeLimit: a request that a limit of the Handler ends counts when the client has its
// response, and is in flight until the application returns.
func TestStatsTimeLimit(t *testing.T) {
	h := newHandler()
	h.RunTime = time.Millisecond
	release, done := make(chan struct{}), make(chan Result)
	go func() {
		done <- h.Run(&Request{Env: NewEnviron()}, new(textSink), AppFunc(func(w ResponseWriter, r *Request) error {
			<-release
			return nil
		}))
	}()
	testkit.Until(t, "the limit", func() bool { return statsOf(t, h, "").Count() == 1 })
	if s := statsOf(t, h, ""); s.TimeLimits["run_time"] != 1 || s.InFlight != 1 {
		t.Errorf("%+v", s)
	}
	close(release)
	<-done
	if s := statsOf(t, h, ""); s.Count() != 1 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}

// TestStatsLeftovers: what ends a request in another way leaves none in flight.
func TestStatsLeftovers(t *testing.T) {
	h := newHandler()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.Run(&Request{Env: NewEnviron()}, new(textSink), AppFunc(func(ResponseWriter, *Request) error {
			runtime.Goexit()
			return nil
		}))
	}()
	<-ended
	h.LogError = func(*Request, error, []byte) { panic("the hook") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the hook did not panic")
			}
		}()
		h.Run(&Request{Env: NewEnviron()}, new(textSink), AppFunc(func(ResponseWriter, *Request) error { return errors.New("x") }))
	}()
	s := statsOf(t, h, "")
	checkEnded(t, s, "other 5xx 500 1", "other truncated 0 1")
	if s.InFlight != 0 || len(h.InFlight()) != 0 {
		t.Errorf("left over: %+v", h.InFlight())
	}
}

// TestStatsWhileServing reads all the time while requests begin and end. No counter falls, and
// in the end all have been counted.
func TestStatsWhileServing(t *testing.T) {
	h, m := newHandler(), new(Mux)
	m.Mount("/a", AppFunc(func(w ResponseWriter, r *Request) error {
		r.Env.Set("X", "y")
		r.UpdateUsage(func(u *Usage) { u.PID++ })
		io.Copy(io.Discard, r.Body)
		w.StartResponse("200 OK", nil)
		io.WriteString(w, "abc")
		return w.Flush()
	}))
	const clients, each = 8, 300
	var all sync.WaitGroup
	stop, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		var last uint64
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, x := range h.InFlight() {
				if x.Client != "192.0.2.1" || x.Target != "/a" {
					t.Errorf("%+v", x)
				}
				h.Abort(x.ID+1<<40, nil)
			}
			var n uint64
			for _, s := range h.Stats() {
				n += s.Count()
			}
			if n < last {
				t.Errorf("%d requests after %d", n, last)
			}
			last = n
		}
	}()
	for range clients {
		all.Go(func() {
			for range each {
				ask(h, m, "http", "/a", strings.NewReader("12"), 2)
			}
		})
	}
	all.Wait()
	close(stop)
	<-read
	s := statsOf(t, h, "/a")
	checkEnded(t, s, fmt.Sprint("http 2xx 200 ", clients*each))
	if s.BytesIn != clients*each*2 || s.BytesOut != clients*each*3 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}

// TestStatsAllocate: counting and listing a request allocates nothing.
func TestStatsAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h, m, sink := newHandler(), new(Mux), new(discardSink)
	m.Mount("/", AppFunc(func(w ResponseWriter, r *Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := w.Write(helloBody)
		return err
	}))
	env := NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/", "PATH_INFO=")
	r := new(Request)
	n := testing.AllocsPerRun(1000, func() {
		*r = Request{Env: env, Body: http.NoBody, Protocol: "fastcgi"}
		h.Run(r, sink, m)
	})
	if n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

var helloBody = []byte("hello world\n")

type discardSink struct{}

func (discardSink) WriteHead(*Head) error       { return nil }
func (discardSink) Write(p []byte) (int, error) { return len(p), nil }
func (discardSink) Flush() error                { return nil }
func (discardSink) Finish(Outcome) error        { return nil }

// BenchmarkRun is what the Handler costs a small request.
func BenchmarkRun(b *testing.B) {
	h, m, sink := newHandler(), new(Mux), new(discardSink)
	m.Mount("/", AppFunc(func(w ResponseWriter, r *Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := w.Write(helloBody)
		return err
	}))
	env := NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/", "PATH_INFO=")
	b.ReportAllocs()
	r := new(Request)
	for b.Loop() {
		*r = Request{Env: env, Body: http.NoBody}
		h.Run(r, sink, m)
	}
}
