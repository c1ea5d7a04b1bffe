package gatehouse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// serving is a Server on a free port of HTTP.
type serving struct {
	url    string
	stop   context.CancelFunc
	result chan error
}

func serve(t *testing.T, s *gatehouse.Server) *serving {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	address := make(chan net.Addr, 1)
	s.HTTP = "127.0.0.1:0"
	s.Log = slog.New(slog.DiscardHandler)
	s.Listening = func(a net.Addr) { address <- a }
	v := &serving{stop: stop, result: make(chan error, 1)}
	go func() { v.result <- s.Serve(ctx) }()
	t.Cleanup(stop)
	select {
	case a := <-address:
		v.url = "http://" + a.String() + "/"
	case err := <-v.result:
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return v
}

// held is an application that waits inside a request.
type held struct {
	entered chan struct{}
	release chan struct{}
	cause   chan error
}

func newHeld() *held {
	return &held{make(chan struct{}), make(chan struct{}), make(chan error, 1)}
}

func (h *held) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "begun "); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	ctx := r.Context()
	close(h.entered)
	select {
	case <-h.release:
	case <-ctx.Done():
		h.cause <- context.Cause(ctx)
		return context.Cause(ctx)
	}
	_, err := io.WriteString(w, "ended")
	return err
}

// A response is what a client got.
type response struct {
	body string
	err  error
}

func get(url string) <-chan response {
	c := make(chan response, 1)
	go func() {
		resp, err := http.Get(url)
		if err != nil {
			c <- response{"", err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		c <- response{string(b), err}
	}()
	return c
}

func TestServeDrains(t *testing.T) {
	app := newHeld()
	v := serve(t, &gatehouse.Server{App: app})
	got := get(v.url)
	<-app.entered
	v.stop()
	close(app.release)
	if a := <-got; a.err != nil || a.body != "begun ended" {
		t.Errorf("got %q, %v", a.body, a.err)
	}
	if err := <-v.result; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

// TestServeDrainEnds has a request that does not end by itself: the client sees
// that the response is truncated, and the application why.
func TestServeDrainEnds(t *testing.T) {
	app := newHeld()
	v := serve(t, &gatehouse.Server{App: app, Drain: time.Nanosecond})
	got := get(v.url)
	<-app.entered
	v.stop()
	if err := <-v.result; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve returned %v; want %v", err, context.DeadlineExceeded)
	}
	if cause := <-app.cause; !errors.Is(cause, cgi.ErrShutdown) {
		t.Errorf("cancelled by %v; want %v", cause, cgi.ErrShutdown)
	}
	if a := <-got; a.err == nil {
		t.Errorf("the client took %q for a complete response", a.body)
	}
}

func TestServePortInUse(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	s := &gatehouse.Server{App: newHeld(), HTTP: l.Addr().String()}
	err := s.Serve(context.Background())
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(l.Addr())) {
		t.Errorf("got %v; want an error that names %v", err, l.Addr())
	}
}

// TestServeClose cuts off a request in flight, during a drain that has no limit.
func TestServeClose(t *testing.T) {
	app := newHeld()
	s := &gatehouse.Server{App: app, Drain: -1}
	v := serve(t, s)
	got := get(v.url)
	<-app.entered
	v.stop()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-v.result; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve returned %v; want %v", err, http.ErrServerClosed)
	}
	if cause := <-app.cause; !errors.Is(cause, cgi.ErrShutdown) {
		t.Errorf("cancelled by %v; want %v", cause, cgi.ErrShutdown)
	}
	if a := <-got; a.err == nil {
		t.Errorf("the client took %q for a complete response", a.body)
	}
}

// TestServeClosed: a Server that is closed already serves nothing, and closes its
// listeners.
func TestServeClosed(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	s := &gatehouse.Server{App: newHeld(), Log: slog.New(slog.DiscardHandler),
		Endpoints: []gatehouse.Endpoint{{Protocol: gatehouse.SCGI, Listener: l}}}
	s.Close()
	if err := s.Serve(context.Background()); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve returned %v; want %v", err, http.ErrServerClosed)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept returned %v; want %v", err, net.ErrClosed)
	}
}

// TestServeOverdue: the hook is called before Serve returns, once.
func TestServeOverdue(t *testing.T) {
	app := newHeld()
	called := 0
	v := serve(t, &gatehouse.Server{App: app, Drain: time.Nanosecond, Overdue: func() { called++ }})
	got := get(v.url)
	<-app.entered
	v.stop()
	<-v.result
	if called != 1 {
		t.Errorf("called %d times", called)
	}
	<-got
}

// TestServeProgramLog: a CGI program logs to the Server's Log.
func TestServeProgramLog(t *testing.T) {
	for name, value := range map[string]string{"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "SERVER_NAME": "localhost",
		"SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": "/program"} {
		t.Setenv(name, value)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	defer func(f *os.File) { os.Stdout = f }(os.Stdout)
	os.Stdout = out
	logs := new(testkit.Log)
	s := &gatehouse.Server{Log: logs.Logger(), App: cgi.AppFunc(func(cgi.ResponseWriter, *cgi.Request) error {
		return errors.New("it does not work")
	})}
	var exit *cgi.ExitError
	if err := s.ServeProgram(t.Context()); !errors.As(err, &exit) {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(logs.String(), "it does not work") {
		t.Errorf("log %q", logs)
	}
}
