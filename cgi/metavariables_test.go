package cgi

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
