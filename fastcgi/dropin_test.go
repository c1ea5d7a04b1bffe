package fastcgi

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/fcgi"
	"net/http/httptest"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// serveTheirs has net/http/fcgi run h on a unix socket, until the test ends.
func serveTheirs(t testing.TB, h http.Handler) *testServer {
	t.Helper()
	l := testkit.Listen(t, "unix")
	served := make(chan error, 1)
	go func() { served <- fcgi.Serve(l, h) }()
	t.Cleanup(func() {
		l.Close()
		testkit.Receive(t, "the end of net/http/fcgi's Serve", served)
	})
	return &testServer{t: t, addr: l.Addr()}
}

// parse takes an answer apart.
func parse(t *testing.T, stdout string) (http.Header, string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(stdout))
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("head of %.200q: %v", stdout, err)
	}
	body, _ := io.ReadAll(r)
	return http.Header(header), string(body)
}

// difference lists what ours has more (+) and less (-) than theirs. The value of a
// Content-Length that is the body's is left out, and so is the clock's field:
// net/http/fcgi sends Date, which web servers put in the answer anyway.
func difference(theirs, ours http.Header, body string) string {
	var lines []string
	if theirs["Content-Length"] == nil && ours.Get("Content-Length") == strconv.Itoa(len(body)) {
		ours.Del("Content-Length")
		lines = append(lines, "+Content-Length")
	}
	list := func(sign string, a, b http.Header) {
		for name, values := range a {
			if name != "Date" && !slices.Equal(values, b[name]) {
				lines = append(lines, fmt.Sprintf("%s%s: %s", sign, name, strings.Join(values, " | ")))
			}
		}
	}
	list("-", theirs, ours)
	list("+", ours, theirs)
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// TestRequestURI: the URL of a request is REQUEST_URI.
func TestRequestURI(t *testing.T) {
	c := serveHandler(t, frontController()).dial()
	for _, r := range []struct {
		vars []string
		want string
	}{
		{[]string{"REQUEST_URI=/blog?p=1", "SCRIPT_NAME=/app.fcgi", "QUERY_STRING=p=2"}, "/blog /blog p=1 1\n"},
		{[]string{"REQUEST_URI=/x?p=b"}, "/x /x p=b b\n"},
		{[]string{"SCRIPT_NAME=/a", "PATH_INFO=/b", "QUERY_STRING=p=2"}, "/a/b /a/b p=2 2\n"},
	} {
		c.Write(slices.Concat(begin(1, 1), params(1, append(r.vars, "REQUEST_METHOD=GET")...), endStdin(1)))
		if _, body := parse(t, c.answer(1).stdout); body != r.want {
			t.Errorf("%q: %q, want %q", r.vars, body, r.want)
		}
	}
}

// usual are the variables of a request as web servers send them.
func usual(method, target string, more ...string) []string {
	path, query, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		decoded = path
	}
	return append([]string{"REQUEST_METHOD=" + method, "REQUEST_URI=" + target, "SCRIPT_NAME=" + decoded, "DOCUMENT_URI=" + decoded,
		"QUERY_STRING=" + query, "SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=www.example.test", "SERVER_PORT=80", "REMOTE_ADDR=192.0.2.7",
		"REMOTE_PORT=45678", "HTTP_HOST=www.example.test", "HTTP_COOKIE=a=1; b=2", "REMOTE_USER=joe", "CONTENT_TYPE="}, more...)
}

// shop is a program with a mux: variables, a form, a cookie, a redirect.
func shop() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /env/{name}", func(w http.ResponseWriter, r *http.Request) {
		env := fcgi.ProcessEnv(r)
		if env == nil {
			env = ProcessEnv(r)
		}
		for _, name := range slices.Sorted(maps.Keys(env)) {
			fmt.Fprintf(w, "%s=%s\n", name, env[name])
		}
		c, err := r.Cookie("b")
		fmt.Fprintln(w, r.Method, r.URL.Path, r.URL.RawQuery, r.Host, r.RemoteAddr, r.Proto, r.PathValue("name"), r.FormValue("q"), c, err, r.TLS != nil)
	})
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"name":%q,"length":%d}`, r.PostFormValue("name"), r.ContentLength)
	})
	mux.HandleFunc("/old", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/new?x=1", http.StatusSeeOther) })
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/none", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/dir/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	mux.HandleFunc("/cookies", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2", HttpOnly: true})
		http.Error(w, "no", http.StatusForbidden)
	})
	mux.Handle("/strip/", http.StripPrefix("/strip", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	})))
	return mux
}

// frontController is a program to which the web server sends every path.
func frontController() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.URL.Path, r.URL.EscapedPath(), r.URL.RawQuery, r.FormValue("p"))
	})
}

// uploads takes files of at most 100,000 bytes.
func uploads() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 100_000)
		err := r.ParseMultipartForm(1000)
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		f, h, err := r.FormFile("file")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		defer f.Close()
		sum := sha256.New()
		n, err := io.Copy(sum, f)
		fmt.Fprintf(w, "%s %d %x %v %s", h.Filename, n, sum.Sum(nil), err, r.FormValue("note"))
	})
}

// sse sends events.
func sse() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		for i := range 5 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	})
}

// proxied is a reverse proxy to a server that tells what it got.
func proxied(t *testing.T) http.Handler {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		w.Header().Set("X-Back", "end")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintln(w, r.Method, r.URL, r.Proto, r.ContentLength, string(b), err)
		r.Header.Write(w)
	}))
	t.Cleanup(back.Close)
	to, _ := url.Parse(back.URL)
	p := httputil.NewSingleHostReverseProxy(to)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p.Transport = transport
	return p
}

// files is a directory.
func files(t *testing.T) http.Handler {
	dir := t.TempDir()
	for name, content := range map[string]string{"hello.txt": "hello world\n", "sub/index.html": "<p>index</p>", "big.bin": strings.Repeat("0123456789", 50_000)} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, time.Time{}, time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	return http.FileServer(http.Dir(dir))
}

// impatient waits a moment for its handlers.
func impatient() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/slow", http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}), time.Millisecond, "too slow"))
	mux.Handle("/fast", http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Fast", "1")
		io.WriteString(w, "fast")
	}), testkit.Patience, "too slow"))
	return mux
}

// ownVariable is what a handler sees here alone.
var ownVariable = regexp.MustCompile(`(?m)^REQUEST_ID=.*\n`)

// TestPrograms runs programs that are written for net/http/fcgi behind both packages.
// The answers are the same, but for the fields that are listed here.
func TestPrograms(t *testing.T) {
	form := "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\na note\r\n" +
		"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n%s\r\n--B--\r\n"
	multipart := "CONTENT_TYPE=multipart/form-data; boundary=B"
	type request struct {
		vars       []string
		body, want string // want is the difference
	}
	for _, p := range []struct {
		name     string
		program  http.Handler
		requests []request
	}{
		{"mux", shop(), []request{
			{usual("GET", "/env/x?q=a+b"), "", "+Content-Length"},
			{usual("GET", "/env/a%2Fb?q=%zz"), "", "+Content-Length"},
			{usual("POST", "/form", "CONTENT_TYPE=application/x-www-form-urlencoded"), "name=J%C3%B6rg", "+Content-Length"},
			{usual("POST", "/env/x"), "", "+Content-Length"},
			{usual("GET", "/old"), "", "+Content-Length"},
			{usual("HEAD", "/old"), "", ""},
			{usual("GET", "/empty"), "", "+Content-Length, -Content-Type: text/plain; charset=utf-8"},
			{usual("GET", "/none"), "", "-Content-Type: text/plain; charset=utf-8"},
			{usual("GET", "/dir"), "", "+Content-Length"},
			{usual("GET", "/dir/a%20b/c"), "", "+Content-Length"},
			{usual("GET", "/cookies"), "", "+Content-Length"},
			{usual("GET", "/strip/x/y"), "", "+Content-Length"},
			{usual("GET", "/missing"), "", "+Content-Length"},
		}},
		{"front controller", frontController(), []request{
			{usual("GET", "/blog?p=1", "SCRIPT_NAME=/app.fcgi", "DOCUMENT_URI=/app.fcgi"), "", "+Content-Length"},
			{usual("GET", "/blog?p=1", "SCRIPT_NAME=/app.fcgi", "PATH_INFO=/blog", "QUERY_STRING=p=2&path=/blog"), "", "+Content-Length"},
			{usual("GET", "/blog?p=1", "QUERY_STRING="), "", "+Content-Length"},
			{usual("GET", "/a/../b%2Fc%20d", "SCRIPT_NAME=/b/c d"), "", "+Content-Length"},
			{usual("GET", "//x", "SCRIPT_NAME=/x"), "", "+Content-Length"},
		}},
		{"uploads", uploads(), []request{
			{usual("POST", "/", multipart), fmt.Sprintf(form, "small"), "+Content-Length"},
			{usual("POST", "/", multipart), fmt.Sprintf(form, strings.Repeat("x", 90_000)), "+Content-Length"},
			{usual("POST", "/", multipart), fmt.Sprintf(form, strings.Repeat("x", 200_000)), "+Content-Length"},
			{usual("POST", "/"), "no form", "+Content-Length"},
		}},
		{"events", sse(), []request{{usual("GET", "/"), "", ""}}},
		{"proxy", proxied(t), []request{
			{usual("GET", "/a/b%20c?x=1", "HTTP_ACCEPT_ENCODING=identity"), "", ""},
			{usual("POST", "/", "HTTP_ACCEPT_ENCODING=identity", "CONTENT_TYPE=text/plain"), strings.Repeat("body", 10_000), ""},
		}},
		{"files", files(t), []request{
			{usual("GET", "/hello.txt"), "", ""},
			{usual("HEAD", "/hello.txt"), "", ""},
			{usual("GET", "/big.bin"), "", ""},
			{usual("GET", "/big.bin", "HTTP_RANGE=bytes=10-29"), "", ""},
			{usual("GET", "/big.bin", "HTTP_RANGE=bytes=0-1,5-6", "HTTP_IF_RANGE=x"), "", ""},
			{usual("GET", "/big.bin", "HTTP_RANGE=bytes=9999999-"), "", "+Content-Length"},
			{usual("GET", "/hello.txt", "HTTP_IF_MODIFIED_SINCE=Sun, 09 Sep 2001 01:46:40 GMT"), "", ""},
			{usual("GET", "/sub"), "", "+Content-Length, -Content-Type: text/plain; charset=utf-8"},
			{usual("GET", "/sub/"), "", ""},
			{usual("GET", "/"), "", "+Content-Length"},
			{usual("GET", "/../secret"), "", "+Content-Length"},
		}},
		{"timeouts", impatient(), []request{
			{usual("GET", "/slow"), "", "+Content-Length"},
			{usual("GET", "/fast"), "", "+Content-Length"},
		}},
	} {
		t.Run(p.name, func(t *testing.T) {
			their, our := serveTheirs(t, p.program).dial(), serveHandler(t, p.program).dial()
			for _, r := range p.requests {
				name := r.vars[0] + " " + r.vars[1]
				vars := append([]string{fmt.Sprint("CONTENT_LENGTH=", len(r.body))}, r.vars...)
				ask := func(c *client) (http.Header, string) {
					// Sent from a goroutine, since either may answer before it has read all.
					sent := make(chan struct{})
					go func() {
						defer close(sent)
						c.Write(slices.Concat(begin(1, 1), params(1, vars...), stdin(1, r.body), endStdin(1)))
					}()
					a := c.answer(1)
					testkit.Receive(t, "the end of sending", sent)
					return parse(t, a.stdout)
				}
				theirHead, theirBody := ask(their)
				ourHead, ourBody := ask(our)
				if got := difference(theirHead, ourHead, ourBody); got != r.want {
					t.Errorf("%s: the heads differ in %q, want %q", name, got, r.want)
				}
				ourBody = ownVariable.ReplaceAllString(ourBody, "")
				if theirBody != ourBody {
					t.Errorf("%s: the bodies differ:\ntheirs %.300q\nours   %.300q", name, theirBody, ourBody)
				}
			}
		})
	}
}
