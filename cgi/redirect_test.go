package cgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// redirecting mounts applications that answer with what they got, at "/", and at /to/
// one that asks for a local redirect to the rest of its path and its query. A "+" in
// the rest stands for a "%".
func redirecting(t *testing.T) *Redirector {
	t.Helper()
	m := new(Mux)
	to := AppFunc(func(w ResponseWriter, r *Request) error {
		if !r.FollowsRedirects(RedirectInternal) {
			t.Error("nobody follows redirects")
		}
		location := strings.ReplaceAll(r.Env.Get("PATH_INFO"), "+", "%")
		if q := r.Env.Get("QUERY_STRING"); q != "" {
			location += "?" + q
		}
		return fmt.Errorf("wrapped: %w", &LocalRedirect{location})
	})
	got := AppFunc(func(w ResponseWriter, r *Request) error {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(r.Stderr, "body %d %q %v\n", r.ContentLength, body, err)
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err = io.WriteString(w, strings.Join(r.Env.Strings(), "\n"))
		return err
	})
	if err := errors.Join(m.Mount("/to", to), m.Mount("/", got)); err != nil {
		t.Fatal(err)
	}
	return &Redirector{App: m}
}

// R43: the answer is that of a request for the Location.
func TestR43RedirectedRequest(t *testing.T) {
	r := &Request{
		Env: NewEnviron("REQUEST_METHOD=POST", "SERVER_PROTOCOL=HTTP/1.1", "SCRIPT_NAME=/to/a%20b/../x/./c+20d",
			"SCRIPT_FILENAME=/srv/to", "PATH_TRANSLATED=/srv/x", "DOCUMENT_URI=/to/a%20b/../x/./c+20d", "REQUEST_URI=/to/start?q=1&r=%20", "QUERY_STRING=q=1&r=%20",
			"CONTENT_LENGTH=5", "CONTENT_TYPE=text/plain", "HTTP_CONTENT_LENGTH=5", "HTTP_TRANSFER_ENCODING=chunked", "HTTP_EXPECT=100-continue",
			"HTTP_COOKIE=c=1", "HTTP_AUTHORIZATION=Basic eA==", "AUTH_PASSWORD=secret", "REMOTE_USER=joe", "REDIRECT_STATUS=200"),
		ContentLength: 5,
		Body:          strings.NewReader("hello"),
		Script:        "/srv/to",
	}
	sent := r.Env.Strings()
	run := serveWith(t, new(Handler), r, redirecting(t))
	_, body, _ := strings.Cut(run.sink.String(), "\r\n\r\n")
	got := strings.Split(body, "\n")
	slices.Sort(got)
	want := []string{
		"SERVER_PROTOCOL=HTTP/1.1", "REQUEST_METHOD=GET", "SCRIPT_NAME=", "PATH_INFO=/x/c d", "QUERY_STRING=q=1&r=%20",
		"DOCUMENT_URI=/x/c d", "REQUEST_URI=/to/start?q=1&r=%20",
		"HTTP_COOKIE=c=1", "HTTP_AUTHORIZATION=Basic eA==", "AUTH_PASSWORD=secret", "REMOTE_USER=joe",
		"REDIRECT_URL=/to/a%20b/../x/./c+20d", "REDIRECT_STATUS=200", "REDIRECT_REDIRECT_STATUS=200", "REDIRECT_QUERY_STRING=q=1&r=%20",
		"REDIRECT_REQUEST_METHOD=POST", "REDIRECT_SERVER_PROTOCOL=HTTP/1.1", "REDIRECT_SCRIPT_FILENAME=/srv/to", "REDIRECT_PATH_TRANSLATED=/srv/x",
		"REDIRECT_SCRIPT_NAME=/to", "REDIRECT_PATH_INFO=/a%20b/../x/./c+20d",
		"REDIRECT_DOCUMENT_URI=/to/a%20b/../x/./c+20d", "REDIRECT_REQUEST_URI=/to/start?q=1&r=%20",
		"REDIRECT_CONTENT_LENGTH=5", "REDIRECT_CONTENT_TYPE=text/plain", "REDIRECT_HTTP_CONTENT_LENGTH=5",
		"REDIRECT_HTTP_TRANSFER_ENCODING=chunked", "REDIRECT_HTTP_EXPECT=100-continue", "REDIRECT_HTTP_COOKIE=c=1", "REDIRECT_REMOTE_USER=joe",
	}
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if run.result.Code != 200 || run.result.Err != nil || !strings.Contains(run.log.String(), `line="body 0 \"\" <nil>"`) {
		t.Errorf("%+v, log %q; want 200, and no body", run.result, run.log)
	}
	// The log is about the request that the client sent.
	after := r.Env.Strings()
	if i := slices.Index(after, "SCRIPT_NAME=/to"); i < 0 {
		t.Errorf("the request has become %q", after)
	} else {
		after[i] = sent[2] // which the Mux has split
	}
	if d := cmp.Diff(append(sent, "PATH_INFO=/a%20b/../x/./c+20d"), after); d != "" {
		t.Errorf("the request is another now (-sent +is)\n%s", d)
	}
	if r.Script != "" {
		t.Errorf("program %q; want that of the last request", r.Script)
	}
}

type countingSource int

func (c *countingSource) RequestContext() context.Context {
	*c++
	return context.Background()
}

// What is not told by variables stays as it is, and the context is the same one.
func TestRedirectKeepsTheRequest(t *testing.T) {
	var source countingSource
	r := &Request{Env: NewEnviron("REQUEST_METHOD=GET", "PATH_INFO=/a"), RunOnce: true, ID: 7}
	r.Env.SetScheme("https")
	r.SetContextSource(&source)
	d := &Redirector{App: AppFunc(func(w ResponseWriter, r *Request) error {
		if r.FullPath() == "/a" {
			return &LocalRedirect{"/b"}
		}
		if r.Context(); source != 1 || r.Env.Scheme() != "https" || !r.RunOnce || r.ID != 7 {
			t.Errorf("%d contexts, scheme %q, %+v", source, r.Env.Scheme(), r)
		}
		return w.StartResponse("200 OK", nil)
	})}
	if run := serveWith(t, new(Handler), r, d); run.result.Code != 200 || source != 1 || !r.HasContext() {
		t.Errorf("%+v, %d contexts", run.result, source)
	}
}

func TestRedirectIsFollowedTenTimes(t *testing.T) {
	for n, code := range map[int]int{0: 200, 1: 200, 10: 200, 11: 500} {
		path := strings.Repeat("/to", n) + "/end"
		r := serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=GET", "SERVER_PROTOCOL=HTTP/1.1", "SCRIPT_NAME="+path, "X=1")}, redirecting(t))
		if r.result.Code != code {
			t.Errorf("%d redirects: %d, %v; want %d", n, r.result.Code, r.result.Err, code)
		}
		if code == 500 && !strings.Contains(r.log.String(), "more than 10 local redirects: wrapped: local redirect to \\\"/end\\\"") {
			t.Errorf("log %q", r.log)
		}
		// Variables do not pile up.
		if text := r.sink.String(); strings.Contains(text, "REDIRECT_REDIRECT_REDIRECT_") || (n > 1) != strings.Contains(text, "\nREDIRECT_REDIRECT_X=1") && code == 200 {
			t.Errorf("%d redirects: %s", n, text)
		}
	}
}

func TestRedirectThatCannotBeFollowed(t *testing.T) {
	for location, why := range map[string]string{
		"/a%00b":   "NUL byte",
		"/a?b\x00": "NUL byte",
		"a":        "does not begin with a slash",
		"":         "does not begin with a slash",
	} {
		d := &Redirector{App: AppFunc(func(ResponseWriter, *Request) error { return &LocalRedirect{location} })}
		r := serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=GET")}, d)
		if r.result.Code != 502 || !strings.Contains(r.result.Err.Error(), why) {
			t.Errorf("%q: %d, %v; want 502, %s", location, r.result.Code, r.result.Err, why)
		}
	}
	// Too late.
	calls := 0
	d := &Redirector{App: AppFunc(func(w ResponseWriter, r *Request) error {
		calls++
		w.StartResponse("200 OK", nil)
		w.Flush()
		return &LocalRedirect{"/x"}
	})}
	r := serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=GET")}, d)
	if r.result.End != Truncated || calls != 1 {
		t.Errorf("%+v after %d calls; want truncated after 1", r.result, calls)
	}
}

// An Authorizer's Location is not for the gateway: it is asked about another's request.
func TestAuthorizersAreNotRedirected(t *testing.T) {
	for role, want := range map[Role]bool{0: true, Responder: true, Authorizer: false, Filter: false} {
		d := &Redirector{App: AppFunc(func(w ResponseWriter, r *Request) error {
			if got := r.FollowsRedirects(RedirectInternal); got != want {
				t.Errorf("%v: %v; want %v", role, got, want)
			}
			return w.StartResponse("200 OK", nil)
		})}
		serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=GET"), Role: role}, d)
	}
}

func TestWhoFollowsRedirects(t *testing.T) {
	var got []bool
	app := AppFunc(func(w ResponseWriter, r *Request) error {
		got = nil
		for _, p := range []RedirectPolicy{RedirectAuto, RedirectClient, RedirectInternal} {
			got = append(got, r.FollowsRedirects(p))
		}
		return w.StartResponse("200 OK", nil)
	})
	check := func(front string, want ...bool) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: auto, client, internal: %v; want %v", front, got, want)
		}
	}
	request := func() *Request { return &Request{Env: NewEnviron("REQUEST_METHOD=GET")} }
	serveWith(t, new(Handler), request(), app)
	check("a web server's protocol, no Redirector", false, false, false)
	serveWith(t, new(Handler), request(), &Redirector{App: app})
	check("a web server's protocol", false, false, true)
	url, _ := start(t, app, Limits{})
	raw(t, url, getAndClose)
	check("HTTP, no Redirector", false, false, false)
	url, _ = start(t, &Redirector{App: app}, Limits{})
	raw(t, url, getAndClose)
	check("HTTP", true, false, true)
	out, _, err := serveProgram(Program{Env: NewEnviron("REQUEST_METHOD=GET")}, &Redirector{App: app})
	check("a CGI program: "+out, false, false, true)
	if err != nil {
		t.Error(err)
	}
}

func TestRedirectPolicy(t *testing.T) {
	for _, p := range []RedirectPolicy{RedirectAuto, RedirectClient, RedirectInternal} {
		if got, ok := ParseRedirectPolicy(p.String()); got != p || !ok {
			t.Errorf("%v: %v, %v", p, got, ok)
		}
	}
	if p, ok := ParseRedirectPolicy("server"); p != RedirectAuto || ok || RedirectPolicy(9).String() != "unknown" {
		t.Errorf("%v, %v", p, ok)
	}
}

// A HEAD request gets the head of what a GET would get, and an http.Handler the path
// that it was redirected to.
func TestRedirectToAHandler(t *testing.T) {
	m := new(Mux)
	m.Mount("/a", AppFunc(func(w ResponseWriter, r *Request) error { return &LocalRedirect{"/b/c%20d?e=%66#g"} }))
	m.Mount("/b", FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %q %q %q %d", r.Method, ScriptName(r), r.URL.Path, r.URL.RawQuery, r.RequestURI, r.ContentLength)
	})))
	url, _ := start(t, &Redirector{App: m}, Limits{})
	got := raw(t, url, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	want := `GET /b "/b/c d" "e=%66" "/a" 0`
	if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\n"+want) {
		t.Errorf("%q; want %s", got, want)
	}
	head := raw(t, url, "HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if !strings.HasSuffix(head, "\r\n\r\n") || !strings.Contains(head, fmt.Sprintf("Content-Length: %d\r\n", len(want))) {
		t.Errorf("%q; want the head alone", head)
	}
	// The body that nobody has read is no request.
	post := raw(t, url, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if !strings.Contains(post, "\r\n\r\n"+want) || strings.Contains(post, "400 Bad") {
		t.Errorf("%q; want %s", post, want)
	}
}

// TestRedirectLeavesRequestURI: REQUEST_URI stays the client's, and so is not where the
// redirect leads, whatever the policy.
func TestRedirectLeavesRequestURI(t *testing.T) {
	m := new(Mux)
	m.Mount("/a", AppFunc(func(w ResponseWriter, r *Request) error { return &LocalRedirect{"/b/c?e=f"} }))
	m.Mount("/b", FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL, " ", ScriptName(r)) })))
	for _, policy := range []PathPolicy{PathAuto, PathIIS, PathRequest} {
		r := &Request{Env: NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/a", "DOCUMENT_URI=/a", "REQUEST_URI=/a?x=y"), Paths: policy}
		run := serveWith(t, new(Handler), r, &Redirector{App: m})
		if _, body, _ := strings.Cut(run.sink.String(), "\r\n\r\n"); body != "/b/c?e=f /b" {
			t.Errorf("%v: %q, %v", policy, body, run.result.Err)
		}
	}
}

func TestResolveDots(t *testing.T) {
	for path, want := range map[string]string{
		"/":              "/",
		"/a/b":           "/a/b",
		"/a/./b/.":       "/a/b/",
		"/a/b/../c":      "/a/c",
		"/a/b/..":        "/a/",
		"/..":            "/",
		"/../../etc":     "/etc",
		"/a//../b":       "/a/b",
		"//a":            "//a",
		"/.a/..b/...":    "/.a/..b/...",
		"/a/b/c/../../d": "/a/d",
		"/./":            "/",
	} {
		if got := resolveDots(path); got != want {
			t.Errorf("%s: %s; want %s", path, got, want)
		}
	}
}
