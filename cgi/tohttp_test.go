package cgi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
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
)

// variablesOf returns the variables that an App gets for a request.
func variablesOf(t *testing.T, change func(*http.Request)) *Environ {
	t.Helper()
	var env *Environ
	h := (&Handler{Log: slog.New(slog.DiscardHandler)}).HTTP(AppFunc(func(w ResponseWriter, r *Request) error {
		env = r.Env.Clone()
		return w.StartResponse("200 OK", nil)
	}), Limits{})
	req := httptest.NewRequest("GET", "/a%20b/c?x=%zz&y", nil)
	if change != nil {
		change(req)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if env == nil {
		t.Fatalf("the application was not called: %d", rec.Code)
	}
	return env
}

func wantVariables(t *testing.T, env *Environ, vars ...string) {
	t.Helper()
	for _, v := range vars {
		name, value, set := strings.Cut(v, "=")
		if got, ok := env.Lookup(name); ok != set || got != value {
			t.Errorf("%s is %q (set: %v), want %q", name, got, ok, v)
		}
	}
}

func TestR10ContentLength(t *testing.T) {
	wantVariables(t, variablesOf(t, nil), "CONTENT_LENGTH")
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("abc")), 3 }), "CONTENT_LENGTH=3", "HTTP_CONTENT_LENGTH")
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("abc")), -1 }), "CONTENT_LENGTH")
}

func TestR11ContentType(t *testing.T) {
	wantVariables(t, variablesOf(t, nil), "CONTENT_TYPE")
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.Header.Set("Content-Type", "a/b") }), "CONTENT_TYPE=a/b", "HTTP_CONTENT_TYPE")
}

func TestR13GatewayInterface(t *testing.T) {
	wantVariables(t, variablesOf(t, nil), "GATEWAY_INTERFACE=CGI/1.1")
}

func TestR14PathInfo(t *testing.T) {
	wantVariables(t, variablesOf(t, nil), "PATH_INFO=/a b/c", "REQUEST_URI=/a%20b/c?x=%zz&y")
	wantVariables(t, variablesOf(t, func(r *http.Request) { *r = *httptest.NewRequest("OPTIONS", "*", nil) }), "PATH_INFO=", "REQUEST_URI=*")
	wantVariables(t, variablesOf(t, func(r *http.Request) { *r = *httptest.NewRequest("GET", "http://h/a%2Fb", nil) }), "PATH_INFO=/a/b")

	// A NUL is refused.
	app := AppFunc(func(ResponseWriter, *Request) error { return errors.New("called") })
	rec := httptest.NewRecorder()
	(&Handler{Log: slog.New(slog.DiscardHandler)}).HTTP(app, Limits{}).ServeHTTP(rec, httptest.NewRequest("GET", "/a%00b", nil))
	if rec.Code != 400 {
		t.Errorf("NUL: %d", rec.Code)
	}
}

func TestR16QueryString(t *testing.T) {
	wantVariables(t, variablesOf(t, nil), "QUERY_STRING=x=%zz&y")
	wantVariables(t, variablesOf(t, func(r *http.Request) { *r = *httptest.NewRequest("GET", "/", nil) }), "QUERY_STRING=")
}

func TestR17RemoteAddr(t *testing.T) {
	for addr, want := range map[string][]string{
		"192.0.2.1:1234":       {"REMOTE_ADDR=192.0.2.1", "REMOTE_PORT=1234", "REMOTE_HOST=192.0.2.1"}, // R18
		"[2001:db8::1]:1234":   {"REMOTE_ADDR=2001:db8::1", "REMOTE_PORT=1234"},
		"[fe80::1%eth0]:1":     {"REMOTE_ADDR=fe80::1"},
		"[::ffff:192.0.2.1]:1": {"REMOTE_ADDR=192.0.2.1"},
		"192.0.2.9":            {"REMOTE_ADDR=192.0.2.9", "REMOTE_PORT"},
		"@":                    {"REMOTE_ADDR=unix:", "REMOTE_PORT", "REMOTE_HOST"},
		"":                     {"REMOTE_ADDR=unix:"},
	} {
		wantVariables(t, variablesOf(t, func(r *http.Request) { r.RemoteAddr = addr }), want...)
	}
}

func TestR21RequestMethod(t *testing.T) {
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.Method = "pRoPfInD" }), "REQUEST_METHOD=pRoPfInD")
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.Method = "" }), "REQUEST_METHOD=GET")
}

func TestR22ScriptName(t *testing.T) {
	wantVariables(t, variablesOf(t, nil), "SCRIPT_NAME=")
	// R3: both together stay the path, also where http.StripPrefix took some of it.
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.URL.Path = "/c" }), "SCRIPT_NAME=/a b", "PATH_INFO=/c")
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.URL.Path = "/other" }), "SCRIPT_NAME=", "PATH_INFO=/other")
}

func TestR23ServerName(t *testing.T) {
	for host, want := range map[string]string{"example.test": "example.test", "example.test:8080": "example.test", "[::1]": "[::1]", "[::1]:80": "[::1]", "h:": "h"} {
		wantVariables(t, variablesOf(t, func(r *http.Request) { r.Host = host }), "SERVER_NAME="+want, "HTTP_HOST="+host)
	}
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.Host = "" }), "SERVER_NAME=localhost", "HTTP_HOST")
	local := func(r *http.Request) {
		r.Host = ""
		ctx := context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.ParseIP("::1"), Port: 81}))
		*r = *r.WithContext(ctx)
	}
	wantVariables(t, variablesOf(t, local), "SERVER_NAME=[::1]", "SERVER_PORT=81", "SERVER_ADDR=::1")
}

func TestR24ServerPort(t *testing.T) {
	wantVariables(t, variablesOf(t, nil), "SERVER_PORT=80")
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.Host = "h:8080" }), "SERVER_PORT=8080")
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.Host = "h:x" }), "SERVER_PORT=80")
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.TLS = new(tls.ConnectionState) }), "SERVER_PORT=443")
}

func TestR25R26ServerProtocolAndSoftware(t *testing.T) {
	wantVariables(t, variablesOf(t, nil), "SERVER_PROTOCOL=HTTP/1.1", "SERVER_SOFTWARE=gatehouse")
}

func TestR27Scheme(t *testing.T) {
	wantVariables(t, variablesOf(t, nil), "HTTPS", "REQUEST_SCHEME=http")
	wantVariables(t, variablesOf(t, func(r *http.Request) { r.TLS = new(tls.ConnectionState) }), "HTTPS=on", "REQUEST_SCHEME=https")
}

func TestR28Header(t *testing.T) {
	env := variablesOf(t, func(r *http.Request) {
		r.Header = http.Header{
			"X-A": {"one", "two"}, "Cookie": {"a=1", "b=2"}, "Authorization": {"Basic x"}, "Proxy": {"evil"}, "X_under": {"1"}, "X-Empty": {""},
			"Connection": {"close"}, "Te": {"trailers"}, "Upgrade": {"h2c"}, "Proxy-Authorization": {"x"}, "Host": {"evil"},
		}
	})
	wantVariables(t, env, "HTTP_X_A=one, two", "HTTP_COOKIE=a=1; b=2", "HTTP_AUTHORIZATION=Basic x", "HTTP_X_EMPTY=", "HTTP_HOST=example.com",
		"HTTP_PROXY", "HTTP_X_UNDER", "HTTP_CONNECTION", "HTTP_TE", "HTTP_UPGRADE", "HTTP_PROXY_AUTHORIZATION")
}

// start serves an App over real HTTP, on loopback.
func start(t *testing.T, a App, l Limits) (url string, log *lockedBuffer) {
	t.Helper()
	log = new(lockedBuffer)
	h := &Handler{Log: slog.New(slog.NewTextHandler(log, nil))}
	s := httptest.NewServer(h.HTTP(a, l))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s.URL, log
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

func TestToHTTPFraming(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		app    AppFunc
		want   []string
		end    string
	}{
		{"held as a whole", "GET", answer("200 OK", []string{"X: y"}, "hello"),
			[]string{"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n", "X: y\r\n", "Date: "}, "\r\n\r\nhello"},
		{"204", "GET", answer("204 No Content", []string{"Content-Length: 3"}, "xyz"), []string{"HTTP/1.1 204 No Content\r\n"}, "\r\n\r\n"},
		{"304", "GET", answer("304 Not Modified", nil, ""), []string{"HTTP/1.1 304 Not Modified\r\n"}, "\r\n\r\n"},
		{"HEAD", "HEAD", answer("200 OK", []string{"Content-Length: 12345"}, ""), []string{"Content-Length: 12345\r\n"}, "\r\n\r\n"},
		{"streamed", "GET", func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "hello")
			return w.Flush()
		}, []string{"Transfer-Encoding: chunked\r\n"}, "\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"an error page", "GET", func(ResponseWriter, *Request) error { return &StatusError{Code: 503, RetryAfter: time.Second} },
			[]string{"HTTP/1.1 503 Service Unavailable\r\n", "Retry-After: 1\r\n"}, "\r\n\r\n503 Service Unavailable\n"},
		{"broken off while streamed", "GET", func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "hello")
			w.Flush()
			return errors.New("gone wrong")
		}, []string{"Transfer-Encoding: chunked\r\n"}, "\r\n5\r\nhello\r\n"},
		{"shorter than declared", "GET", answer("200 OK", []string{"Content-Length: 9"}, "hello"), []string{"Content-Length: 9\r\n"}, "\r\n\r\nhello"},
		{"broken off before the head", "GET", func(ResponseWriter, *Request) error { panic(http.ErrAbortHandler) }, nil, ""},
	} {
		url, _ := start(t, c.app, Limits{})
		got := raw(t, url, strings.Replace(getAndClose, "GET", c.method, 1))
		head, _, _ := strings.Cut(got, "\r\n\r\n")
		for _, line := range c.want {
			if !strings.Contains(head+"\r\n", line) {
				t.Errorf("%s: no %q in %q", c.name, line, got)
			}
		}
		if !strings.HasSuffix(got, c.end) || c.want == nil && got != "" {
			t.Errorf("%s: %q does not end in %q", c.name, got, c.end)
		}
		if strings.Contains(head, "Content-Type") != (c.name == "an error page") {
			t.Errorf("%s: a type that the application did not give: %q", c.name, head)
		}
		if strings.Contains(c.name, "204") && strings.Contains(head, "Content-Length") {
			t.Errorf("%s: %q", c.name, head)
		}
	}
}

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
	}), Limits{BodyRead: 50 * time.Millisecond})
	got := raw(t, url, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf")
	var se *StatusError
	if err := <-result; !errors.As(err, &se) || se.Code != 408 {
		t.Errorf("Read = %v", err)
	}
	if !strings.HasPrefix(got, "HTTP/1.1 408 Request Timeout\r\n") || !strings.Contains(log.String(), "body_read") {
		t.Errorf("got %q, log %s", got, log)
	}
}

// The limit on reading the body must not run on when nobody reads it: net/http
// would take its end for a client that has gone.
func TestToHTTPBodyReadLimitEndsWithTheBody(t *testing.T) {
	const limit = 20 * time.Millisecond
	url, _ := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		ctx := r.Context()
		if b, err := io.ReadAll(r.Body); len(b) != 5 || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		select {
		case <-ctx.Done():
			t.Errorf("cancelled: %v", context.Cause(ctx))
		case <-time.After(5 * limit):
		}
		return w.StartResponse("200 OK", nil)
	}), Limits{BodyRead: limit})
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReader(c)
	for range 2 {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
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
	}), Limits{})
	got := raw(t, url, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nConnection: close\r\n\r\n1")
	if !strings.HasPrefix(got, "HTTP/1.1 204") {
		t.Errorf("got %q", got)
	}
}

// An answer may begin, and arrive, before the body has.
func TestToHTTPFullDuplex(t *testing.T) {
	url, _ := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
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

func TestToHTTPInformational(t *testing.T) {
	url, _ := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		if err := WriteInformational(w, 103, []Field{{"Link", "</x>"}}); err != nil {
			t.Error(err)
		}
		if err := WriteInformational(w, 103, []Field{{"Link", "\n"}}); !errors.Is(err, ErrField) {
			t.Errorf("a bad field: %v", err)
		}
		if err := WriteInformational(w, 101, nil); err != http.ErrNotSupported {
			t.Errorf("101: %v", err)
		}
		w.StartResponse("200 OK", nil)
		w.Flush()
		if err := WriteInformational(w, 103, nil); err != ErrHeadersSent {
			t.Errorf("after the head: %v", err)
		}
		return nil
	}), Limits{})
	got := raw(t, url, getAndClose)
	if !strings.HasPrefix(got, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n") || strings.Count(got, "Link") != 1 {
		t.Errorf("got %q", got)
	}
}

func TestToHTTPDeadlines(t *testing.T) {
	url, _ := start(t, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
		var ne net.Error
		if _, err := io.ReadAll(r.Body); !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("Read = %v", err)
		}
		if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, "x")
		if err := c.Flush(); !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("Flush = %v", err)
		}
	})), Limits{})
	if got := raw(t, url, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf"); got != "" {
		t.Errorf("got %q", got)
	}
}

// A client that takes nothing loses its connection.
func TestToHTTPWriteLimit(t *testing.T) {
	result := make(chan error, 1)
	url, log := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		block := make([]byte, 1<<20)
		for {
			if _, err := w.Write(block); err != nil {
				result <- err
				return err
			}
		}
	}), Limits{Write: 50 * time.Millisecond})
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, getAndClose)
	var ne net.Error
	if err := <-result; !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("Write = %v", err)
	}
	waitFor(t, log, "i/o timeout")
}
