package cgi

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// telling responds with what it sees of the path, and reads the body.
func telling(w ResponseWriter, r *Request) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	w.StartResponse("200 OK", nil)
	_, err := fmt.Fprintf(w, "%s %s %s\n", r.Env.Get("SCRIPT_NAME"), r.Env.Get("PATH_INFO"), r.Env.Get("REQUEST_URI"))
	return err
}

// What follows a request whose end may be in dispute is never taken for a request.
func TestToHTTPEndsTheConnection(t *testing.T) {
	const next = "GET /second HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	for name, x := range map[string]struct {
		head, body string
		kept       bool
	}{
		"with a length":   {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", "hello", true},
		"without a body":  {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "", true},
		"chunked":         {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n", false},
		"both":            {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n", false},
		"both to nowhere": {"TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n", false},
		"refused":         {"POST /.. HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n", false},
		"CONNECT":         {"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", "", false},
		"HTTP/1.0":        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "", false},
		"HTTP/1.0, both": {"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
			"0\r\n\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := start(t, AppFunc(telling), Limits{})
			got := raw(t, url, x.head+x.body+next)
			if kept := strings.Contains(got, "/second"); kept != x.kept {
				t.Errorf("the second request is served: %v\n%s", kept, got)
			}
			if n := strings.Count(got, "Content-Length: "); (n == 2) != x.kept || n == 0 {
				t.Errorf("%d responses\n%s", n, got)
			}
		})
	}
}

// The paths are those that nginx makes of the same targets, but for "..%2F", which nginx
// resolves and Apache refuses.
func TestToHTTPDotSegments(t *testing.T) {
	url, log := start(t, AppFunc(telling), Limits{})
	for target, want := range map[string]string{
		"/a/../b":              "/b",
		"/a/%2e%2e/b":          "/b",
		"/a/%2E./b?q=/../":     "/b",
		"/a/b/..":              "/a/",
		"/a/./b/.":             "/a/b/",
		"/a//..//b":            "/b",
		"//a/.hidden//b":       "//a/.hidden//b",
		"/a/%252e%252e/b":      "/a/%2e%2e/b",
		"/a/...%2fb":           "/a/.../b",
		"http://other/a/../b":  "/b",
		"/..":                  "400",
		"/a/../../b":           "400",
		"/%2e%2e/etc/passwd":   "400",
		"/a//../../b":          "400",
		"/a/..%2fb":            "400",
		"/a%2F..%2F..%2Fb":     "400",
		"/a/b%00":              "400",
		"/a/.%2e%2f%2e./b?x=y": "400",
	} {
		got := raw(t, url, "GET "+target+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		line := fmt.Sprintf("\r\n\r\n %s %s\n", want, target)
		if want == "400" {
			line = "HTTP/1.1 400 "
		}
		if !strings.Contains(got, line) {
			t.Errorf("%s: want %q\n%s", target, line, got)
		}
	}
	if !strings.Contains(log.String(), "leads above its root") {
		t.Errorf("log %s", log)
	}
}

// A path that leads above SCRIPT_NAME is another application's.
func TestToHTTPDotSegmentsBelowAPrefix(t *testing.T) {
	h := http.StripPrefix("/app", (&Handler{Log: quiet}).HTTP(AppFunc(telling), Limits{}))
	for target, want := range map[string]string{"/app/x/../y": "/app /y /app/x/../y\n", "/app/x/../../y": ""} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", target, nil))
		if got := rec.Body.String(); want != "" && got != want || want == "" && rec.Code != 400 {
			t.Errorf("%s: %d %q", target, rec.Code, got)
		}
	}
}

func TestToHTTPMethods(t *testing.T) {
	url, _ := start(t, AppFunc(func(w ResponseWriter, r *Request) error {
		t.Errorf("the application gets %s", r.Env.Get("REQUEST_METHOD"))
		return w.StartResponse("200 OK", nil)
	}), Limits{})
	for request, want := range map[string][]string{
		"CONNECT h:443 HTTP/1.1\r\nHost: h:443": {"HTTP/1.1 501 Not Implemented\r\n", "Connection: close\r\n"},
		"CONNECT /x HTTP/1.1\r\nHost: h":        {"HTTP/1.1 501 Not Implemented\r\n", "Connection: close\r\n"},
		"TRACE / HTTP/1.0":                      {"HTTP/1.0 405 Method Not Allowed\r\n", "Allow: GET, "},
	} {
		got := raw(t, url, request+"\r\n\r\n")
		for _, want := range want {
			if !strings.Contains(got, want) {
				t.Errorf("%q: no %q in %q", request, want, got)
			}
		}
	}
}
