package cgi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseTraceParent(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for s, want := range map[string]TraceParent{
		"00-" + trace + "-" + span + "-01":       {trace, span, 1},
		"00-" + trace + "-" + span + "-fe":       {trace, span, 0xfe},
		"cc-" + trace + "-" + span + "-00":       {trace, span, 0},
		"cc-" + trace + "-" + span + "-01-later": {trace, span, 1},

		"":                                                                            {},
		"00-" + trace + "-" + span:                                                    {},
		"00-" + trace + "-" + span + "-1":                                             {},
		"00-" + trace + "-" + span + "-01-later":                                      {},
		"cc-" + trace + "-" + span + "-01later":                                       {},
		"ff-" + trace + "-" + span + "-01":                                            {},
		"00-" + strings.ToUpper(trace) + "-" + span + "-01":                           {},
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":                          {},
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01":                         {},
		"00-" + trace + "-" + span + "-0g":                                            {},
		"00_" + trace + "-" + span + "-01":                                            {},
		"00-" + trace + "-" + span + "-01, " + "00-" + trace + "-" + span + "-01":     {},
		"00-" + strings.Repeat("\xff", 32) + "-" + strings.Repeat("\xff", 16) + "-01": {},
	} {
		got, ok := ParseTraceParent(s)
		if got != want || ok != (want.TraceID != "") {
			t.Errorf("%q: %+v, %v; want %+v", s, got, ok, want)
		}
	}
	env := NewEnviron("HTTP_TRACEPARENT=00-" + trace + "-" + span + "-01")
	if p, ok := env.TraceParent(); !ok || p.TraceID != trace {
		t.Errorf("%+v, %v", p, ok)
	}
}

// A recording notes what it is told.
type recording struct{ calls []string }

func (o *recording) Head(code int) { o.calls = append(o.calls, fmt.Sprint("head ", code)) }
func (o *recording) End(res Result) {
	o.calls = append(o.calls, fmt.Sprint("end ", res.Code, " ", res.End, " ", res.Err))
}

// TestObserve: the hook is told of each request, in order, and can give the application a
// context.
func TestObserve(t *testing.T) {
	type key struct{}
	for _, c := range []struct {
		app  AppFunc
		want string
	}{
		{func(w ResponseWriter, r *Request) error {
			if r.Context().Value(key{}) != "span" {
				t.Error("the context is not that of the hook")
			}
			return w.StartResponse("204 No Content", nil)
		}, "[head 204 end 204 complete <nil>]"},
		{func(w ResponseWriter, r *Request) error { return errors.New("x") }, "[head 500 end 500 complete x]"},
		{func(w ResponseWriter, r *Request) error { return ErrAborted }, "[end 0 aborted " + ErrAborted.Error() + "]"},
	} {
		o := new(recording)
		h := newHandler()
		h.Observe = func(r *Request) Observation {
			r.SetContext(context.WithValue(r.Context(), key{}, "span"))
			return o
		}
		h.Run(&Request{Env: NewEnviron()}, new(textSink), c.app)
		if got := fmt.Sprint(o.calls); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	h := newHandler()
	h.Observe = func(*Request) Observation { return nil }
	if res := h.Run(&Request{Env: NewEnviron()}, new(textSink), AppFunc(func(w ResponseWriter, r *Request) error { return w.StartResponse("200 OK", nil) })); res.Code != 200 {
		t.Errorf("%+v", res)
	}
	h.Observe = func(*Request) Observation { panic("the hook") }
	if res := h.Run(&Request{Env: NewEnviron()}, new(textSink), nil); res.Code != 500 || statsOf(t, h, "").InFlight != 0 {
		t.Errorf("%+v", res)
	}
}
