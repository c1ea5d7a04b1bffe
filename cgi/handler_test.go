package cgi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestErrorBeforeTheHeadIsAPage(t *testing.T) {
	secret := errors.New("the password is swordfish")
	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", []Field{{"X", "y"}})
		io.WriteString(w, "half of a page")
		return secret
	})
	r.want(t, Complete, errorPage500)
	if !errors.Is(r.result.Err, secret) || !strings.Contains(r.log.String(), "swordfish") || strings.Count(r.log.String(), "\n") != 1 {
		t.Errorf("error %v, log %q", r.result.Err, r.log)
	}
	serve(t, "HEAD", func(ResponseWriter, *Request) error { return secret }).
		want(t, Complete, "Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 59\r\n\r\n")
}

func TestStatusErrorChoosesThePage(t *testing.T) {
	serve(t, "GET", func(ResponseWriter, *Request) error {
		return fmt.Errorf("busy: %w", &StatusError{Code: 503, RetryAfter: 1500 * time.Millisecond})
	}).want(t, Complete, "Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 2\r\nContent-Length: 24\r\n\r\n503 Service Unavailable\n")
	for _, code := range []int{0, 200, 399, 600} {
		serve(t, "GET", func(ResponseWriter, *Request) error { return &StatusError{Code: code} }).want(t, Complete, errorPage500)
	}
	r := serve(t, "GET", func(ResponseWriter, *Request) error { return &StatusError{Code: 404, Err: errors.New("no such thing")} })
	if r.result.Code != 404 || !strings.Contains(r.log.String(), "level=WARN msg=\"request refused\"") {
		t.Errorf("code %d, log %q", r.result.Code, r.log)
	}
}

func TestErrorPageIsAnOption(t *testing.T) {
	failed := AppFunc(func(ResponseWriter, *Request) error { return errors.New("gone wrong") })
	missing := AppFunc(func(ResponseWriter, *Request) error { return &StatusError{Code: 404, RetryAfter: time.Second} })
	post := func() *Request { return &Request{Env: NewEnviron("REQUEST_METHOD=GET")} }

	h := &Handler{ErrorStatus: "500 Oops", ErrorHeaders: []Field{{"Content-Type", "text/html"}, {"X", "y"}}, ErrorBody: "<p>sorry"}
	serveWith(t, h, post(), failed).want(t, Complete, "Status: 500 Oops\r\nContent-Type: text/html\r\nX: y\r\nContent-Length: 8\r\n\r\n<p>sorry")
	serveWith(t, h, post(), missing).want(t, Complete, "Status: 404 Not Found\r\nContent-Type: text/plain\r\nRetry-After: 1\r\nContent-Length: 14\r\n\r\n404 Not Found\n")

	// One that cannot be sent leaves the default.
	for _, h := range []*Handler{
		{ErrorStatus: "bad"},
		{ErrorHeaders: []Field{{"Content-Type", "text/html\r\nX: y"}}},
		{ErrorOutput: func(ResponseWriter, *Request, error) error { panic("no page") }},
		{ErrorOutput: func(ResponseWriter, *Request, error) error { return nil }},
		{ErrorOutput: func(w ResponseWriter, r *Request, err error) error {
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "half")
			return err
		}},
	} {
		serveWith(t, h, post(), failed).want(t, Complete, errorPage500)
	}

	h = &Handler{ErrorOutput: func(w ResponseWriter, r *Request, err error) error {
		if err := w.StartResponse("502 Sorry", []Field{{"Content-Type", "text/html"}}); err != nil {
			return err
		}
		_, werr := fmt.Fprintf(w, "<p>%s %v", r.Env.Get("REQUEST_METHOD"), err)
		return werr
	}}
	r := serveWith(t, h, post(), AppFunc(func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		io.WriteString(w, "half")
		return errors.New("gone wrong")
	}))
	r.want(t, Complete, "Status: 502 Sorry\r\nContent-Type: text/html\r\nContent-Length: 17\r\n\r\n<p>GET gone wrong")
	if !strings.Contains(r.log.String(), "gone wrong") {
		t.Errorf("log %q", r.log)
	}

	// One that breaks off after its head is a truncation.
	h = &Handler{ErrorOutput: func(w ResponseWriter, r *Request, err error) error {
		w.StartResponse("500 Oops", nil)
		w.Flush()
		return err
	}}
	serveWith(t, h, post(), failed).want(t, Truncated, "Status: 500 Oops\r\n\r\n")
}

func TestErrorAfterTheHeadIsATruncation(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("gone wrong") },
		"panic": func() error { panic("gone wrong") },
	} {
		r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "sent, ")
			w.Flush()
			io.WriteString(w, "held")
			return fail()
		})
		r.want(t, Truncated, "Status: 200 OK\r\n\r\nsent, held")
		if r.result.ExitStatus != 1 || !strings.Contains(r.log.String(), "gone wrong") {
			t.Errorf("%s: result %+v, log %q", name, r.result, r.log)
		}
	}
}

func panicsHere() { panic("overboard") }

func TestPanicIsLoggedWithItsStack(t *testing.T) {
	r := serve(t, "GET", func(ResponseWriter, *Request) error {
		panicsHere()
		return nil
	})
	r.want(t, Complete, errorPage500)
	for _, part := range []string{"application panicked", "overboard", "panicsHere", "handler_test.go"} {
		if !strings.Contains(r.log.String(), part) {
			t.Errorf("the log does not have %q: %s", part, r.log)
		}
	}
}

func TestErrAbortHandlerIsSilent(t *testing.T) {
	for _, started := range []bool{false, true} {
		r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
			if started {
				w.StartResponse("200 OK", nil)
				w.Flush()
			}
			panic(http.ErrAbortHandler)
		})
		want := ""
		if started {
			want = "Status: 200 OK\r\n\r\n"
		}
		r.want(t, Truncated, want)
		for line := range strings.Lines(r.log.String()) {
			if !strings.Contains(line, "level=DEBUG") {
				t.Errorf("logged: %s", line)
			}
		}
	}
}

func TestNoStart(t *testing.T) {
	r := serve(t, "GET", func(ResponseWriter, *Request) error { return nil })
	r.want(t, Complete, errorPage500)
	if !errors.Is(r.result.Err, ErrNoStart) {
		t.Errorf("error %v", r.result.Err)
	}
	serve(t, "GET", func(w ResponseWriter, r *Request) error {
		if n, err := w.Write([]byte("x")); n != 0 || err != ErrNoStart {
			t.Errorf("Write = %d, %v", n, err)
		}
		if err := w.Flush(); err != ErrNoStart {
			t.Errorf("Flush = %v", err)
		}
		return nil
	}).want(t, Complete, errorPage500)
}

func TestExitStatus(t *testing.T) {
	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		SetExitStatus(wrapped{w}, 7)
		return w.StartResponse("200 OK", nil)
	})
	if r.result.Outcome != (Outcome{End: Complete, ExitStatus: 7}) {
		t.Errorf("outcome %v", r.result.Outcome)
	}
}

func TestAccessLog(t *testing.T) {
	var got []Result
	h := &Handler{AccessLog: func(r *Request, res Result) {
		if r.ID == 0 {
			t.Error("the request has no id")
		}
		got = append(got, res)
	}}
	env := func() *Request { return &Request{Env: NewEnviron("REQUEST_METHOD=GET")} }
	serveWith(t, h, env(), answer("200 OK", nil, "12345"))
	serveWith(t, h, env(), answer("bad", nil, ""))
	serveWith(t, h, env(), AppFunc(func(ResponseWriter, *Request) error { panic(http.ErrAbortHandler) }))
	if len(got) != 3 || got[0].Code != 200 || got[0].Bytes != 5 || got[1].Code != 500 || got[1].Bytes != 59 || got[2].Code != 0 || got[2].End != Truncated {
		t.Errorf("got %+v", got)
	}
	if got[0].Start.IsZero() {
		t.Error("no start")
	}
}

func TestSinkThatFails(t *testing.T) {
	h := new(Handler)
	gone := errors.New("broken pipe")
	log := new(bytes.Buffer)
	h.Log = slog.New(slog.NewTextHandler(log, nil))
	sink := &textSink{failing: gone}
	res := h.Run(&Request{Env: NewEnviron("REQUEST_METHOD=GET")}, sink, AppFunc(func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		io.WriteString(w, "x")
		if err := w.Flush(); err != gone {
			t.Errorf("Flush = %v", err)
		}
		if _, err := io.WriteString(w, "x"); err != gone {
			t.Errorf("Write = %v", err)
		}
		return nil
	}))
	if res.End != Aborted || res.Err != gone || !strings.Contains(log.String(), "level=INFO") {
		t.Errorf("result %+v, log %q", res, log)
	}
}

func TestErrAbortedIsAborted(t *testing.T) {
	r := serve(t, "GET", func(w ResponseWriter, r *Request) error { return fmt.Errorf("reading: %w", ErrAborted) })
	r.want(t, Aborted, "")
	req := &Request{Env: NewEnviron("REQUEST_METHOD=GET")}
	ctx, cancel := context.WithCancelCause(context.Background())
	req.SetContext(ctx)
	r = serveWith(t, new(Handler), req, AppFunc(func(ResponseWriter, *Request) error {
		cancel(ErrAborted)
		return r.result.Err
	}))
	r.want(t, Aborted, "")
}

func TestRefuse(t *testing.T) {
	sink := new(textSink)
	h := &Handler{Log: slog.New(slog.DiscardHandler)}
	res := h.Refuse(&Request{Env: new(Environ)}, sink, &StatusError{Code: 431})
	if res.Code != 431 || !strings.HasPrefix(sink.String(), "Status: 431 Request Header Fields Too Large\r\n") {
		t.Errorf("result %+v, %q", res, sink)
	}
}

func TestStderrLines(t *testing.T) {
	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		io.WriteString(r.Stderr, "one\r\ntw")
		io.WriteString(r.Stderr, "o\n\n"+strings.Repeat("z", stderrLine+1))
		return w.StartResponse("200 OK", nil)
	})
	var lines []string
	for line := range strings.Lines(r.log.String()) {
		_, l, _ := strings.Cut(strings.TrimSpace(line), " line=")
		lines = append(lines, l)
	}
	want := []string{"one", "two", strings.Repeat("z", stderrLine), "z"}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("got %.200q", lines)
	}
}

func TestHelloAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates; only the run is checked")
	}
	fields := []Field{{"Content-Type", "text/plain"}}
	hello := []byte("hello world\n")
	app := AppFunc(func(w ResponseWriter, r *Request) error {
		if err := w.StartResponse("200 OK", fields); err != nil {
			return err
		}
		_, err := w.Write(hello)
		return err
	})
	h := new(Handler)
	r := &Request{Env: NewEnviron("REQUEST_METHOD=GET"), Body: http.NoBody, Stderr: io.Discard}
	n := testing.AllocsPerRun(1000, func() { h.Run(r, quietSink{}, app) })
	if n > 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}
