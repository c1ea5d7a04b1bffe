package cgi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// start serves an App over real HTTP, on loopback.
func start(t *testing.T, a App, l Limits) (url string, log *testkit.Log) {
	t.Helper()
	log = new(testkit.Log)
	h := &Handler{Log: log.Logger()}
	s := httptest.NewServer(h.HTTP(a, l))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s.URL, log
}

// waitFor waits until the log has the text.
func waitFor(t *testing.T, log *testkit.Log, text string) {
	t.Helper()
	if !testkit.Poll(func() bool { return strings.Contains(log.String(), text) }) {
		t.Fatalf("the log does not have %q: %s", text, log)
	}
}

// raw sends bytes and returns all that is answered until the server closes.
func raw(t *testing.T, url, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, request)
	b, _ := io.ReadAll(c)
	return string(b)
}

const getAndClose = "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

func TestToHTTPLimits(t *testing.T) {
	echo := AppFunc(func(w ResponseWriter, r *Request) error {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		w.StartResponse("200 OK", nil)
		_, err = w.Write(b)
		return err
	})
	post := func(url string, body io.Reader) int {
		resp, err := http.Post(url, "a/b", body)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp.StatusCode
	}
	url, log := start(t, echo, Limits{BodyBytes: 10})
	for n, want := range map[int]int{10: 200, 11: 413} {
		body := bytes.Repeat([]byte("x"), n)
		if got := post(url, bytes.NewReader(body)); got != want {
			t.Errorf("%d bytes: %d", n, got)
		}
		if got := post(url, io.MultiReader(bytes.NewReader(body))); got != want {
			t.Errorf("%d bytes, chunked: %d", n, got)
		}
	}
	if !strings.Contains(log.String(), "body_bytes") {
		t.Errorf("the log does not name the key: %s", log)
	}
	for key, l := range map[string]Limits{"params_count": {ParamsCount: 5}, "params_bytes": {ParamsBytes: 100}} {
		url, log := start(t, echo, l)
		if got := post(url, nil); got != 431 || !strings.Contains(log.String(), key) {
			t.Errorf("%s: %d, log %s", key, got, log)
		}
	}
}

func TestToHTTPBodyReadLimit(t *testing.T) {
	result := make(chan error, 1)
	url, log := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		if r.ContentLength != 9 {
			t.Errorf("ContentLength %d", r.ContentLength)
		}
		_, err := io.ReadAll(r.Body)
		result <- err
		return err
	}), Limits{BodyRead: 50 * time.Millisecond, Linger: time.Millisecond})
	got := raw(t, url, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf")
	var se *StatusError
	if err := <-result; !errors.As(err, &se) || se.Code != 408 {
		t.Errorf("Read = %v", err)
	}
	if !strings.HasPrefix(got, "HTTP/1.1 408 Request Timeout\r\n") || !strings.Contains(log.String(), "body_read") {
		t.Errorf("got %q, log %s", got, log)
	}
}

// A connection is kept after a body that was read, and closed after one that was
// not: net/http would take what is left of it for the next request.
func TestToHTTPKeepsTheConnection(t *testing.T) {
	url, _ := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		var b []byte
		if r.Env.Get("PATH_INFO") == "/read" {
			var err error
			if b, err = io.ReadAll(r.Body); err != nil {
				return err
			}
		}
		w.StartResponse("200 OK", nil)
		_, err := w.Write(b)
		return err
	}), Limits{})
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReader(c)
	for _, x := range []struct {
		path, body string
		close      bool
	}{{"/read", "hello", false}, {"/read", "hello", false}, {"/leave", "", true}} {
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", x.path)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != x.body || err != nil || resp.Close != x.close {
			t.Errorf("%s: got %q, %v; close: %v", x.path, b, err, resp.Close)
		}
		resp.Body.Close()
	}
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("the connection ends with %v", err)
	}
}

// A client that declares a body and sends none gets its answer, and does not hold
// the connection.
func TestToHTTPBodyThatNeverComes(t *testing.T) {
	for name, l := range map[string]Limits{"unread": {Linger: time.Millisecond}, "refused": {Linger: time.Millisecond, BodyBytes: 1}} {
		url, _ := start(t, answer("200 OK", nil, "hello"), l)
		got := raw(t, url, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
		if want := map[string]string{"unread": "HTTP/1.1 200 ", "refused": "HTTP/1.1 413 "}[name]; !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestToHTTPClientGone(t *testing.T) {
	started, cause := make(chan struct{}), make(chan error, 1)
	url, log := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		ctx := r.Context()
		close(started)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return context.Cause(ctx)
	}), Limits{})
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, getAndClose)
	<-started
	c.Close()
	if err := <-cause; err != ErrAborted {
		t.Errorf("cause %v", err)
	}
	waitFor(t, log, "client gone")
}

func TestToHTTPCloseInterruptsRead(t *testing.T) {
	url, _ := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		one := make([]byte, 1)
		if _, err := io.ReadFull(r.Body, one); err != nil {
			t.Error(err)
		}
		result, reading := make(chan error), make(chan struct{})
		go func() {
			close(reading)
			_, err := r.Body.Read(one)
			result <- err
		}()
		<-reading
		r.CloseBody()
		if err := <-result; err != ErrBodyClosed {
			t.Errorf("Read = %v", err)
		}
		if _, err := r.Body.Read(one); err != ErrBodyClosed {
			t.Errorf("a later Read = %v", err)
		}
		return w.StartResponse("204 No Content", nil)
	}), Limits{Linger: time.Millisecond})
	got := raw(t, url, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nConnection: close\r\n\r\n1")
	if !strings.HasPrefix(got, "HTTP/1.1 204") {
		t.Errorf("got %q", got)
	}
}

// An answer may begin, and arrive, before the body has.
func TestToHTTPFullDuplex(t *testing.T) {
	url, _ := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		EnableFullDuplex(w)
		w.StartResponse("200 OK", nil)
		io.WriteString(w, "first,")
		if err := w.Flush(); err != nil {
			return err
		}
		b, err := io.ReadAll(r.Body)
		w.Write(b)
		return err
	}), Limits{})
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", url, pr)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, first); string(first) != "first," {
		t.Fatalf("got %q, %v", first, err)
	}
	io.WriteString(pw, "then the body")
	pw.Close()
	if rest, err := io.ReadAll(resp.Body); string(rest) != "then the body" || err != nil {
		t.Errorf("got %q, %v", rest, err)
	}
}
