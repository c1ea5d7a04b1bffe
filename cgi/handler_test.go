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

// A textSink keeps what a front-end would send, as CGI text.
type textSink struct {
	bytes.Buffer
	heads    int
	writes   int // calls of Write
	flushes  int
	finished []Outcome
	failing  error // returned by Write
}

func (s *textSink) WriteHead(h *Head) error {
	s.heads++
	s.Buffer.Write(h.AppendCGI(nil))
	return nil
}

func (s *textSink) Write(p []byte) (int, error) {
	if s.failing != nil {
		return 0, s.failing
	}
	s.writes++
	return s.Buffer.Write(p)
}

func (s *textSink) Flush() error {
	s.flushes++
	return nil
}

func (s *textSink) Finish(o Outcome) error {
	s.finished = append(s.finished, o)
	return nil
}

// A run is one request through a Handler, and all that came of it.
type run struct {
	sink   *textSink
	log    *bytes.Buffer
	result Result
}

// serve runs a function as an App.
func serve(t *testing.T, method string, app AppFunc) run {
	t.Helper()
	return serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=" + method)}, app)
}

func serveWith(t *testing.T, h *Handler, r *Request, app App) run {
	t.Helper()
	out := run{sink: new(textSink), log: new(bytes.Buffer)}
	h.Log = slog.New(slog.NewTextHandler(out.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if r.Body == nil {
		r.Body = http.NoBody
	}
	out.result = h.Run(r, out.sink, app)
	if len(out.sink.finished) != 1 {
		t.Fatalf("the sink was finished %d times", len(out.sink.finished))
	}
	if out.sink.finished[0] != out.result.Outcome {
		t.Errorf("the sink got %v, the result is %v", out.sink.finished[0], out.result.Outcome)
	}
	if out.sink.heads > 1 {
		t.Errorf("the sink got %d heads", out.sink.heads)
	}
	return out
}

// answer is an App that answers with a status, fields ("Name: value") and a body.
func answer(status string, fields []string, body string) AppFunc {
	return func(w ResponseWriter, r *Request) error {
		var fs []Field
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			fs = append(fs, Field{name, value})
		}
		if err := w.StartResponse(status, fs); err != nil {
			return err
		}
		if body == "" {
			return nil
		}
		_, err := io.WriteString(w, body)
		return err
	}
}

func (r run) want(t *testing.T, end End, text string) {
	t.Helper()
	if r.result.End != end {
		t.Errorf("the response ended %v, want %v (%v)", r.result.End, end, r.result.Err)
	}
	if got := r.sink.String(); got != text {
		t.Errorf("got %q\nwant %q", got, text)
	}
}

const errorPage500 = "Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 59\r\n\r\n" +
	"A server error occurred.  Please contact the administrator."

func TestStatusIsExplicit(t *testing.T) {
	for _, status := range []string{"200 OK", "302 Found", "404 ", "599 Own"} {
		serve(t, "GET", answer(status, nil, "x")).want(t, Complete, "Status: "+status+"\r\nContent-Length: 1\r\n\r\nx")
	}
}

func TestRefusedStatus(t *testing.T) {
	for status, why := range map[string]string{
		"100 Continue":           "200 or more",
		"103 Early Hints":        "200 or more",
		"099 Low":                "200 or more",
		"200":                    "at least 4 characters",
		"":                       "at least 4 characters",
		"20X OK":                 "3-digit code",
		"200OK":                  "space after the code",
		"٢٠٠ OK":                 "3-digit code",
		"200 OK\r\nX: y":         "control character",
		"200 O\x7fK":             "control character",
		"200 OK\x00":             "control character",
		"-12 Negative":           "3-digit code",
		"200 " + "\n" + "\nbody": "control character",
	} {
		r := serve(t, "GET", answer(status, nil, "body"))
		r.want(t, Complete, errorPage500)
		if !errors.Is(r.result.Err, ErrStatus) || !strings.Contains(r.result.Err.Error(), why) {
			t.Errorf("%q: error %v does not say %q", status, r.result.Err, why)
		}
	}
}

func TestNoBodyNoLengthOn204And304(t *testing.T) {
	for _, status := range []string{"204 No Content", "304 Not Modified"} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			for _, fields := range [][]string{{"Etag: 1"}, {"Etag: 1", "Content-Length: 3"}} {
				r := serve(t, method, answer(status, fields, "xyz"))
				r.want(t, Complete, "Status: "+status+"\r\nEtag: 1\r\n\r\n")
				if r.sink.writes != 0 {
					t.Errorf("%s %s: the sink got a body", method, status)
				}
			}
		}
	}
}

func TestHEADHasNoBody(t *testing.T) {
	// What GET would get is declared if the application wrote it, or said so itself.
	serve(t, "HEAD", answer("200 OK", nil, "12345")).want(t, Complete, "Status: 200 OK\r\nContent-Length: 5\r\n\r\n")
	serve(t, "HEAD", answer("200 OK", nil, "")).want(t, Complete, "Status: 200 OK\r\n\r\n")
	serve(t, "HEAD", answer("200 OK", []string{"Content-Length: 12345"}, "")).
		want(t, Complete, "Status: 200 OK\r\nContent-Length: 12345\r\n\r\n")
	serve(t, "HEAD", func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		n, err := w.Write(make([]byte, 100_000))
		if n != 100_000 || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
		return w.Flush()
	}).want(t, Complete, "Status: 200 OK\r\n\r\n")
}

func TestConnectionFieldsAreRemoved(t *testing.T) {
	serve(t, "GET", answer("200 OK", []string{
		"Connection: close", "keep-alive: 3", "TRANSFER-ENCODING: chunked", "Te: x", "Trailer: X", "Trailers: X", "Upgrade: h2c",
		"Proxy-Connection: x", "Proxy-Authenticate: x", "Proxy-Authorization: x", "X-Kept: 1", "Date: now", "Server: me",
	}, "")).want(t, Complete, "Status: 200 OK\r\nX-Kept: 1\r\nDate: now\r\nServer: me\r\nContent-Length: 0\r\n\r\n")
}

func TestIsHopByHop(t *testing.T) {
	for _, name := range strings.Fields("Connection Keep-Alive Proxy-Authenticate Proxy-Authorization TE Trailers Transfer-Encoding Upgrade") {
		for _, n := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
			if !IsHopByHop(n) {
				t.Errorf("IsHopByHop(%q) is false", n)
			}
		}
	}
	for _, name := range strings.Fields("Accept Cache-Control Date Pragma Trailer Via Warning") {
		for _, n := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
			if IsHopByHop(n) {
				t.Errorf("IsHopByHop(%q) is true", n)
			}
		}
	}
}

func TestContentLengthLongerIsCut(t *testing.T) {
	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", []Field{{"Content-Length", "3"}})
		n, err := io.WriteString(w, "12345")
		if n != 3 || !errors.Is(err, ErrContentLength) {
			t.Errorf("Write = %d, %v", n, err)
		}
		n, err = io.WriteString(w, "6")
		if n != 0 || !errors.Is(err, ErrContentLength) {
			t.Errorf("the next Write = %d, %v", n, err)
		}
		return err
	})
	r.want(t, Complete, "Status: 200 OK\r\nContent-Length: 3\r\n\r\n123")
	if !errors.Is(r.result.Err, ErrContentLength) || !strings.Contains(r.log.String(), "response cut") {
		t.Errorf("error %v, log %q", r.result.Err, r.log)
	}
}

func TestContentLengthShorterIsTruncated(t *testing.T) {
	r := serve(t, "GET", answer("200 OK", []string{"Content-Length: 10"}, "12345"))
	r.want(t, Truncated, "Status: 200 OK\r\nContent-Length: 10\r\n\r\n12345")
	if !errors.Is(r.result.Err, ErrContentLength) || r.result.ExitStatus != 1 || !strings.Contains(r.log.String(), "response truncated") {
		t.Errorf("result %+v, log %q", r.result, r.log)
	}
}

func TestContentLengthConflicts(t *testing.T) {
	serve(t, "GET", answer("200 OK", []string{"Content-Length: 1", "content-length: 1"}, "x")).
		want(t, Complete, "Status: 200 OK\r\nContent-Length: 1\r\n\r\nx")
	for _, fields := range [][]string{
		{"Content-Length: 1", "Content-Length: 2"}, {"Content-Length: -1"}, {"Content-Length: +1"}, {"Content-Length: 1,1"},
		{"Content-Length: 0x1"}, {"Content-Length: "}, {"Content-Length: 99999999999999999999"}, {"Content-Length: 9223372036854775808"},
	} {
		r := serve(t, "GET", answer("200 OK", fields, "x"))
		r.want(t, Complete, errorPage500)
		if !errors.Is(r.result.Err, ErrField) {
			t.Errorf("%q: error %v", fields, r.result.Err)
		}
	}
}

// The rules of CPython's gh-143916 and gh-144118: no C0 and no DEL in names or
// values, but HTAB in values.
func TestControlCharactersAreRefused(t *testing.T) {
	for c := range 256 {
		control := c < 0x20 || c == 0x7f
		for _, place := range []string{"start", "middle", "end"} {
			value := map[string]string{"start": string([]byte{byte(c), 'b'}), "middle": string([]byte{'a', byte(c), 'b'}), "end": string([]byte{'a', byte(c)})}[place]
			r := serve(t, "GET", answer("200 OK", []string{"X: " + value}, ""))
			if control && c != '\t' {
				r.want(t, Complete, errorPage500)
				var fe *FieldError
				if !errors.As(r.result.Err, &fe) || fe.Name != "X" {
					t.Errorf("byte %#02x: error %v", c, r.result.Err)
				}
				continue
			}
			r.want(t, Complete, "Status: 200 OK\r\nX: "+strings.Trim(value, " \t")+"\r\nContent-Length: 0\r\n\r\n")
		}
		f := Field{Name: string([]byte{'X', byte(c)}), Value: "v"}
		token := c > 0x20 && c < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c))
		if err := checkField(&f); (err == nil) != token {
			t.Errorf("name with byte %#02x: %v", c, err)
		}
	}
	serve(t, "GET", answer("200 OK", []string{": v"}, "")).want(t, Complete, errorPage500)
}

func TestFieldStatusIsRefused(t *testing.T) {
	for _, name := range []string{"Status", "status", "STATUS"} {
		r := serve(t, "GET", answer("200 OK", []string{name + ": 404 Not Found"}, "x"))
		r.want(t, Complete, errorPage500)
		if !errors.Is(r.result.Err, ErrField) {
			t.Errorf("error %v", r.result.Err)
		}
	}
}

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
	h := &Handler{ErrorPage: func(w io.Writer, code int) string {
		fmt.Fprintf(w, "<h1>%d</h1>", code)
		return "text/html"
	}}
	r := serveWith(t, h, &Request{Env: NewEnviron("REQUEST_METHOD=GET")}, AppFunc(func(ResponseWriter, *Request) error { return &StatusError{Code: 404} }))
	r.want(t, Complete, "Status: 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<h1>404</h1>")

	// One that cannot be used leaves the default.
	for _, page := range []func(io.Writer, int) string{
		func(w io.Writer, code int) string { return "text/html\r\nX: y" },
		func(w io.Writer, code int) string { panic("no page") },
	} {
		h := &Handler{ErrorPage: page}
		serveWith(t, h, &Request{Env: NewEnviron("REQUEST_METHOD=GET")}, answer("bad", nil, "")).want(t, Complete, errorPage500)
	}
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

func TestStartResponseOnce(t *testing.T) {
	serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		if err := w.StartResponse("404 Not Found", nil); err != ErrHeadersSet {
			t.Errorf("the second StartResponse = %v", err)
		}
		return nil
	}).want(t, Complete, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n")

	// A call that failed counts, as in wsgiref.
	serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w.StartResponse("bad", nil)
		if err := w.StartResponse("200 OK", nil); err != ErrHeadersSet {
			t.Errorf("StartResponse after a failed one = %v", err)
		}
		return nil
	}).want(t, Complete, errorPage500)
}

func TestStartResponseCopies(t *testing.T) {
	serve(t, "GET", func(w ResponseWriter, r *Request) error {
		fields := []Field{{"X", "y"}}
		w.StartResponse("200 OK", fields)
		fields[0] = Field{"Evil", "a\r\nSet-Cookie: b"}
		return nil
	}).want(t, Complete, "Status: 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n")
}

// wrapped is a ResponseWriter that a middleware has put in front of another.
type wrapped struct{ ResponseWriter }

func (w wrapped) Unwrap() ResponseWriter { return w.ResponseWriter }

func TestReplaceResponse(t *testing.T) {
	cause := errors.New("cause")
	serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w = wrapped{wrapped{w}}
		w.StartResponse("200 OK", []Field{{"Content-Length", "1000"}})
		io.WriteString(w, "thrown away")
		if HeadersSent(w) {
			t.Error("HeadersSent before Flush")
		}
		if err := ReplaceResponse(w, cause, "503 Later", []Field{{"X", "y"}}); err != nil {
			t.Error(err)
		}
		_, err := io.WriteString(w, "new")
		return err
	}).want(t, Complete, "Status: 503 Later\r\nX: y\r\nContent-Length: 3\r\n\r\nnew")

	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w = wrapped{w}
		w.StartResponse("200 OK", nil)
		w.Flush()
		if !HeadersSent(w) {
			t.Error("HeadersSent is false after Flush")
		}
		return ReplaceResponse(w, cause, "503 Later", nil)
	})
	r.want(t, Truncated, "Status: 200 OK\r\n\r\n")
	if !errors.Is(r.result.Err, cause) || !errors.Is(r.result.Err, ErrHeadersSent) {
		t.Errorf("error %v", r.result.Err)
	}
}

func TestHeldBytes(t *testing.T) {
	block := strings.Repeat("x", 1024)
	fill := func(n int, after func(ResponseWriter) error) AppFunc {
		return func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			for range n {
				io.WriteString(w, block)
			}
			return after(w)
		}
	}
	nothing := func(ResponseWriter) error { return nil }
	r := serve(t, "GET", fill(16, nothing))
	r.want(t, Complete, "Status: 200 OK\r\nContent-Length: 16384\r\n\r\n"+strings.Repeat(block, 16))
	if r.sink.writes != 1 || r.result.Bytes != 16384 {
		t.Errorf("%d writes, %d bytes", r.sink.writes, r.result.Bytes)
	}
	r = serve(t, "GET", fill(17, nothing))
	r.want(t, Complete, "Status: 200 OK\r\n\r\n"+strings.Repeat(block, 17))
	if r.sink.writes != 2 || r.sink.flushes != 0 {
		t.Errorf("%d writes, %d flushes", r.sink.writes, r.sink.flushes)
	}
	r = serve(t, "GET", fill(1, ResponseWriter.Flush))
	r.want(t, Complete, "Status: 200 OK\r\n\r\n"+block)
	if r.sink.flushes != 1 {
		t.Errorf("%d flushes", r.sink.flushes)
	}
}

func TestReadFrom(t *testing.T) {
	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", []Field{{"Content-Length", "70000"}})
		n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(strings.Repeat("y", 80000)))
		if n != 70000 || !errors.Is(err, ErrContentLength) {
			t.Errorf("ReadFrom = %d, %v", n, err)
		}
		return nil
	})
	r.want(t, Complete, "Status: 200 OK\r\nContent-Length: 70000\r\n\r\n"+strings.Repeat("y", 70000))
}

func TestExitStatus(t *testing.T) {
	r := serve(t, "GET", func(w ResponseWriter, r *Request) error {
		SetExitStatus(wrapped{w}, 7)
		return w.StartResponse("200 OK", nil)
	})
	if r.result.Outcome != (Outcome{Complete, 7}) {
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

// quietSink does nothing.
type quietSink struct{}

func (quietSink) WriteHead(*Head) error       { return nil }
func (quietSink) Write(p []byte) (int, error) { return len(p), nil }
func (quietSink) Flush() error                { return nil }
func (quietSink) Finish(Outcome) error        { return nil }

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
