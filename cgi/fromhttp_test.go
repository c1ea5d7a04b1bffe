package cgi

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
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
		{[]string{"SCRIPT_NAME=/a b", "REQUEST_URI=/x/../a%20b?q"}, "/a b", "", "q", "/x/../a%20b?q", ""},
		{[]string{"SCRIPT_NAME=/a", "PATH_INFO=/b?", "QUERY_STRING=q=%zz"}, "/a/b?", "", "q=%zz", "/a/b%3F?q=%zz", "/a"},
		{[]string{"REQUEST_URI=http://h/a%2Bb?q"}, "/a+b", "/a%2Bb", "q", "http://h/a%2Bb?q", ""},
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

func TestScriptNameBehindIIS(t *testing.T) {
	var got string
	r := &Request{Env: NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/app", "PATH_INFO=/app/x"), Paths: PathIIS}
	serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = ScriptName(r) + " " + r.URL.Path })))
	if got != "/app /app/x" {
		t.Errorf("got %q", got)
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

type testKey struct{}

func TestFromHTTPContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), testKey{}, "value"))
	r := &Request{Env: NewEnviron("REQUEST_METHOD=GET")}
	r.SetContext(ctx)
	serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(testKey{}) != "value" {
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

// lazySource makes the context when it is asked for.
type lazySource struct {
	base   context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (s *lazySource) BaseContext() context.Context { return s.base }

func (s *lazySource) RequestContext() context.Context {
	s.ctx, s.cancel = context.WithCancelCause(s.base)
	return s.ctx
}

// The context of a front-end that lets it is made by whoever asks first, on any
// goroutine, or never; and it is done once the handler has returned.
func TestFromHTTPLazyContext(t *testing.T) {
	base := context.WithValue(context.Background(), testKey{}, "value")
	s := new(lazySource)
	serve := func(f func(r *http.Request)) *lazySource {
		*s = lazySource{base: base}
		r := &Request{Env: NewEnviron("REQUEST_METHOD=GET", "REMOTE_USER=joe")}
		r.SetContextSource(s)
		serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(r) })))
		return s
	}
	var left *http.Request
	if s := serve(func(r *http.Request) { left = r }); s.ctx != nil {
		t.Error("a context was made that nobody asked for")
	}
	if s := serve(func(r *http.Request) {
		if Env(r).Get("REMOTE_USER") != "joe" || CloneEnv(r).Get("REMOTE_USER") != "joe" || ScriptName(r) != "" {
			t.Error("no variables")
		}
	}); s.ctx != nil {
		t.Error("Env makes a context")
	}
	<-left.Context().Done()
	if err := left.Context().Err(); err != context.Canceled || left.Context().Value(testKey{}) != "value" || context.Cause(left.Context()) != context.Canceled {
		t.Errorf("after the end: %v", err)
	}
	if Env(left).Len() != 0 || CloneEnv(left).Len() != 0 {
		t.Error("after the end the variables are still there")
	}
	serve(func(r *http.Request) {
		if r.Context().Value(testKey{}) != "value" {
			t.Error("the front-end's values are lost")
		}
	})
	serve(func(r *http.Request) {
		if _, ok := r.Context().Deadline(); ok || r.Context().Err() != nil {
			t.Error("a deadline, or an end")
		}
		child, stop := context.WithCancel(r.Context())
		defer stop()
		waiting := make(chan struct{})
		go func() {
			<-r.Context().Done()
			close(waiting)
		}()
		called := make(chan struct{})
		context.AfterFunc(r.Context(), func() { close(called) })
		s.cancel(ErrAborted)
		<-child.Done()
		<-called
		<-waiting
		if context.Cause(child) != ErrAborted || context.Cause(r.Context()) != ErrAborted {
			t.Errorf("cause %v, %v", context.Cause(child), context.Cause(r.Context()))
		}
	})
}

// Fields whose variables net/http spells the same are one field with two values.
func TestFromHTTPFieldsThatMeet(t *testing.T) {
	r := httpRequest(t, "", "HTTP_X_A=1", "HTTP_ACCEPT=1", "HTTP_x_a=2", "HTTP_accept=2", "HTTP_USER-AGENT=1", "HTTP_USER_AGENT=2", "HTTP_proxy=evil")
	if got := fmt.Sprint(r.Header); got != "map[Accept:[1 2] User-Agent:[1 2] X-A:[1 2]]" {
		t.Errorf("got %s", got)
	}
}

func TestKnownHeader(t *testing.T) {
	for name := range strings.FieldsSeq(`
		ACCEPT ACCEPT_CHARSET ACCEPT_ENCODING ACCEPT_LANGUAGE AUTHORIZATION CACHE_CONTROL CONNECTION
		CONTENT_ENCODING COOKIE DNT EXPECT FORWARDED IF_MATCH IF_MODIFIED_SINCE IF_NONE_MATCH IF_RANGE
		KEEP_ALIVE ORIGIN PRAGMA PRIORITY RANGE REFERER SEC_FETCH_DEST SEC_FETCH_MODE SEC_FETCH_SITE
		SEC_FETCH_USER TE UPGRADE_INSECURE_REQUESTS USER_AGENT VIA X_FORWARDED_FOR X_FORWARDED_HOST
		X_FORWARDED_PROTO X_REAL_IP X_REQUESTED_WITH`) {
		if got, want := knownHeader(name), http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := knownHeader("X_OTHER"); got != "" {
		t.Errorf("got %q", got)
	}
}
