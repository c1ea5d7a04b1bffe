//go:build unix

package httpcgi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// sh writes a shell script, and returns its path.
func sh(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// discard is a log of what the tests cause.
var discard = log.New(io.Discard, "", 0)

// both returns a Handler for a program, and net/http/cgi's. Where redirects is not nil, it is
// the handler of local redirects, and gets the Handler itself.
func both(t testing.TB, program string, redirects func(h http.Handler) http.Handler) (our *Handler, their *cgi.Handler) {
	our = &Handler{Path: program, Root: "/p", Logger: discard, Stderr: io.Discard}
	their = &cgi.Handler{Path: program, Root: "/p", Logger: discard, Stderr: io.Discard}
	if redirects != nil {
		our.PathLocationHandler, their.PathLocationHandler = redirects(our), redirects(their)
	}
	t.Cleanup(func() { our.Close() })
	return our, their
}

// serve has a http.Server serve h until the test ends.
func serve(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = discard
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// cutOff is behind a response that is not complete.
const cutOff = "\n(cut off)"

// ask sends a request, of which the response ends the connection, and returns that: its head as
// it came, and its body, which may have come in any chunks.
func ask(t testing.TB, h http.Handler, request string) string {
	t.Helper()
	c := testkit.Dial(t, serve(t, h).Listener.Addr())
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(b), "\r\n\r\n")
	if !ok || strings.HasPrefix(head, "HTTP/1.1 1") {
		return string(b)
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	response := head + "\r\n\r\n" + string(body)
	if err != nil {
		response += cutOff
	}
	return response
}

// get is a GET request for a path with more fields, each with its line end.
func get(path string, fields ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + strings.Join(fields, "") + "\r\n"
}

const plain = "printf 'Content-Type: text/plain\\n\\n'\n"

// said responds to local redirects with what f says of the request.
func said(f func(r *http.Request) string) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, f(r)) })
	}
}

// mistakes of net/http/cgi (Go 1.26) that show in one response. docs/net-http-cgi.md tells of
// them; where theirs does not hold any more, it is out of date.
var mistakes = []struct {
	name         string
	program      string
	request      string
	redirects    func(http.Handler) http.Handler
	ours, theirs string // in the response
	without      string // not in our response
}{
	{name: "Status in small letters",
		program: "printf 'status: 404 Not Found\\nContent-Type: text/plain\\n\\nmissing'",
		ours:    "HTTP/1.1 404 Not Found\r\n", theirs: "HTTP/1.1 200 OK\r\n", without: "tatus:"},
	{name: "a Status that is no number",
		program: "printf 'Status: oops\\nContent-Type: text/plain\\n\\nhello'",
		ours:    "HTTP/1.1 502 ", theirs: "HTTP/1.1 200 OK\r\nDate"},
	{name: "a Status below 100",
		program: "printf 'Status: 099\\nContent-Type: text/plain\\n\\nhello'",
		ours:    "HTTP/1.1 502 ", theirs: ""},
	{name: "an informational Status",
		program: "printf 'Status: 103 Early Hints\\nContent-Type: text/plain\\n\\nhello'",
		ours:    "HTTP/1.1 502 ", theirs: "HTTP/1.1 103 Early Hints\r\n"},
	{name: "a status line",
		program: "printf 'HTTP/1.0 404 Not Found\\r\\nContent-Type: text/plain\\r\\n\\r\\nmissing'",
		ours:    "HTTP/1.1 404 Not Found\r\n", theirs: "HTTP/1.1 200 OK\r\n"},
	{name: "a field of more than 1 KiB",
		program: "printf 'Content-Type: text/plain\\nSet-Cookie: a=%02000d\\n\\nhello' 1",
		ours:    "HTTP/1.1 200 OK\r\n", theirs: "HTTP/1.1 500 "},
	{name: "fields of the connection",
		program: "printf 'Content-Type: text/plain\\nKeep-Alive: timeout=5\\n\\nhello'",
		ours:    "hello", theirs: "Keep-Alive: timeout=5\r\n", without: "Keep-Alive"},
	{name: "no Content-Type",
		program: "printf 'X-Name: a\\n\\nhello'",
		ours:    "hello", theirs: "HTTP/1.1 500 ", without: "Content-Type"},
	{name: "no output",
		program: "exit 0",
		ours:    "HTTP/1.1 502 Bad Gateway\r\n", theirs: "HTTP/1.1 500 Internal Server Error\r\n"},
	{name: "a line that is no field",
		program: "printf 'Content-Type: text/plain\\noops\\n\\nhello'",
		ours:    "HTTP/1.1 502 ", theirs: "hello"},
	{name: "a program that a signal ends in the middle",
		program: plain + "head -c 100000 /dev/zero | tr '\\0' x; kill -9 $$",
		ours:    "x" + cutOff, theirs: "xxx"},
	{name: "a body longer than its Content-Length",
		program: "printf 'Content-Type: text/plain\\nContent-Length: 2\\n\\nhello'",
		ours:    "\r\n\r\nhe", theirs: "Content-Length: 2\r\n", without: "hello"},
	{name: "a chunked body",
		program: plain + "printf 'length %s ' $CONTENT_LENGTH; cat",
		request: "POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		ours:    "length 5 hello", theirs: "HTTP/1.1 400 "},
	{name: "a name with an underscore",
		program: plain + `printf "foo '$HTTP_X_FOO'"`,
		request: get("/p", "X_Foo: evil\r\n"),
		ours:    "foo ''", theirs: "foo 'evil'"},
	{name: "a hidden dot segment",
		program: plain + `printf "info $PATH_INFO"`,
		request: get("/p/..%2f..%2fetc"),
		ours:    "HTTP/1.1 400 ", theirs: "info /../../etc"},
	{name: "dot segments",
		program: plain + `printf "info $PATH_INFO"`,
		request: get("/p/a/%2e%2e/b"),
		ours:    "info /b", theirs: "info /a/../b"},
	{name: "HTTP_CONTENT_TYPE",
		program: plain + `printf "$CONTENT_TYPE, $CONTENT_LENGTH, $HTTP_CONTENT_TYPE, $HTTP_CONTENT_LENGTH"`,
		request: "POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello",
		ours:    "a/b, 5, , ", theirs: "a/b, 5, a/b, "},
	{name: "SERVER_PROTOCOL",
		program: plain + `printf "$SERVER_PROTOCOL"`,
		request: "GET /p HTTP/1.0\r\nHost: h\r\n\r\n",
		ours:    "\r\n\r\nHTTP/1.0", theirs: "\r\n\r\nHTTP/1.1"},
	{name: "SERVER_NAME of IPv6",
		program: plain + `printf "$SERVER_NAME"`,
		request: "GET /p HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
		ours:    "\r\n\r\n[::1]", theirs: "\r\n\r\n::1"},
	{name: "no Host",
		program: plain + `printf "name $SERVER_NAME"`,
		request: "GET /p HTTP/1.0\r\n\r\n",
		ours:    "name 127.0.0.1", theirs: "\r\n\r\nname "},
	{name: "a path that only begins like Root",
		program: plain + `printf "$SCRIPT_NAME $PATH_INFO"`,
		request: get("/prefix"),
		ours:    "/p /prefix", theirs: "/p refix"},
	{name: "no path below Root",
		program: plain + `printf "info ${PATH_INFO-none}"`,
		ours:    "info none", theirs: "\r\n\r\ninfo "},
	{name: "HTTP_CONNECTION",
		program: plain + `printf "connection $HTTP_CONNECTION$HTTP_KEEP_ALIVE$HTTP_X"`,
		request: get("/p", "Keep-Alive: 5\r\nX: x\r\n"),
		ours:    "connection x", theirs: "connection close5x"},
	{name: "SERVER_PORT",
		program: plain + `printf "$SERVER_NAME $SERVER_PORT."`,
		request: "GET /p HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n",
		ours:    "\r\n\r\nh ", theirs: "\r\n\r\nh 1.", without: "h 1."},
	{name: "TRACE",
		program: plain + `printf "ran $REQUEST_METHOD"`,
		request: "TRACE /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		ours:    "HTTP/1.1 405 ", theirs: "ran TRACE"},
	{name: "variables that other gateways send",
		program: plain + `printf "$REQUEST_SCHEME $SERVER_ADDR ${REQUEST_ID:+id}"`,
		ours:    "http 127.0.0.1 id", theirs: "\r\n\r\n  "},
	{name: "a redirect with a status and a cookie",
		program:   "printf 'Status: 303 See Other\\nSet-Cookie: session=1\\nLocation: /new\\n\\n'",
		redirects: said(func(r *http.Request) string { return "at " + r.URL.Path }),
		ours:      "HTTP/1.1 303 See Other\r\n", theirs: "at /new"},
	{name: "the request that a local redirect makes",
		program: "printf 'Location: /new?a=b\\n\\n'",
		request: "POST /p HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
		redirects: said(func(r *http.Request) string {
			return fmt.Sprintf("%s %s %s %q %q", r.Method, r.URL, r.Host, r.Header.Get("Cookie"), r.Header.Get("Content-Length"))
		}),
		ours: `GET /new?a=b h "a=1" ""`, theirs: `GET /new?a=b  "" ""`},
	{name: "a redirect to another host, without the scheme",
		program:   "printf 'Location: //other/new\\n\\n'",
		redirects: said(func(r *http.Request) string { return "at " + r.Host + r.URL.Path }),
		ours:      "HTTP/1.1 302 Found\r\n", theirs: "at other/new"},
	{name: "the context of a local redirect",
		program:   "printf 'Location: /new\\n\\n'",
		redirects: said(func(r *http.Request) string { return fmt.Sprint("ends ", r.Context().Done() != nil) }),
		ours:      "ends true", theirs: "ends false"},
	{name: "a program that redirects to itself",
		program: "printf 'Location: /p\\n\\n'",
		redirects: func(h http.Handler) http.Handler {
			n := 0
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n++; n == 50 {
					io.WriteString(w, "has run 50 times") // in place of forever
					return
				}
				h.ServeHTTP(w, r)
			})
		},
		ours: "HTTP/1.1 500 ", theirs: "has run 50 times"},
}

func TestMistakesOfNetHTTPCgi(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			if m.request == "" {
				m.request = get("/p")
			}
			our, their := both(t, sh(t, m.program), m.redirects)
			if got := ask(t, our, m.request); !strings.Contains(got, m.ours) || m.without != "" && strings.Contains(got, m.without) {
				t.Errorf("ours: %.1000q, want %q and not %q", got, m.ours, m.without)
			}
			switch got := ask(t, their, m.request); {
			case m.theirs == "" && got != "", !strings.Contains(got, m.theirs), m.without == "" && m.ours != m.theirs && strings.Contains(got, m.ours):
				t.Errorf("net/http/cgi: %.1000q, want %q", got, m.theirs)
			case m.without != "" && !strings.Contains(got, m.without) && m.theirs == "":
				t.Errorf("net/http/cgi: %.1000q has no %q", got, m.without)
			}
		})
	}
}

// TestStripPrefix: what http.StripPrefix takes from a path belongs to SCRIPT_NAME.
func TestStripPrefix(t *testing.T) {
	program := sh(t, plain+`printf "$SCRIPT_NAME $PATH_INFO $REQUEST_URI"`)
	for _, c := range []struct{ prefix, root, path, ours, theirs string }{
		{"/a", "/p", "/a/p/x", "/a/p /x /a/p/x", "/p /x /p/x"},
		{"/a", "/a", "/a/x", "/a /x /a/x", "/a /x /x"},
		{"/a", "", "/a/x", "/a /x /a/x", " /x /x"},
		{"", "/p/", "/p/x", "/p /x /p/x", "/p /x /p/x"},
		{"", "/p", "/x/p", "/p /x/p /x/p", "/p /x/p /x/p"},
	} {
		our, their := both(t, program, nil)
		our.Root, their.Root = c.root, c.root
		for h, want := range map[http.Handler]string{our: c.ours, their: c.theirs} {
			if got := ask(t, http.StripPrefix(c.prefix, h), get(c.path)); !strings.HasSuffix(got, "\r\n\r\n"+want) {
				t.Errorf("%T, %+v: %q", h, c, got)
			}
		}
	}
}

// TestPath: what is wrong with Path is a 500, and the log says how to mend it.
func TestPath(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+plain+"pwd"), 0o644); err != nil {
		t.Fatal(err)
	}
	serve := func(h *Handler) (*httptest.ResponseRecorder, string) {
		var lines testkit.Log
		h.Logger = log.New(&lines, "", 0)
		defer h.Close()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/file", nil))
		return w, lines.String()
	}
	for _, c := range []struct {
		h    *Handler
		want string
	}{
		{&Handler{}, "set it to the CGI program"},
		{&Handler{Path: dir}, "is a directory: a Handler runs one program"},
		{&Handler{Path: os.DevNull}, "is no regular file"},
		{&Handler{Path: filepath.Join(dir, "none")}, "no such file or directory"},
		{&Handler{Path: file}, "is not executable: chmod +x " + file},
		{&Handler{Path: "/bin/sh", Dir: filepath.Join(dir, "none")}, "does not exist: create it"},
	} {
		w, lines := serve(c.h)
		if w.Code != http.StatusInternalServerError || !strings.HasPrefix(lines, "level=ERROR ") || !strings.Contains(lines, c.want) || strings.Count(lines, "\n") != 1 {
			t.Errorf("%q: %d, log %q, want %q", c.h.Path, w.Code, lines, c.want)
		}
	}

	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, c := range []struct {
		h   *Handler
		dir string
	}{
		{&Handler{Path: "file"}, dir},
		{&Handler{Path: "file", Dir: "."}, dir},
		{&Handler{Path: file, Dir: "/"}, "/"},
		{&Handler{Path: filepath.Base(dir) + "/file", Dir: filepath.Dir(dir)}, filepath.Dir(dir)},
	} {
		if w, lines := serve(c.h); w.Body.String() != c.dir+"\n" {
			t.Errorf("%q in %q: %d %q, log %q", c.h.Path, c.h.Dir, w.Code, w.Body, lines)
		}
	}
}

// TestInherited: what a program gets from this process, and which value counts.
func TestInherited(t *testing.T) {
	for name, value := range map[string]string{"PATH": "", "INHERITED": "1", "OVERRIDDEN": "1", "EMPTY": "", "OTHER": "1", "TZ": "UTC", "LD_LIBRARY_PATH": "/lib"} {
		t.Setenv(name, value)
	}
	program := sh(t, plain+`printf "$PATH ${INHERITED-no} ${OVERRIDDEN-no} ${EMPTY-no} ${OTHER-no} ${TZ-no} ${LD_LIBRARY_PATH-no} ${TWICE-no} $QUERY_STRING $HTTP_AUTHORIZATION"`)
	for _, standard := range []string{"", "/a:/b"} {
		t.Setenv("PATH", standard)
		our, their := both(t, program, nil)
		our.InheritEnv = []string{"INHERITED", "OVERRIDDEN", "EMPTY"}
		our.Env = []string{"OVERRIDDEN=2", "TWICE=1", "TWICE=2", "QUERY_STRING=a"}
		their.InheritEnv, their.Env = our.InheritEnv, our.Env
		ourPath, theirPath := standard, standard
		if standard == "" {
			ourPath, theirPath = "/usr/local/bin:/usr/bin:/bin", "/bin:/usr/bin:/usr/ucb:/usr/bsd:/usr/local/bin"
		}
		for h, want := range map[http.Handler]string{our: ourPath, their: theirPath} {
			want += " 1 2 no no no /lib 2 a Basic x"
			if got := ask(t, h, get("/p?b", "Authorization: Basic x\r\n")); !strings.HasSuffix(got, "\r\n\r\n"+want) {
				t.Errorf("%T: %q, want %q", h, got, want)
			}
		}
	}
}

// TestUnixSocket: a client at a unix socket has no address.
func TestUnixSocket(t *testing.T) {
	our, their := both(t, sh(t, plain+`printf "$REMOTE_ADDR ${REMOTE_PORT-none}"`), nil)
	for h, want := range map[http.Handler]string{our: "unix: none", their: "@ none"} {
		s := httptest.NewUnstartedServer(h)
		s.Listener.Close()
		s.Listener = testkit.Listen(t, "unix")
		s.Start()
		c := testkit.Dial(t, s.Listener.Addr())
		io.WriteString(c, "GET /p HTTP/1.0\r\n\r\n")
		b, err := io.ReadAll(c)
		if !strings.HasSuffix(string(b), "\r\n\r\n"+want) || err != nil {
			t.Errorf("%T: %q %v", h, b, err)
		}
		s.Close()
	}
}

// TestRedirected: the request that a local redirect makes has all of the first one but its
// body.
func TestRedirected(t *testing.T) {
	var got *http.Request
	our, _ := both(t, sh(t, "printf 'Location: /new?a=%%20b\\n\\n'"), func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r })
	})
	type key struct{}
	r := httptest.NewRequest("POST", "https://h:1/p/old", strings.NewReader("hello"))
	r = r.WithContext(context.WithValue(r.Context(), key{}, "value"))
	r.RemoteAddr, r.Proto, r.ProtoMajor, r.ProtoMinor = "192.0.2.7:99", "HTTP/2.0", 2, 0
	for _, name := range []string{"Cookie", "X-Name", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Trailer", "Expect"} {
		r.Header.Set(name, name)
	}
	our.ServeHTTP(httptest.NewRecorder(), r)
	if got == nil {
		t.Fatal("the handler was not called")
	}
	want := http.Header{"Cookie": {"Cookie"}, "X-Name": {"X-Name"}}
	if !maps.EqualFunc(got.Header, want, slices.Equal) {
		t.Errorf("the header is %v", got.Header)
	}
	if got.RequestURI != "/new?a=%20b" || got.URL.String() != got.RequestURI || got.Method != "GET" || got.Host != "h:1" {
		t.Errorf("%s %s, %s %s", got.Method, got.URL, got.Host, got.RequestURI)
	}
	if got.TLS != r.TLS || got.RemoteAddr != r.RemoteAddr || got.Proto != r.Proto || got.ProtoMajor != 2 || got.Context().Value(key{}) != "value" {
		t.Errorf("%+v", got)
	}
	if r.Header.Get("Content-Type") == "" {
		t.Error("the header of the first request has been changed")
	}
}
