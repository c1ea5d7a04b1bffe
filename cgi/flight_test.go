package cgi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

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

// TestAbortCopies: the copies of a request, such as that for an Authorizer, have its context, or
// one of their own that ends with it.
func TestAbortCopies(t *testing.T) {
	h := newHandler()
	h.Run(&Request{Env: NewEnviron()}, new(textSink), AppFunc(func(w ResponseWriter, r *Request) error {
		same, other := *r, *r
		same.SetContext(r.Context())
		other.SetContextSource(backgroundSource{})
		if same.Context() != r.Context() || other.Context() == r.Context() {
			t.Error("contexts are mixed up")
		}
		h.Abort(r.ID, nil)
		for _, r := range []*Request{r, &same, &other} {
			if context.Cause(r.Context()) == nil {
				t.Error("a context goes on")
			}
		}
		return nil
	}))
}

type backgroundSource struct{}

func (backgroundSource) RequestContext() context.Context { return context.Background() }
