package validate_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/validate"
)

// A textSink keeps an answer. It takes deadlines and informational responses, as HTTP
// does.
type textSink struct {
	cgitest.Recorder
	deadlines []time.Time
	informed  []int
}

func (s *textSink) SetReadDeadline(t time.Time) error {
	s.deadlines = append(s.deadlines, t)
	return nil
}

func (s *textSink) SetWriteDeadline(t time.Time) error {
	s.deadlines = append(s.deadlines, t)
	return nil
}

func (s *textSink) WriteInformational(code int, _ []cgi.Field) error {
	s.informed = append(s.informed, code)
	return nil
}

// request returns a request that breaks no rule, with variables changed: "NAME=value"
// is set, "-NAME" removed.
func request(changes ...string) *cgi.Request {
	env := cgi.NewEnviron("REQUEST_METHOD=GET", "SERVER_NAME=example.org", "SERVER_PORT=80",
		"SCRIPT_NAME=", "PATH_INFO=/", "QUERY_STRING=", "SERVER_PROTOCOL=HTTP/1.1")
	for _, c := range changes {
		name, value, set := strings.Cut(c, "=")
		if set {
			env.Set(name, value)
		} else {
			env.Del(name[1:])
		}
	}
	return &cgi.Request{Env: env, Body: http.NoBody, ContentLength: max(0, env.BodyLength(true))}
}

// A run is one request through a Handler and a validator, and all that came of it.
type run struct {
	sink     *textSink
	log      *bytes.Buffer
	result   cgi.Result
	warnings []*validate.Warning
}

func serve(t *testing.T, r *cgi.Request, app cgi.AppFunc) *run {
	t.Helper()
	return serveTo(t, new(textSink), r, app)
}

func serveTo(t *testing.T, sink *textSink, r *cgi.Request, app cgi.AppFunc) *run {
	t.Helper()
	out := &run{sink: sink, log: new(bytes.Buffer)}
	h := &cgi.Handler{Log: slog.New(slog.NewTextHandler(out.log, nil))}
	out.result = h.Run(r, sink, &validate.App{
		App:  app,
		Warn: func(w *validate.Warning) { out.warnings = append(out.warnings, w) },
	})
	return out
}

const errorPage = "Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 59\r\n\r\n" +
	"A server error occurred.  Please contact the administrator."

// broke checks that the request failed by one rule, before anything was sent.
func (r *run) broke(t *testing.T, rule string) *validate.Error {
	t.Helper()
	var e *validate.Error
	if !errors.As(r.result.Err, &e) || e.Rule != rule {
		t.Fatalf("error %v, want one of %s", r.result.Err, rule)
	}
	if r.sink.String() != errorPage || r.result.End != cgi.Complete {
		t.Errorf("%v: got %q", r.result.End, r.sink)
	}
	if !strings.Contains(r.log.String(), "validate: "+rule+": ") {
		t.Errorf("the log does not name the rule: %s", r.log)
	}
	if strings.ContainsAny(e.Msg, "\n\x00") || strings.Contains(e.Msg, "%!") {
		t.Errorf("message %q", e.Msg)
	}
	return e
}

// kept checks that no rule was broken, with those warnings.
func (r *run) kept(t *testing.T, warnings ...string) {
	t.Helper()
	if r.result.Err != nil || r.result.End != cgi.Complete {
		t.Errorf("%v: %v", r.result.End, r.result.Err)
	}
	var got []string
	for _, w := range r.warnings {
		got = append(got, w.Rule)
		if strings.ContainsAny(w.Msg, "\n\x00") || strings.Contains(w.Msg, "%!") {
			t.Errorf("message %q", w.Msg)
		}
	}
	if !slices.Equal(got, warnings) {
		t.Errorf("warnings %v, want %v", got, warnings)
	}
}

var plain = cgi.Field{Name: "Content-Type", Value: "text/plain"}

// answer is an App that gives an answer and returns what failed.
func answer(status string, body string, fields ...cgi.Field) cgi.AppFunc {
	return func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse(status, fields); err != nil {
			return err
		}
		if body == "" {
			return nil
		}
		_, err := io.WriteString(w, body)
		return err
	}
}

var hello = answer("200 OK", "hello", plain)

// deaf is an App that gives an answer and does not look at errors.
func deaf(status string, body string, fields ...cgi.Field) cgi.AppFunc {
	return func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse(status, fields)
		io.WriteString(w, body)
		w.Flush()
		return nil
	}
}
