package simpleserver

import (
	"bufio"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatehouse/cgi"
)

// pythonServer starts testdata/wsgiref_server.py and returns its address.
func pythonServer(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("python3", "-E", "testdata/wsgiref_server.py")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strings.TrimSpace(line)
}

// pythonApp is the application of testdata/wsgiref_server.py.
func pythonApp(w cgi.ResponseWriter, r *cgi.Request) error {
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range r.Env.All() {
			if !strings.Contains(name, ".") && !yield(name) {
				return
			}
		}
	})
	var text []byte
	for _, name := range names {
		text = appendRepr(append(text, name+" = "...), r.Env.Get(name))
		text = append(text, '\n')
	}
	one, two, three := cgi.Field{Name: "X-One", Value: "1"}, cgi.Field{Name: "x-two", Value: "2"}, cgi.Field{Name: "X-One", Value: "3"}
	plain := cgi.Field{Name: "Content-Type", Value: "text/plain"}
	fields, status := []cgi.Field{plain, one, two, three}, "200 OK"
	switch r.Env.Get("PATH_INFO") {
	case "/raise":
		return errors.New("wanted")
	case "/badstatus":
		status = "200"
	case "/date":
		fields = slices.Insert(fields, 1, cgi.Field{Name: "date", Value: "Mon, 05 Jun 2006 18:49:54 GMT"})
	case "/server":
		fields = slices.Insert(fields, 1, cgi.Field{Name: "SERVER", Value: "Own/1"})
	case "/long":
		fields, text = append(fields, cgi.Field{Name: "Content-Length", Value: "5"}), []byte("12345")
	case "/404":
		status, text = "404 Nothing Here", []byte("nothing")
	case "/first":
		fields, text = slices.Insert(fields, 0, cgi.Field{Name: "Content-Length", Value: "5"}), []byte("12345")
	case "/more":
		fields, text = append(fields, cgi.Field{Name: "Content-Length", Value: "2"}), []byte("12345")
	case "/204", "/304":
		status, text = r.Env.Get("PATH_INFO")[1:]+" x", []byte("body")
	case "/hop":
		fields, text = append(fields, cgi.Field{Name: "Connection", Value: "close"}), []byte("x")
	case "/empty":
		text = nil
	case "/parts":
		if err := w.StartResponse(status, fields); err != nil {
			return err
		}
		for _, part := range []string{"a", "b"} {
			io.WriteString(w, part)
			if err := w.Flush(); err != nil {
				return err
			}
		}
		return nil
	case "/body", "/rest":
		body := r.Body
		if r.Env.Get("PATH_INFO") == "/body" {
			n, err := strconv.ParseInt(strings.TrimSpace(r.Env.Get("CONTENT_LENGTH")), 10, 64)
			if err != nil && r.Env.Get("CONTENT_LENGTH") != "" {
				return err
			}
			body = io.LimitReader(r.Body, n)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		text = appendLatin1(nil, string(b))
	}
	if err := w.StartResponse(status, fields); err != nil {
		return err
	}
	_, err := w.Write(text)
	return err
}

// pythonRequests are what both servers get.
func pythonRequests() []string {
	requests := []string{
		"", "\r\n", "\n", " \r\n", "\r\nGET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.0", "GET / HTTP/1.0\r\n", "GET /\x80%80 HTTP/1.0",
		"GET /body HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcdef",
		"POST /body HTTP/1.0\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcdef",
		"POST /body HTTP/1.0\r\nContent-Length: abc\r\n\r\nabcdef",
		"POST /body HTTP/1.0\r\nContent-Length: 2 \r\n\r\nabcdef",
		"POST /body HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
		"POST /rest HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcdef",
		"POST /rest HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"POST /rest HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
		"GET /\r\n", "GET /", "GET /\r\nX: y\r\n\r\n", "GET /raise\r\n", "POST /\r\n", "HEAD /\r\n", "GET\r\n", "x\r\n",
		"GET / HTTP/0.9\r\n\r\n", "POST / HTTP/0.9\r\n\r\n", "GET / http/1.0\r\n\r\n",
		"GET / HTTP/1.0 \r\n\r\n", "GET  /  HTTP/1.0\r\n\r\n", "GET\t/\tHTTP/1.0\r\n\r\n", "GET\x0b/\x85HTTP/1.0\r\n\r\n",
		"GET /\xa0x HTTP/1.0\r\n\r\n", "GET /\x00x HTTP/1.0\r\n\r\n", "GET /\x1bx HTTP/1.0\r\n\r\n", "G{T / HTTP/1.0\r\n\r\n",
		"get / HTTP/1.0\r\n\r\n", "BREW / HTTP/1.0\r\n\r\n", "<b> / x HTTP/1.0\r\n\r\n", "GET '\"\\ \xe9 HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.0\r\n" + strings.Repeat("A: b\r\n", 98) + "\r\n",
		"GET / HTTP/1.0\r\n" + strings.Repeat("A: b\r\n", 99) + "\r\n",
		"GET / HTTP/1.0\r\n" + strings.Repeat("A: b\r\n", 100) + "\r\n",
		"GET / HTTP/0.9\r\n" + strings.Repeat("A: b\r\n", 101),
		"HEAD / HTTP/1.0\r\n" + strings.Repeat("A: b\r\n", 101),
		"GET /" + strings.Repeat("x", 65537-len("GET /")),
		"GET / HTTP/1.0\r\nX: " + strings.Repeat("x", 65537-len("X: ")),
	}
	for _, version := range []string{
		"HTTP/1.1", "HTTP/1.9", "HTTP/1.10", "HTTP/01.00", "HTTP/0.5", "HTTP/00.9", "HTTP/2.0", "HTTP/2", "HTTP/1", "HTTP/1.0.0", "HTTP/1.x", "HTTP/-1.0",
		"HTTP/1.\xb2", "HTTP/11111111111.0", "HTTP/1.0/x", "HTTP/3.14", "HTTP", "HTTP/", "XTTP/1.0", "HTTP/0010.0",
	} {
		requests = append(requests, "GET / "+version+"\r\n\r\n")
	}
	for _, target := range []string{
		"/p%61th/?query=test", "/a?b?c#d", "/#f", "//x", "///x//y", "//", "//?q", "/%zz%4", "/%00", "/%2F%2f", "/%e9\xe9", "/a;b=c,d", "*", "foo",
		"http://example.org/x?y", "http://example.org", "/?", "?q", "/%", "/+", "/raise", "/badstatus", "/date", "/server", "/long", "/404",
		"/empty", "/parts", "/rest",
	} {
		requests = append(requests, "GET "+target+" HTTP/1.0\r\n\r\n")
	}
	for _, method := range []string{"HEAD", "OPTIONS", "DELETE"} {
		requests = append(requests, method+" / HTTP/1.0\r\n\r\n", method+" /parts HTTP/1.0\r\n\r\n")
	}
	for _, header := range []string{
		"Host: a\r\nHost: b", "Cookie: a=1\r\nCookie: b=2", "X-Foo: 1\r\nX_Foo: 2", "Server-Name: x", "Path-Info: x", "Http-Host: x\r\nHost: y",
		"Host: y\r\nHttp-Host: x", "Content-Type: a/b", "Content-Type: a/b \r\nContent-Type: c/d", "Content-Type:", "Content-Length:", "X:a", "X:\t a \t",
		"X: a\r\n b\r\n\tc", "X:\r\n a", " X: a", " X: a\r\nY: b", "X : a\r\nY: b", "no colon\r\nY: b", ": empty\r\nY: b", ": empty\r\n more\r\nY: b",
		"X: a\rY: b", "X: a\r\rY: b", "X: a\x00b", "X: \xa0a\x85", "X\xe9: a\r\nY: b", "From me\r\nY: b", "X: y\r\nFrom me\r\n z\r\nY: b",
		"Authorization: Basic x", "Connection: keep-alive", "Transfer-Encoding: gzip", "x.y: a", "X!: a", "Accept: text/html\nY: b", "wsgi_input: x",
	} {
		requests = append(requests, "GET / HTTP/1.0\r\n"+header+"\r\n\r\n")
	}
	return append(requests, "GET /first HTTP/1.0\r\n\r\n")
}

// intended lists the requests whose answers differ on purpose, each with the rule
// that makes the difference and a part of our answer.
var intended = []struct{ request, why, part string }{
	{"GET / HTTP/1.0\r\nProxy: x\r\n\r\n", "HTTP_PROXY never reaches an application (CVE-2016-5385)", "\nQUERY_STRING = ''"},
	{"GET /more HTTP/1.0\r\n\r\n", "a body longer than its Content-Length is cut", "Content-Length: 2\n\n12"},
	{"GET /204 HTTP/1.0\r\n\r\n", "204 has no body and no Content-Length", "X-One: 3\n\n"},
	{"GET /304 HTTP/1.0\r\n\r\n", "304 has no body and no Content-Length", "X-One: 3\n\n"},
	{"GET /hop HTTP/1.0\r\n\r\n", "hop-by-hop fields are removed, where wsgiref fails", "HTTP/1.0 200 OK"},
	{"GET /" + strings.Repeat("x", 65536-len("GET / HTTP/1.0\r\n")) + " HTTP/1.0\r\n\r\n",
		"more than 16 KiB are sent before their length is known", "X-One: 3\n\nCONTENT_LENGTH = ''"},
	{"GET / HTTP/1.0\r\nX: " + strings.Repeat("x", 65536-len("X: \r\n")) + "\r\n\r\n",
		"more than 16 KiB are sent before their length is known", "X-One: 3\n\nCONTENT_LENGTH = ''"},
}

// shape is what of an answer must be the same: the status line, the names of the
// fields in their order, and the body.
func shape(out string) string {
	if !strings.HasPrefix(out, "HTTP/") {
		return out
	}
	top, body, _ := strings.Cut(out, "\r\n\r\n")
	lines := strings.Split(top, "\r\n")
	for i, line := range lines[1:] {
		name, _, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "Date") || strings.EqualFold(name, "Server") {
			lines[i+1] = name
		}
	}
	return strings.Join(lines, "\n") + "\n\n" + body
}

// TestAgainstPython sends the same bytes to Python's wsgiref.simple_server and to a
// Server in Compat.
func TestAgainstPython(t *testing.T) {
	python := pythonServer(t)
	ours := start(t, &Server{App: cgi.AppFunc(pythonApp), Compat: true, Software: "WSGIServer/0.2 Go",
		BaseEnv: cgi.NewEnviron("SERVER_NAME=test", "SERVER_PORT=80")})
	for i, request := range pythonRequests() {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			want, err := askAt(python, request)
			if err != nil {
				t.Fatal(err)
			}
			if got := shape(ours.ask(request)); got != shape(want) {
				t.Errorf("%.200q\ngot  %.2000q\nwant %.2000q", request, got, shape(want))
			}
		})
	}
	for _, c := range intended {
		t.Run(c.why, func(t *testing.T) {
			want, err := askAt(python, c.request)
			if err != nil {
				t.Fatal(err)
			}
			got := shape(ours.ask(c.request))
			if got == shape(want) || !strings.Contains(got, c.part) {
				t.Errorf("%.200q\ngot  %.2000q\nPython %.2000q", c.request, got, shape(want))
			}
		})
	}
}
