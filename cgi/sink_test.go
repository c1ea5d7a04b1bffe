package cgi

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// A textSink keeps what a front-end would send, as CGI text.
type textSink struct {
	bytes.Buffer
	heads    int
	writes   int // calls of Write
	flushes  int
	finished []Outcome
	failing  error // returned by Write
	vanished error // returned by Finish
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
	return s.vanished
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
	if out.sink.heads > 1 || out.sink.heads == 0 && out.result.End == Complete {
		t.Errorf("the sink got %d heads of a response that ended %v", out.sink.heads, out.result.End)
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

// quietSink does nothing.
type quietSink struct{}

func (quietSink) WriteHead(*Head) error { return nil }

func (quietSink) Write(p []byte) (int, error) { return len(p), nil }

func (quietSink) Flush() error { return nil }

func (quietSink) Finish(Outcome) error { return nil }
