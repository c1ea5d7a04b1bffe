package cgi

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var validIDTests = []struct {
	id    string
	valid bool
}{
	{"", false},
	{"a", true},
	{"AZaz09._-", true},
	{strings.Repeat("x", MaxRequestID), true},
	{strings.Repeat("x", MaxRequestID+1), false},
	{"a b", false}, {"a, b", false}, {"a\n", false}, {"a/b", false}, {"<b>", false}, {`"`, false}, {"\xff", false}, {"é", false}, {"a=b", false},
}

func TestValidRequestID(t *testing.T) {
	for _, tt := range validIDTests {
		if got := ValidRequestID(tt.id); got != tt.valid {
			t.Errorf("%q: %v", tt.id, got)
		}
	}
}

var fails = AppFunc(func(ResponseWriter, *Request) error { return errors.New("broken") })

// The id that was sent counts if the Handler is told where it is, and it is valid.
func TestRequestIDFrom(t *testing.T) {
	made := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{8}-1$`)
	for _, tt := range []struct {
		name, from string
		vars       []string
		program    bool
		want       string // "" for one that is made
	}{
		{"none", "HTTP_X_REQUEST_ID", nil, false, ""},
		{"sent", "HTTP_X_REQUEST_ID", []string{"HTTP_X_REQUEST_ID=abc.DEF-1_2"}, false, "abc.DEF-1_2"},
		{"not asked for", "", []string{"HTTP_X_REQUEST_ID=abc", "REQUEST_ID=def"}, false, ""},
		{"forged", "HTTP_X_REQUEST_ID", []string{"HTTP_X_REQUEST_ID=a\nb"}, false, ""},
		{"too long", "HTTP_X_REQUEST_ID", []string{"HTTP_X_REQUEST_ID=" + strings.Repeat("x", 129)}, false, ""},
		{"a CGI program", "", []string{"REQUEST_ID=outer-7"}, true, "outer-7"},
	} {
		h := &Handler{RequestIDFrom: tt.from}
		r := &Request{Env: NewEnviron(append(tt.vars, "REQUEST_METHOD=GET")...), program: tt.program}
		run := serveWith(t, h, r, fails)
		id := r.RequestID()
		if tt.want != "" && id != tt.want || tt.want == "" && !made.MatchString(id) {
			t.Errorf("%s: id %q", tt.name, id)
		}
		if got := string(r.AppendRequestID([]byte("x"))); got != "x"+id {
			t.Errorf("%s: appended: %q", tt.name, got)
		}
		if !strings.Contains(run.log.String(), " request="+id+" ") {
			t.Errorf("%s: log %s", tt.name, run.log)
		}
	}
}

// Two of the same header field are no id.
func TestRequestIDTwice(t *testing.T) {
	env := new(Environ)
	env.Add("HTTP_X_REQUEST_ID", "a")
	env.Add("HTTP_X_REQUEST_ID", "b")
	r := &Request{Env: env}
	serveWith(t, &Handler{RequestIDFrom: "HTTP_X_REQUEST_ID"}, r, fails)
	if id := r.RequestID(); !strings.HasSuffix(id, "-1") {
		t.Errorf("id %q", id)
	}
}

// A Handler's ids are its own, and those of whoever goes on with them.
func TestRequestIDsAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	var names []string
	add := func(h *Handler) {
		r := &Request{Env: NewEnviron()}
		serveWith(t, h, r, fails)
		id := r.RequestID()
		if seen[id] {
			t.Errorf("%s twice", id)
		}
		seen[id] = true
		name, _, _ := strings.Cut(id, "-")
		names = append(names, name)
	}
	one, two, other := new(Handler), new(Handler), new(Handler)
	add(one)
	two.ContinueFrom(one)
	add(two)
	add(one)
	add(other)
	if names[0] != names[1] || names[0] != names[2] || names[0] == names[3] {
		t.Errorf("names %q", names)
	}
}

// Nothing has an id before a Handler has begun with it, and a front-end may have numbers of
// its own.
func TestRequestIDWithoutHandler(t *testing.T) {
	if id := (&Request{}).RequestID(); id != "" {
		t.Errorf("id %q", id)
	}
	r := &Request{Env: NewEnviron(), ID: 17}
	serveWith(t, new(Handler), r, fails)
	if id := r.RequestID(); id != "17" {
		t.Errorf("id %q", id)
	}
}

// The default pages show the id if the Handler is asked to.
func TestErrorRequestID(t *testing.T) {
	for _, tt := range []struct {
		handler *Handler
		err     error
		want    string
	}{
		{&Handler{}, errors.New("x"), serverError},
		{&Handler{ErrorRequestID: true}, errors.New("x"), serverError + "\nRequest sent-1\n"},
		{&Handler{ErrorRequestID: true}, &StatusError{Code: 503}, "503 Service Unavailable\nRequest sent-1\n"},
		{&Handler{ErrorRequestID: true, ErrorBody: "<p>Sorry</p>"}, errors.New("x"), "<p>Sorry</p>"},
		{&Handler{ErrorRequestID: true, ErrorHeaders: []Field{{"Content-Type", "text/html"}}}, errors.New("x"), serverError},
	} {
		h := tt.handler
		h.RequestIDFrom = "ID"
		r := &Request{Env: NewEnviron("ID=sent-1")}
		run := serveWith(t, h, r, AppFunc(func(ResponseWriter, *Request) error { return tt.err }))
		if _, body, _ := strings.Cut(run.sink.String(), "\r\n\r\n"); body != tt.want {
			t.Errorf("%v: %q; want %q", tt.err, body, tt.want)
		}
	}
}

// http.Handlers and WSGI applications find the id in REQUEST_ID, whatever was sent there.
func TestRequestIDVariable(t *testing.T) {
	var got []string
	for _, app := range []App{
		FromHTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = append(got, CloneEnv(r).Get("REQUEST_ID"), Env(r).Get("REQUEST_ID"))
		})),
		WSGI(func(env *Environ, start StartResponse) (Body, error) {
			got = append(got, env.Get("REQUEST_ID"))
			_, err := start("204 No Content", nil, nil)
			return nil, err
		}),
	} {
		r := &Request{Env: NewEnviron("REQUEST_METHOD=GET", "REQUEST_ID=claimed")}
		serveWith(t, new(Handler), r, app)
		for _, id := range got {
			if id != r.RequestID() {
				t.Errorf("REQUEST_ID is %q; want %s", id, r.RequestID())
			}
		}
		if got = nil; r.RequestID() == "claimed" {
			t.Error("the claim was taken")
		}
	}
}

// An id costs nothing unless somebody asks for it.
func TestRequestIDAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := &Handler{RequestIDFrom: "HTTP_X_REQUEST_ID", ErrorRequestID: true}
	app := answer("200 OK", nil, "x")
	r := &Request{Env: NewEnviron("REQUEST_METHOD=GET", "HTTP_X_REQUEST_ID=abc", "HTTP_TRACEPARENT="+traceparent)}
	h.Run(r, quietSink{}, app)
	n := testing.AllocsPerRun(1000, func() {
		r.ID, r.sentID, r.trace = 0, "", TraceParent{}
		h.identify(r, &h.ledger().numbers)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	b := make([]byte, 0, 64)
	r.sentID = ""
	r.AppendRequestID(b)
	if n := testing.AllocsPerRun(1000, func() { r.AppendRequestID(b) }); n != 0 {
		t.Errorf("%v allocations to append", n)
	}
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

var traceTests = []struct {
	name, field string
	valid       bool
}{
	{"valid", traceparent, true},
	{"not sampled", strings.TrimSuffix(traceparent, "1") + "0", true},
	{"none", "", false},
	{"short", traceparent[:len(traceparent)-1], false},
	{"long", traceparent + "-x", false},
	{"of a later version", "cc" + traceparent[2:], true},
	{"of a later version, with more", "cc" + traceparent[2:] + "-what", true},
	{"of a later version, with an end", "cc" + traceparent[2:] + ".what", false},
	{"version ff", "ff" + traceparent[2:], false},
	{"upper case", strings.ToUpper(traceparent), false},
	{"no trace", "00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
	{"no span", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
	{"two", traceparent + ", " + traceparent, false},
	{"underscores", strings.ReplaceAll(traceparent, "-", "_"), false},
	{"flags", traceparent[:53] + "zz", false},
}

// W3C Trace Context § 3.2: what is malformed is ignored, and all is passed on as it came.
func TestTrace(t *testing.T) {
	for _, tt := range traceTests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Request{Env: NewEnviron("HTTP_TRACEPARENT="+tt.field, "HTTP_TRACESTATE=a=b")}
			run := serveWith(t, new(Handler), r, fails)
			line := " trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331 "
			if strings.Contains(run.log.String(), line) != tt.valid {
				t.Errorf("log %s", run.log)
			}
			if r.Env.Get("HTTP_TRACEPARENT") != tt.field || r.Env.Get("HTTP_TRACESTATE") != "a=b" {
				t.Error("the fields are changed")
			}
		})
	}
}

// In JSON, too, the attributes stand side by side.
func TestLogAttr(t *testing.T) {
	var b bytes.Buffer
	r := &Request{ID: 3}
	r.trace, _ = ParseTraceParent(traceparent)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", r.LogAttr(), "x", 1)
	want := `"msg":"m","request":"3","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","x":1}`
	if !strings.HasSuffix(b.String(), want+"\n") {
		t.Errorf("got %s; want %s", &b, want)
	}
}
