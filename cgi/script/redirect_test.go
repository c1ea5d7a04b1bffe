//go:build linux

package script

import (
	"bufio"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
	"gatehouse/internal/testkit"
)

// overHTTP returns all that a client gets for a request that ends the connection, from
// a server of app with a Redirector above it.
func (f *fixture) overHTTP(t *testing.T, app cgi.App, request string) string {
	t.Helper()
	m := new(cgi.Mux)
	m.Mount("/", app)
	h := cgi.Handler{Log: f.log.Logger()}
	s := httptest.NewServer(h.HTTP(&cgi.Redirector{App: m}, cgi.Limits{}))
	defer s.Close()
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	c := testkit.Dial(t, s.Listener.Addr())
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// get returns the answer to a GET request, and its body.
func (f *fixture) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	return parseAnswer(t, f.overHTTP(t, f.App, "GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
}

func parseAnswer(t *testing.T, all string) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(all)), nil)
	if err != nil {
		t.Fatalf("%q: %v", all, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%q: %v", all, err)
	}
	return res, string(body)
}

// R43 to R46: who follows which Location, and as what.
func TestRedirects(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "target", head+`echo "$REQUEST_METHOD $SCRIPT_NAME $PATH_INFO ?$QUERY_STRING from $REDIRECT_URL $REDIRECT_STATUS len=$CONTENT_LENGTH type=$CONTENT_TYPE"`)
	f.sh(t, "local", `printf 'Location: /target/info?a=b\n\n'`)
	f.sh(t, "crlf", `printf 'location:/target\r\n\r\n'`)
	f.sh(t, "traced", `printf 'X-CGI-Trace: 1\nLocation: /target\n\n'`)
	f.sh(t, "body", `printf 'Location: /target\n\n'; printf moved`)
	f.sh(t, "cookie", `printf 'Location: /target\nSet-Cookie: a=1\n\n'`)
	f.sh(t, "status", `printf 'Status: 303 See Other\nLocation: /target\n\n'`)
	f.sh(t, "created", `printf 'Status: 201 Created\nLocation: /target\nContent-Type: text/plain\n\nmade'`)
	f.sh(t, "client", `printf 'Location: http://example.com/x#y\n\n'`)
	f.sh(t, "document", `printf 'Status: 301\nLocation: http://example.com/\nContent-Type: text/plain\n\nmoved'`)
	f.sh(t, "relative", `printf 'Location: target\n\n'`)
	f.sh(t, "outside", `printf 'Location: /../../target\n\n'`)
	f.sh(t, "missing", `printf 'Location: /nowhere\n\n'`)
	f.sh(t, "loop", `printf 'Location: /loop\n\n'`)
	f.sh(t, "killed", `printf 'Location: /target\n\n'; kill -9 $$`)
	f.sh(t, "failed", `printf 'Location: /target\n\n'; exit 3`)
	f.sh(t, "closed", `printf 'Location: /target\n\n'; exec >&- 2>&-; exec sleep 1000`)

	const target = "GET /target  ? from "
	for _, c := range []struct {
		path, status, location, body string
		client                       string // the status if the client follows, or "" for the same
	}{
		{"/local", "200 OK", "", "GET /target /info ?a=b from /local 200 len= type=\n", "302 Found"},
		{"/crlf", "200 OK", "", target + "/crlf 200 len= type=\n", "302 Found"},
		{"/traced", "200 OK", "", target + "/traced 200 len= type=\n", "302 Found"},
		{"/outside", "200 OK", "", target + "/outside 200 len= type=\n", "302 Found"},
		{"/failed", "200 OK", "", target + "/failed 200 len= type=\n", "302 Found"},
		{"/closed", "200 OK", "", target + "/closed 200 len= type=\n", "302 Found"},
		{"/missing", "404 Not Found", "", "404 Not Found\n", "302 Found"},
		{"/loop", "500 Internal Server Error", "", "A server error occurred.  Please contact the administrator.", "302 Found"},
		{"/body", "302 Found", "/target", "moved", ""},
		{"/cookie", "302 Found", "/target", "", ""},
		{"/status", "303 See Other", "/target", "", ""},
		{"/created", "201 Created", "/target", "made", ""},
		{"/client", "302 Found", "http://example.com/x#y", "", ""},
		{"/document", "301 Moved Permanently", "http://example.com/", "moved", ""},
		{"/relative", "302 Found", "target", "", ""},
		{"/killed", "502 Bad Gateway", "", "502 Bad Gateway\n", ""},
	} {
		res, body := f.get(t, c.path)
		if res.Status != c.status || res.Header.Get("Location") != c.location || body != c.body {
			t.Errorf("%s over HTTP: %s, Location %q, %q; want %s, %q, %q", c.path, res.Status, res.Header.Get("Location"), body, c.status, c.location, c.body)
		}
		// Behind a web server the client follows.
		if c.client == "" {
			c.client = c.status
		}
		if s, _ := f.serve(request(c.path)); s.Head.Status != c.client {
			t.Errorf("%s behind a web server: %s; want %s", c.path, s.Head.Status, c.client)
		}
	}
	if !strings.Contains(f.log.String(), "more than 10 local redirects: "+f.dir+`/loop: local redirect to`) {
		t.Errorf("the log has no line about the loop:\n%s", f.log)
	}
}

func TestRedirectPolicies(t *testing.T) {
	for policy, want := range map[cgi.RedirectPolicy][2]int{
		cgi.RedirectAuto:     {200, 302},
		cgi.RedirectClient:   {302, 302},
		cgi.RedirectInternal: {200, 200},
	} {
		f := newFixture(t)
		f.LocalRedirect = policy
		f.Limits.Programs = 1
		f.sh(t, "local", `printf 'Location: /target\n\n'`)
		f.sh(t, "target", head+"echo here")
		res, _ := f.get(t, "/local")
		s := new(recorder)
		h := cgi.Handler{Log: f.Log}
		behind := h.Run(request("/local"), s, &cgi.Redirector{App: f.App})
		if got := [2]int{res.StatusCode, behind.Code}; got != want {
			t.Errorf("%v: %d over HTTP, %d behind a web server; want %d", policy, got[0], got[1], want)
		}
		if behind.Code == 302 && s.Field("Location") != "/target" {
			t.Errorf("%v: %+v", policy, s.Head)
		}
	}
}

// A POST that is redirected is a GET, and its body has gone to the first program.
func TestRedirectOfPost(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "form", "cat >got; printf 'Location: /page\n\n'")
	f.sh(t, "page", head+`echo "$REQUEST_METHOD $REDIRECT_REQUEST_METHOD $REDIRECT_CONTENT_LENGTH len=$CONTENT_LENGTH"; cat got; cat`)
	res, body := parseAnswer(t, f.overHTTP(t, &validate.App{App: f.App}, "POST /form HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"))
	if res.StatusCode != 200 || body != "GET POST 5 len=\nhello" {
		t.Errorf("%d, %q", res.StatusCode, body)
	}
}
