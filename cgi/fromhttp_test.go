package cgi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// httpRequest returns what a handler behind FromHTTP gets for these variables.
func httpRequest(t *testing.T, body string, vars ...string) *http.Request {
	t.Helper()
	var got *http.Request
	env := NewEnviron("REQUEST_METHOD=GET")
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		env.Set(name, value)
	}
	r := &Request{Env: env}
	if body != "" {
		r.ContentLength, r.Body = int64(len(body)), strings.NewReader(body)
	}
	out := serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { got = req })))
	if got == nil {
		t.Fatalf("the handler was not called: %v", out.result.Err)
	}
	return got
}

func TestFromHTTPRequest(t *testing.T) {
	r := httpRequest(t, "hello",
		"REQUEST_METHOD=POST", "SERVER_PROTOCOL=HTTP/1.1", "HTTP_HOST=example.test:8080", "REQUEST_URI=/app/a%2Fb?x=1&y",
		"SCRIPT_NAME=/app", "PATH_INFO=/a/b", "QUERY_STRING=x=1&y", "REMOTE_ADDR=2001:db8::1", "REMOTE_PORT=1234",
		"CONTENT_TYPE=text/plain", "CONTENT_LENGTH=5", "HTTP_X_A=one, two", "HTTP_COOKIE=a=1; b=2", "HTTP_PROXY=evil",
		"HTTP_CONTENT_LENGTH=7", "HTTP_CONTENT_TYPE=other/type", "HTTP_TRANSFER_ENCODING=chunked", "HTTP_TRAILER=X", "HTTP_EMPTY=",
		"HTTP_BAD(NAME=x", "REMOTE_USER=joe")
	for name, pair := range map[string][2]any{
		"Method":        {r.Method, "POST"},
		"Proto":         {fmt.Sprint(r.Proto, r.ProtoMajor, r.ProtoMinor), "HTTP/1.11 1"},
		"Host":          {r.Host, "example.test:8080"},
		"URL.Path":      {r.URL.Path, "/app/a/b"},
		"URL.RawPath":   {r.URL.RawPath, "/app/a%2Fb"},
		"URL.RawQuery":  {r.URL.RawQuery, "x=1&y"},
		"RequestURI":    {r.RequestURI, "/app/a%2Fb?x=1&y"},
		"RemoteAddr":    {r.RemoteAddr, "[2001:db8::1]:1234"},
		"ContentLength": {r.ContentLength, int64(5)},
		"TLS":           {r.TLS == nil, true},
		"Header": {fmt.Sprint(r.Header),
			"map[Content-Length:[5] Content-Type:[text/plain] Cookie:[a=1; b=2] Empty:[] X-A:[one, two]]"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", name, pair[0], pair[1])
		}
	}
	if c, err := r.Cookie("b"); err != nil || c.Value != "2" {
		t.Errorf("cookie %v, %v", c, err)
	}
}

// R25: SERVER_PROTOCOL is compared in any case, INCLUDED counts as HTTP/1.0, and
// nothing that a web server sends there is an error.
func TestR25ServerProtocol(t *testing.T) {
	for sent, want := range map[string]string{
		"HTTP/1.1": "HTTP/1.1 1 1", "HTTP/1.0": "HTTP/1.0 1 0", "http/1.1": "HTTP/1.1 1 1", "HTTP/2": "HTTP/2.0 2 0", "HTTP/2.0": "HTTP/2.0 2 0",
		"HTTP/3": "HTTP/3.0 3 0", "INCLUDED": "HTTP/1.0 1 0", "": "HTTP/1.0 1 0", "junk": "HTTP/1.0 1 0", "HTTP/0.9": "HTTP/0.9 0 9",
	} {
		r := httpRequest(t, "", "SERVER_PROTOCOL="+sent)
		if got := fmt.Sprintf("%s %d %d", r.Proto, r.ProtoMajor, r.ProtoMinor); got != want {
			t.Errorf("%q: got %q, want %q", sent, got, want)
		}
	}
}

func TestFromHTTPHost(t *testing.T) {
	for _, c := range [][]string{
		{"h:1", "HTTP_HOST=h:1", "SERVER_NAME=s", "SERVER_PORT=80"},
		{"s", "HTTP_HOST=", "SERVER_NAME=s", "SERVER_PORT=80"},
		{"s:8080", "SERVER_NAME=s", "SERVER_PORT=8080"},
		{"s", "SERVER_NAME=s", "SERVER_PORT=443", "HTTPS=on"},
		{"s:443", "SERVER_NAME=s", "SERVER_PORT=443"},
		{"[::1]:81", "SERVER_NAME=::1", "SERVER_PORT=81"},
		{"[::1]", "SERVER_NAME=[::1]"},
		{""},
	} {
		if got := httpRequest(t, "", c[1:]...).Host; got != c[0] {
			t.Errorf("%q: got %q", c, got)
		}
	}
}

func TestFromHTTPRemoteAddr(t *testing.T) {
	for _, c := range [][]string{
		{"192.0.2.1:80", "REMOTE_ADDR=192.0.2.1", "REMOTE_PORT=80"},
		{"192.0.2.1:0", "REMOTE_ADDR=192.0.2.1"},
		{"[::1]:5", "REMOTE_ADDR=::1", "REMOTE_PORT=5"},
		{"[::1]:5", "REMOTE_ADDR=[::1]", "REMOTE_PORT=5"},
		{"unix:", "REMOTE_ADDR=unix:", "REMOTE_PORT="},
		{""},
	} {
		if got := httpRequest(t, "", c[1:]...).RemoteAddr; got != c[0] {
			t.Errorf("%q: got %q", c, got)
		}
	}
}

func TestFromHTTPURL(t *testing.T) {
	for _, c := range []struct {
		env                  []string
		path, rawPath, query string
		uri, script          string
	}{
		{[]string{"SCRIPT_NAME=/a b", "DOCUMENT_URI=/a b", "REQUEST_URI=/a%20b"}, "/a b", "", "", "/a%20b", ""},
		{[]string{"SCRIPT_NAME=/a b", "REQUEST_URI=/x/../a%20b?q"}, "/a b", "", "", "/x/../a%20b?q", ""},
		{[]string{"SCRIPT_NAME=/a", "PATH_INFO=/b?", "QUERY_STRING=q=%zz"}, "/a/b?", "", "q=%zz", "/a/b%3F?q=%zz", "/a"},
		{[]string{"REQUEST_URI=http://h/a%2Bb?q"}, "/a+b", "/a%2Bb", "", "http://h/a%2Bb?q", ""},
		{[]string{"REQUEST_URI=*"}, "*", "", "", "*", ""},
		{[]string{"PATH_INFO=x"}, "/x", "", "", "/x", ""},
		{nil, "/", "", "", "/", ""},
		{[]string{"SCRIPT_NAME=/git/r", "PATH_INFO=/r", "DOCUMENT_URI=/git/r"}, "/git/r", "", "", "/git/r", ""},
	} {
		r := httpRequest(t, "", c.env...)
		if r.URL.Path != c.path || r.URL.RawPath != c.rawPath || r.URL.RawQuery != c.query || r.RequestURI != c.uri || ScriptName(r) != c.script {
			t.Errorf("%q: Path %q RawPath %q RawQuery %q RequestURI %q ScriptName %q", c.env, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.RequestURI, ScriptName(r))
		}
	}
}

func TestScriptName(t *testing.T) {
	var got []string
	h := FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = []string{ScriptName(r), r.URL.Path} }))
	m := new(Mux)
	m.Mount("/app", h)
	serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/app/x", "DOCUMENT_URI=/app/x")}, m)
	if fmt.Sprint(got) != "[/app /app/x]" {
		t.Errorf("behind a Mux: %q", got)
	}
	serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/cgi-bin/x", "REQUEST_URI=/cgi-bin/x"), RunOnce: true}, h)
	if fmt.Sprint(got) != "[/cgi-bin/x /cgi-bin/x]" {
		t.Errorf("a CGI program: %q", got)
	}
	if r, _ := http.NewRequest("GET", "/", nil); ScriptName(r) != "" || Env(r).Len() != 0 {
		t.Error("a request from elsewhere")
	}
}

func TestFromHTTPTLS(t *testing.T) {
	r := httpRequest(t, "", "HTTPS=on", "SSL_PROTOCOL=TLSv1.3", "SSL_TLS_SNI=example.test")
	if r.TLS == nil || !r.TLS.HandshakeComplete || r.TLS.Version != tls.VersionTLS13 || r.TLS.ServerName != "example.test" {
		t.Errorf("TLS is %+v", r.TLS)
	}
}

func TestFromHTTPRefuses(t *testing.T) {
	for _, vars := range [][]string{
		{"REQUEST_METHOD="}, {"REQUEST_METHOD=G T"}, {"REQUEST_METHOD=GET", "HTTP_X=a\r\nb"}, {"REQUEST_METHOD=GET", "CONTENT_TYPE=a\nb"},
	} {
		r := serveWith(t, new(Handler), &Request{Env: NewEnviron(vars...)}, FromHTTP(http.NotFoundHandler()))
		if r.result.Code != 400 {
			t.Errorf("%q: %d", vars, r.result.Code)
		}
	}
}

func TestFromHTTPAndBack(t *testing.T) {
	h := http.NotFoundHandler()
	if got := ToHTTP(FromHTTP(h)); fmt.Sprintf("%p", got) != fmt.Sprintf("%p", h) {
		t.Error("ToHTTP(FromHTTP(h)) is not h")
	}
	m := new(Mux)
	if FromHTTP(ToHTTP(m)) != App(m) {
		t.Error("FromHTTP(ToHTTP(a)) is not a")
	}
	// A handler that holds limits is not taken apart.
	if FromHTTP(new(Handler).HTTP(m, Limits{})) == App(m) {
		t.Error("FromHTTP(h.HTTP(a)) is a")
	}
}

// answerHTTP runs a function as a http.Handler.
func answerHTTP(t *testing.T, method string, h http.HandlerFunc) run {
	t.Helper()
	return serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=" + method)}, FromHTTP(h))
}

func TestFromHTTPResponse(t *testing.T) {
	for _, c := range []struct {
		name, method string
		handler      http.HandlerFunc
		want         string
	}{
		{"nothing", "GET", func(w http.ResponseWriter, r *http.Request) {}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"a guessed type", "GET", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") },
			"Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>"},
		{"no guess over an encoding", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "<html>")
		}, "Status: 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\n<html>"},
		{"no guess over a nil", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "<html>")
		}, "Status: 200 OK\r\nContent-Length: 6\r\n\r\n<html>"},
		{"fields in order", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("X-B", "2")
			w.Header().Add("X-A", "1")
			w.Header().Add("X-B", "1")
			w.WriteHeader(404)
			w.Header().Set("X-Late", "1")
		}, "Status: 404 Not Found\r\nX-A: 1\r\nX-B: 2\r\nX-B: 1\r\nContent-Length: 0\r\n\r\n"},
		{"many fields", "GET", func(w http.ResponseWriter, r *http.Request) {
			for i := range 10 {
				w.Header().Add("X", fmt.Sprint(i))
			}
			w.WriteHeader(299)
		}, "Status: 299 Unknown\r\nX: 0\r\nX: 1\r\nX: 2\r\nX: 3\r\nX: 4\r\nX: 5\r\nX: 6\r\nX: 7\r\nX: 8\r\nX: 9\r\nContent-Length: 0\r\n\r\n"},
		{"trailers are dropped", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-A, X-B")
			w.Header().Set("X-A", "1")
			w.Header().Set(http.TrailerPrefix+"X-C", "1")
			w.WriteHeader(200)
			w.Header().Set("X-B", "1")
		}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"flush first", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, "x")
		}, "Status: 200 OK\r\n\r\nx"},
		{"HEAD", "HEAD", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "12345") },
			"Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n"},
		{"204", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "x"); err != http.ErrBodyNotAllowed {
				t.Errorf("Write on 204: %v", err)
			}
			if n, err := w.Write(nil); n != 0 || err != nil {
				t.Errorf("empty Write on 204: %v", err)
			}
		}, "Status: 204 No Content\r\n\r\n"},
		{"Content-Length", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			w.Header().Set("Content-Type", "a/b")
			if n, err := io.WriteString(w, "123"); n != 2 || err != http.ErrContentLength {
				t.Errorf("Write = %d, %v", n, err)
			}
		}, "Status: 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n12"},
		{"103 is left out", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</x>")
			w.WriteHeader(103)
			w.WriteHeader(201)
		}, "Status: 201 Created\r\nLink: </x>\r\nContent-Length: 0\r\n\r\n"},
		{"101 is refused", "GET", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(101) }, errorPage500},
		{"a bad field", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", "a\nb")
			if _, err := io.WriteString(w, "x"); !errors.Is(err, ErrField) {
				t.Errorf("Write = %v", err)
			}
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, ErrField) {
				t.Errorf("Flush = %v", err)
			}
		}, errorPage500},
		{"an invalid code", "GET", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(99) }, errorPage500},
		{"ReadFrom", "GET", func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(w, strings.NewReader(strings.Repeat("z", 70000)))
			if n != 70000 || err != nil {
				t.Errorf("Copy = %d, %v", n, err)
			}
		}, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("z", 70000)},
		{"http.Redirect", "HEAD", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", 302) },
			"Status: 302 Found\r\nContent-Type: text/html; charset=utf-8\r\nLocation: /there\r\n\r\n"},
	} {
		r := answerHTTP(t, c.method, c.handler)
		if got := r.sink.String(); got != c.want || r.result.End != Complete {
			t.Errorf("%s: %v\ngot  %.200q\nwant %.200q", c.name, r.result.End, got, c.want)
		}
	}
}

func TestSuperfluousWriteHeaderIsLogged(t *testing.T) {
	r := answerHTTP(t, "GET", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(404)
		w.WriteHeader(500)
	})
	r.want(t, Complete, "Status: 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	if log := r.log.String(); !strings.Contains(log, "superfluous WriteHeader(500) from fromhttp_test.go:") || strings.Count(log, "\n") != 1 {
		t.Errorf("log %q", log)
	}
}

func TestFromHTTPErrAbortHandler(t *testing.T) {
	answerHTTP(t, "GET", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}).want(t, Truncated, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx")
}

// deadlineSink takes what a socket's sink could.
type deadlineSink struct {
	textSink
	read, write time.Time
	informed    []string
}

func (s *deadlineSink) SetReadDeadline(t time.Time) error {
	s.read = t
	return nil
}

func (s *deadlineSink) SetWriteDeadline(t time.Time) error {
	s.write = t
	return nil
}

func (s *deadlineSink) WriteInformational(code int, fields []Field) error {
	s.informed = append(s.informed, fmt.Sprint(code, fields))
	return nil
}

func TestResponseController(t *testing.T) {
	when := time.Unix(1<<40, 0)
	handler := func(supported bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			for name, err := range map[string]error{"SetReadDeadline": c.SetReadDeadline(when), "SetWriteDeadline": c.SetWriteDeadline(when)} {
				if (err == nil) != supported || err != nil && !errors.Is(err, http.ErrNotSupported) {
					t.Errorf("%s = %v", name, err)
				}
			}
			if err := c.EnableFullDuplex(); err != nil {
				t.Errorf("EnableFullDuplex = %v", err)
			}
			if _, _, err := c.Hijack(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("Hijack = %v", err)
			}
			w.Header().Set("Link", "x")
			w.WriteHeader(103)
			if err := c.Flush(); err != nil {
				t.Errorf("Flush = %v", err)
			}
		}
	}
	answerHTTP(t, "GET", handler(false))
	sink := new(deadlineSink)
	new(Handler).Run(&Request{Env: NewEnviron("REQUEST_METHOD=GET")}, sink, FromHTTP(handler(true)))
	if sink.read != when || sink.write != when || fmt.Sprint(sink.informed) != "[103 [{Link x}]]" {
		t.Errorf("got %v, %v, %v", sink.read, sink.write, sink.informed)
	}
}

func TestFromHTTPBody(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int64
		vars string
		want string
	}{
		{"of known length", 5, "CONTENT_LENGTH=5", "5 [] hello"},
		{"chunked", -1, "HTTP_TRANSFER_ENCODING=chunked", "-1 [chunked] hello"},
		{"of unknown length", -1, "CONTENT_LENGTH=", "-1 [] hello"},
		{"none", 0, "CONTENT_LENGTH=0", "0 [] "},
	} {
		var got string
		var none bool
		r := &Request{Env: NewEnviron("REQUEST_METHOD=POST", c.vars), Body: strings.NewReader("hello"), ContentLength: c.n}
		serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			none = r.Body == http.NoBody
			got = fmt.Sprint(r.ContentLength, " ", r.TransferEncoding, " ", string(b))
		})))
		if got != c.want || none != (c.n == 0) {
			t.Errorf("%s: got %q, NoBody %v", c.name, got, none)
		}
	}
}

func TestFromHTTPBodyErrors(t *testing.T) {
	r := &Request{Env: NewEnviron("REQUEST_METHOD=POST"), ContentLength: 9,
		Body: io.MultiReader(strings.NewReader("half"), &failing{io.ErrUnexpectedEOF})}
	serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); string(b) != "half" || err != io.ErrUnexpectedEOF {
			t.Errorf("got %q, %v", b, err)
		}
		r.Body.Close()
		if _, err := r.Body.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
			t.Errorf("Read after Close = %v", err)
		}
	})))
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// pipeBody is a Body whose Read waits until Close.
type pipeBody struct {
	*io.PipeReader
	reading chan struct{}
	once    sync.Once
}

func (b *pipeBody) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.reading) })
	return b.PipeReader.Read(p)
}

// A goroutine that a handler leaves behind gets errors, and nothing of what comes
// after.
func TestLeakedGoroutine(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	body := &pipeBody{PipeReader: pr, reading: make(chan struct{})}
	env := NewEnviron("REQUEST_METHOD=POST", "REMOTE_USER=joe")
	r := &Request{Env: env, Body: body, ContentLength: -1}
	var w http.ResponseWriter
	var req *http.Request
	inRead := make(chan error, 1)
	out := serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(rw http.ResponseWriter, rq *http.Request) {
		w, req = rw, rq
		if Env(rq).Get("REMOTE_USER") != "joe" {
			t.Error("Env does not have REMOTE_USER")
		}
		go func() {
			_, err := rq.Body.Read(make([]byte, 1))
			inRead <- err
		}()
		<-body.reading
		io.WriteString(rw, "answer")
	})))
	sent := out.sink.Len()
	if err := <-inRead; err == nil {
		t.Error("the Read under way got something")
	}
	if n, err := req.Body.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a later Read got something")
	}
	if err := req.Body.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(w, "leaked"); err == nil {
		t.Error("Write succeeds")
	}
	if n, err := io.Copy(w, strings.NewReader("leaked")); n != 0 || err == nil {
		t.Error("Copy succeeds")
	}
	w.WriteHeader(500)
	w.(http.Flusher).Flush()
	c := http.NewResponseController(w)
	for name, err := range map[string]error{"Flush": c.Flush(), "SetReadDeadline": c.SetReadDeadline(time.Time{}), "SetWriteDeadline": c.SetWriteDeadline(time.Time{})} {
		if err == nil {
			t.Errorf("%s succeeds", name)
		}
	}
	if out.sink.Len() != sent {
		t.Error("something was sent")
	}
	if Env(req).Len() != 0 {
		t.Error("Env still has the variables")
	}
}

func TestFromHTTPContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), childVariable, "value"))
	r := &Request{Env: NewEnviron("REQUEST_METHOD=GET")}
	r.SetContext(ctx)
	serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(childVariable) != "value" {
			t.Error("the front-end's values are lost")
		}
		child, stop := context.WithCancel(r.Context())
		defer stop()
		called := make(chan struct{})
		context.AfterFunc(r.Context(), func() { close(called) })
		cancel(ErrAborted)
		<-child.Done()
		<-called
		if context.Cause(child) != ErrAborted || context.Cause(r.Context()) != ErrAborted {
			t.Errorf("cause %v, %v", context.Cause(child), context.Cause(r.Context()))
		}
	})))
}

func TestFromHTTPRemovesUploads(t *testing.T) {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	f, _ := m.CreateFormFile("file", "name")
	f.Write(make([]byte, 1<<10))
	m.Close()
	var name string
	r := &Request{Env: NewEnviron("REQUEST_METHOD=POST", "CONTENT_TYPE="+m.FormDataContentType()), Body: &b, ContentLength: int64(b.Len())}
	serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
			return
		}
		f, err := r.MultipartForm.File["file"][0].Open()
		if err != nil {
			t.Error(err)
			return
		}
		name = f.(*os.File).Name()
		f.Close()
	})))
	if _, err := os.Stat(name); name == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file %q is left: %v", name, err)
	}
}

// A hello through net/http's types takes few allocations.
func TestFromHTTPAllocations(t *testing.T) {
	hello := []byte("hello world\n")
	app := FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(hello) }))
	env := NewEnviron("REQUEST_METHOD=GET", "SERVER_PROTOCOL=HTTP/1.1", "SCRIPT_NAME=/hello", "REQUEST_URI=/hello", "DOCUMENT_URI=/hello",
		"HTTP_HOST=example.test", "HTTP_USER_AGENT=test", "HTTP_ACCEPT=*/*", "REMOTE_ADDR=192.0.2.1", "REMOTE_PORT=1234", "QUERY_STRING=",
		"CONTENT_TYPE=", "CONTENT_LENGTH=")
	h := &Handler{Log: slog.New(slog.DiscardHandler)}
	r := &Request{Env: env, Body: http.NoBody, Stderr: io.Discard}
	n := testing.AllocsPerRun(1000, func() { h.Run(r, quietSink{}, app) })
	if n > 10 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
	t.Logf("%v allocations", n)
}
