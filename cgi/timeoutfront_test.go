package cgi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/cgi"
)

const short = 20 * time.Millisecond

// deaf returns an application that comes back when it is released, and tells then what
// a Write returned.
func deaf() (app cgi.App, release chan struct{}, back chan error) {
	release, back = make(chan struct{}), make(chan error, 1)
	return cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		ctx := r.Context()
		switch r.Env.Get("QUERY_STRING") {
		case "read":
			io.Copy(io.Discard, r.Body)
		case "sent":
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "part")
			w.Flush()
		}
		<-release
		_, err := w.Write([]byte("late"))
		if context.Cause(ctx) == nil {
			err = errors.New("its context was not cancelled")
		}
		back <- err
		return err
	}), release, back
}

func wantRunTime(t *testing.T, back chan error) {
	t.Helper()
	if err := <-back; err == nil || !strings.Contains(err.Error(), "(RunTime)") {
		t.Errorf("a late Write returned %v", err)
	}
}

// TestRunTimeOverHTTP: the answer ends with the limit, and so does the handler for
// net/http, while the application still runs.
func TestRunTimeOverHTTP(t *testing.T) {
	for _, two := range []bool{false, true} {
		for _, tt := range []struct {
			name, query string
			body        func(*testing.T) io.Reader
		}{
			{"no body", "", func(*testing.T) io.Reader { return nil }},
			{"unread body", "", func(*testing.T) io.Reader { return strings.NewReader(strings.Repeat("x", 100_000)) }},
			{"endless body", "read", func(t *testing.T) io.Reader {
				r, w := io.Pipe()
				t.Cleanup(func() { w.Close() })
				return r
			}},
			{"sent", "sent", func(*testing.T) io.Reader { return nil }},
		} {
			t.Run(tt.name, func(t *testing.T) {
				limit := short
				for runOver(t, limit, two, tt.query, tt.body(t)) && tt.query == "sent" {
					if limit *= 4; limit > time.Minute { // the machine is slow, but not that slow
						t.Fatal("what was sent does not arrive")
					}
				}
			})
		}
	}
}

// runOver makes a request of deaf, over HTTP/1.1 or 2, and reports whether it got nothing
// but the error page.
func runOver(t *testing.T, limit time.Duration, two bool, query string, body io.Reader) (page bool) {
	app, release, back := deaf()
	h := &cgi.Handler{RunTime: limit, Log: slog.New(slog.DiscardHandler)}
	linger := short
	if query == "" {
		linger = time.Minute // all of the body is sent, however long that takes
	}
	s := httptest.NewUnstartedServer(h.HTTP(app, cgi.Limits{Linger: linger}))
	s.EnableHTTP2 = two
	if two {
		s.StartTLS()
	} else {
		s.Start()
	}
	resp, err := s.Client().Post(s.URL+"/?"+query, "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	page = err == nil && resp.StatusCode == 504 && string(b) == "504 Gateway Timeout\n"
	switch {
	case query == "sent" && err == nil && !page:
		t.Errorf("the answer looks complete: %q", b)
	case query != "sent" && !page:
		t.Errorf("got %s, %q, %v", resp.Status, b, err)
	}
	s.Client().CloseIdleConnections()
	s.Close() // which waits for handlers
	close(release)
	wantRunTime(t, back)
	return page
}

// TestRunTimePanics: what a hook of the Handler's panics with is net/http's to handle, as
// without a limit.
func TestRunTimePanics(t *testing.T) {
	h := &cgi.Handler{RunTime: time.Hour, AccessLog: func(*cgi.Request, cgi.Result) { panic(http.ErrAbortHandler) }}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v", p)
		}
	}()
	h.HTTP(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error { return w.StartResponse("200 OK", nil) }), cgi.Limits{}).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

// TestRunTimeOfAProgram: Serve returns, though neither the application nor standard
// input ends, so that the process can.
func TestRunTimeOfAProgram(t *testing.T) {
	// What package signal starts at its first use would belong to the bubble.
	first := make(chan os.Signal, 1)
	signal.Notify(first, syscall.SIGPIPE)
	signal.Stop(first)
	for _, query := range []string{"", "read", "sent"} {
		t.Run(query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runProgramOver(t, query) })
		})
	}
}

func runProgramOver(t *testing.T, query string) {
	app, release, back := deaf()
	stdin, end := io.Pipe()
	var stdout, log bytes.Buffer
	p := &cgi.Program{
		Handler: &cgi.Handler{RunTime: short, Log: slog.New(slog.NewTextHandler(&log, nil))},
		Env:     cgi.NewEnviron("REQUEST_METHOD=POST", "GATEWAY_INTERFACE=CGI/1.1", "CONTENT_LENGTH=10", "QUERY_STRING="+query),
		Stdin:   stdin,
		Stdout:  &stdout,
		Stderr:  io.Discard,
	}
	if query == "sent" {
		go io.WriteString(end, "0123456789")
	}
	var exit *cgi.ExitError
	if err := p.Serve(app); !errors.As(err, &exit) || exit.Status != 1 || !strings.Contains(err.Error(), "(RunTime)") {
		t.Errorf("Serve returned %v", err)
	}
	want := "Status: 504 Gateway Timeout\r\n"
	if query == "sent" {
		want = "Status: 200 OK\r\n\r\npart"
	}
	if !strings.HasPrefix(stdout.String(), want) {
		t.Errorf("standard output %q, want %q", stdout.String(), want)
	}
	end.Close()
	close(release)
	wantRunTime(t, back)
}
