package simpleserver

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"gatehouse/cgi"
)

// show answers with the variables that are named, the flags and the body, as far as
// it can be read.
func show(names ...string) cgi.App {
	return answer(func(r *cgi.Request) string {
		var b strings.Builder
		for _, name := range names {
			if v, ok := r.Env.Lookup(name); ok {
				fmt.Fprintf(&b, "%s=%q ", name, v)
			}
		}
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(&b, "threads=%t body=%q", r.Multithread, body)
		if err != nil {
			fmt.Fprintf(&b, " error=%v", err)
		}
		return b.String()
	})
}

// TestMended holds what the server mends, and what Compat makes of it.
func TestMended(t *testing.T) {
	vars := []string{"CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_COOKIE", "HTTP_HOST", "HTTP_PROXY", "HTTP_TRANSFER_ENCODING", "HTTP_X_FOO", "PATH_INFO", "QUERY_STRING"}
	const bad = "HTTP/1.0 400 Bad Request"
	for _, c := range []struct{ name, request, mended, compat string }{
		{"no type", "GET / HTTP/1.0\r\n\r\n",
			`CONTENT_LENGTH="" PATH_INFO="/" QUERY_STRING="" threads=true body=""`,
			`CONTENT_LENGTH="" CONTENT_TYPE="text/plain" PATH_INFO="/" QUERY_STRING="" threads=false body=""`},
		{"a type", "GET / HTTP/1.0\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n",
			`CONTENT_LENGTH="" CONTENT_TYPE="a/b" PATH_INFO="/" QUERY_STRING="" threads=true body=""`,
			`CONTENT_LENGTH="" CONTENT_TYPE="a/b" PATH_INFO="/" QUERY_STRING="" threads=false body=""`},
		{"NUL in the path", "GET /%00 HTTP/1.0\r\n\r\n", bad, `PATH_INFO="/\x00"`},
		{"NUL in the line", "GET /\x00 HTTP/1.0\r\n\r\n", bad, `PATH_INFO="/\x00"`},
		{"NUL in a field", "GET / HTTP/1.0\r\nX-Foo: \x00\r\n\r\n", bad, `HTTP_X_FOO="\x00"`},
		{"CR in a field", "GET / HTTP/1.0\r\nX: a\rX-Foo: b\r\n\r\n", bad, `HTTP_X_FOO="b"`},
		{"folded", "GET / HTTP/1.0\r\nX-Foo: a\r\n \t b\r\n\r\n", `HTTP_X_FOO="a b"`, `HTTP_X_FOO="a\r\n \t b"`},
		{"folded first", "GET / HTTP/1.0\r\n X: a\r\n\r\n", bad, `PATH_INFO="/"`},
		{"underscore", "GET / HTTP/1.0\r\nX-Foo: 1\r\nX_Foo: 2\r\n\r\n", `HTTP_X_FOO="1"`, `HTTP_X_FOO="1,2"`},
		{"repeated", "GET / HTTP/1.0\r\nX-Foo: 1\r\nx-foo: 2\r\n\r\n", `HTTP_X_FOO="1, 2"`, `HTTP_X_FOO="1,2"`},
		{"cookies", "GET / HTTP/1.0\r\nCookie: a\r\nCookie: b\r\n\r\n", `HTTP_COOKIE="a; b"`, `HTTP_COOKIE="a,b"`},
		{"hosts", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", bad, `HTTP_HOST="a,a"`},
		{"proxy", "GET / HTTP/1.0\r\nProxy: a\r\n\r\n", `CONTENT_LENGTH="" PATH_INFO="/"`, `CONTENT_TYPE="text/plain" PATH_INFO="/"`},
		{"chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
			`CONTENT_LENGTH="5" PATH_INFO="/" QUERY_STRING="" threads=true body="abcde"`,
			`HTTP_TRANSFER_ENCODING="chunked" PATH_INFO="/" QUERY_STRING="" threads=false body="3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"`},
		{"chunked and 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.0 411 Length Required", `body="0\r\n\r\n"`},
		{"chunked and a length", "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad, `body="0\r\n\r\n"`},
		{"another coding", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.0 501 Not Implemented", `HTTP_TRANSFER_ENCODING="gzip, chunked"`},
		{"chunked too long", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n", "HTTP/1.0 413 Request Entity Too Large", `body="64\r\n"`},
		{"chunked broken off", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", bad, `body="5\r\nab"`},
		{"chunked malformed", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", bad, "HTTP/1.0 200 OK"},
		{"bare LF after a size", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n", bad, "HTTP/1.0 200 OK"},
		{"bare LF in an extension", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;\nab\r\n0\r\n\r\n", bad, "HTTP/1.0 200 OK"},
		{"bare LF after a chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\n0\r\n\r\n", bad, "HTTP/1.0 200 OK"},
		{"bare LF after the last size", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\n\r\n", bad, "HTTP/1.0 200 OK"},
		{"bare LF after a trailer", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", bad, "HTTP/1.0 200 OK"},
		{"bare LF at the end", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n", bad, "HTTP/1.0 200 OK"},
		{"chunked without a size", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n;\r\n", bad, "HTTP/1.0 200 OK"},
		{"lengths that differ", "POST / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", bad, `CONTENT_LENGTH="1"`},
		{"lengths that agree", "POST / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nab", `body="a"`, `body="ab"`},
		{"no length", "POST / HTTP/1.0\r\nContent-Length: +1\r\n\r\nab", bad, `CONTENT_LENGTH="+1"`},
		{"too long", "POST / HTTP/1.0\r\nContent-Length: 100\r\n\r\nab", "HTTP/1.0 413 Request Entity Too Large", `body="ab"`},
		{"the body's end", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nabcd", `body="ab"`, `body="abcd"`},
		{"a short body", "POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\nab", `body="ab" error=400 Bad Request: the body ended 7 bytes before its length: unexpected EOF`, `body="ab"`},
		{"absolute form", "GET HTTP://me@Example.org:81/a?b HTTP/1.0\r\nHost: x\r\n\r\n", `HTTP_HOST="Example.org:81" PATH_INFO="/a" QUERY_STRING="b"`,
			`HTTP_HOST="x" PATH_INFO="HTTP://me@Example.org:81/a" QUERY_STRING="b"`},
		{"absolute form, no path", "GET http://a?b HTTP/1.0\r\n\r\n", `PATH_INFO="/" QUERY_STRING="b"`, `PATH_INFO="http://a" QUERY_STRING="b"`},
		{"absolute form, no host", "GET http:///a HTTP/1.0\r\n\r\n", bad, `PATH_INFO="http:///a"`},
		{"no form", "GET a HTTP/1.0\r\n\r\n", bad, `PATH_INFO="a"`},
		{"asterisk", "OPTIONS * HTTP/1.0\r\n\r\n", `PATH_INFO="*"`, `PATH_INFO="*"`},
		{"bad escapes", "GET /%zz%4%c3 HTTP/1.0\r\n\r\n", `PATH_INFO="/%zz%4\xc3"`, `PATH_INFO="/%zz%4\xc3"`},
		{"two slashes", "GET //a//b HTTP/1.0\r\n\r\n", `PATH_INFO="/a//b"`, `PATH_INFO="/a//b"`},
		{"no colon", "GET / HTTP/1.0\r\nX\r\nX-Foo: 1\r\n\r\n", bad, `PATH_INFO="/"`},
		{"space before the colon", "GET / HTTP/1.0\r\nX-Foo : 1\r\n\r\n", bad, `PATH_INFO="/"`},
		{"broken off", "GET / HTTP/1.0\r\nX-Foo: 1\r\n", bad, `HTTP_X_FOO="1"`},
		{"no version", "GET / x\r\n\r\n", "HTTP/1.0 400 Bad request version ('x')", "<!DOCTYPE HTML>"},
		{"version 2", "GET / HTTP/2.0\r\n\r\n", "HTTP/1.0 505 Invalid HTTP version (2.0)", "<!DOCTYPE HTML>"},
		{"empty line first", "\r\nGET / HTTP/1.0\r\n\r\n", `PATH_INFO="/"`, ""},
		{"method", "G(T / HTTP/1.0\r\n\r\n", "HTTP/1.0 400 Bad request method ('G(T')", "HTTP/1.0 200 OK"},
	} {
		for _, compat := range []bool{false, true} {
			want := c.mended
			if compat {
				want = c.compat
			}
			t.Run(fmt.Sprintf("%s/%t", c.name, compat), func(t *testing.T) {
				ts := start(t, &Server{App: show(vars...), Compat: compat, Limits: cgi.Limits{BodyBytes: 99}})
				out := ts.ask(c.request)
				if want == "" && out != "" || !strings.Contains(out, want) || strings.Contains(out, "HTTP_PROXY") {
					t.Errorf("got %q\nwant %q", out, want)
				}
				ts.Close()
				lines := 1
				if out == "" {
					lines = 0
				}
				if got := ts.access.String(); strings.Count(got, "\n") != lines {
					t.Errorf("access log %q", got)
				}
			})
		}
	}
}

// TestHead: an answer to HEAD has no body, but in Compat.
func TestHead(t *testing.T) {
	for _, compat := range []bool{false, true} {
		ts := start(t, &Server{App: answer(func(r *cgi.Request) string { return r.Env.Get("REQUEST_METHOD") }), Compat: compat})
		out, want := ts.ask("HEAD / HTTP/1.0\r\n\r\n"), ""
		if compat {
			want = "HEAD"
		}
		if bodyOf(out) != want || !strings.Contains(out, "Content-Length: 4\r\n") {
			t.Errorf("Compat %t: got %q", compat, out)
		}
	}
}

// TestOld: a client of HTTP/0.9 gets the body alone, and at once.
func TestOld(t *testing.T) {
	ts := start(t, &Server{App: hello})
	c := ts.dial()
	io.WriteString(c, "GET /\r\n")
	if b, err := io.ReadAll(c); string(b) != "Hello, world!" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if out := ts.ask("POST /\r\n"); !strings.HasPrefix(out, "HTTP/1.0 400 Bad HTTP/0.9 request type ('POST')\r\n") {
		t.Errorf("got %q", out)
	}
}

// TestContinue: a client of HTTP/1.1 that waits is told to go on when its body is
// asked for, and only then.
func TestContinue(t *testing.T) {
	const expect = "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n"
	ts := start(t, &Server{App: show()})
	c := ts.dial()
	io.WriteString(c, "POST / HTTP/1.1\r\n"+expect)
	interim := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(c, interim); err != nil || string(interim) != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("got %q, %v", interim, err)
	}
	io.WriteString(c, "abc")
	if b, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(b), `body="abc"`) {
		t.Errorf("got %q, %v", b, err)
	}
	chunked := ts.dial()
	io.WriteString(chunked, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
	if _, err := io.ReadFull(chunked, interim); err != nil || string(interim) != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("got %q, %v", interim, err)
	}
	io.WriteString(chunked, "0\r\n\r\n")
	if b, err := io.ReadAll(chunked); err != nil || !strings.HasSuffix(string(b), `body=""`) {
		t.Errorf("got %q, %v", b, err)
	}
	for request, s := range map[string]*Server{
		"POST / HTTP/1.1\r\n" + expect:         {App: hello},
		"POST / HTTP/1.0\r\n" + expect + "abc": {App: show()},
		"POST / HTTP/1.1\r\n" + expect + "abc": {App: show()},
	} {
		if out := start(t, s).ask(request); !strings.HasPrefix(out, "HTTP/1.0 200 OK\r\n") {
			t.Errorf("%q: got %q", request, out)
		}
	}
}

// TestRequestURI: the target is told as the client sent it, which wsgiref does not do.
func TestRequestURI(t *testing.T) {
	for target, want := range map[string]string{"/a%2Fb%20c?x=%20": "/a/b c", "http://h/a?b": "/a", "*": "*", "//a": "//a"} {
		method := "GET"
		if target == "*" {
			method = "OPTIONS"
		}
		for _, compat := range []bool{false, true} {
			s := &Server{Compat: compat}
			env, err := s.environ(new(cgi.Environ), &head{method: method, target: target, version: "HTTP/1.0"}, "unix:")
			if err != nil {
				t.Fatal(err)
			}
			uri, set := env.Lookup("REQUEST_URI")
			if set == compat || set && uri != target {
				t.Errorf("%s, compat %v: REQUEST_URI is %q, %v", target, compat, uri, set)
			}
			if info := env.Get("PATH_INFO"); !compat && info != want {
				t.Errorf("%s: PATH_INFO is %q, want %q", target, info, want)
			}
		}
	}
}
