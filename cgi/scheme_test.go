package cgi_test

import (
	"strings"
	"testing"

	"gatehouse/cgi"
)

func TestGuessScheme(t *testing.T) {
	for value, want := range map[string]string{
		"on": "https", "yes": "https", "1": "https",
		"ON": "http", "On": "http", "YES": "http", "true": "http", "off": "http", "": "http", "0": "http", " on": "http", "on ": "http",
	} {
		if s := cgi.GuessScheme(cgi.NewEnviron("HTTPS=" + value)); s != want {
			t.Errorf("%q: got %q, want %q", value, s, want)
		}
	}
	if s := cgi.GuessScheme(cgi.NewEnviron("REQUEST_SCHEME=https", "SERVER_PORT=443")); s != "http" {
		t.Errorf("other variables make it %q", s)
	}
}

func TestGuessServer(t *testing.T) {
	for _, tt := range []struct{ vars, name, port string }{
		{"", "localhost", "80"},
		{"HTTPS=On", "localhost", "443"},
		{"REQUEST_SCHEME=https", "localhost", "443"},
		{"REQUEST_SCHEME=https HTTPS=off", "localhost", "80"},
		{"HTTP_HOST=h", "h", "80"},
		{"HTTP_HOST=h HTTPS=true", "h", "443"},
		{"HTTP_HOST=h:8080 HTTPS=on", "h", "8080"},
		{"HTTP_HOST=[::1]", "[::1]", "80"},
		{"HTTP_HOST=[::1]:8080", "[::1]", "8080"},
		{"HTTP_HOST=:8080", "localhost", "8080"},
		{"HTTP_HOST=h:", "h", "80"},
		{"HTTP_HOST=h:0", "h", "80"},
		{"HTTP_HOST=h:65536", "h", "80"},
		{"HTTP_HOST=h:http", "h", "80"},
		{"HTTP_HOST=h:+1", "h", "80"},
		{"SERVER_NAME=s SERVER_PORT=81", "localhost", "80"}, // what it is asked in place of
	} {
		if name, port := cgi.NewEnviron(strings.Fields(tt.vars)...).GuessServer(); name != tt.name || port != tt.port {
			t.Errorf("%s: got %q, %q, want %q, %q", tt.vars, name, port, tt.name, tt.port)
		}
	}
}

func TestServer(t *testing.T) {
	for _, tt := range []struct{ vars, name, port string }{
		{"SERVER_NAME=s SERVER_PORT=81 HTTP_HOST=h:8080", "s", "81"},
		{"SERVER_NAME= SERVER_PORT=81 HTTP_HOST=h:8080", "h", "81"},
		{"SERVER_NAME=s SERVER_PORT= HTTP_HOST=h:8080", "s", "8080"},
		{"SERVER_NAME= SERVER_PORT= HTTPS=on", "localhost", "443"},
		{"", "localhost", "80"},
	} {
		if name, port := cgi.NewEnviron(strings.Fields(tt.vars)...).Server(); name != tt.name || port != tt.port {
			t.Errorf("%s: got %q, %q, want %q, %q", tt.vars, name, port, tt.name, tt.port)
		}
	}
}

func TestScheme(t *testing.T) {
	env := cgi.NewEnviron("HTTPS=on", "A=b")
	want := func(e *cgi.Environ, scheme string) {
		t.Helper()
		if s := e.Scheme(); s != scheme {
			t.Errorf("got %q, want %q", s, scheme)
		}
	}
	want(env, "https")
	env.SetScheme("http")
	want(env, "http")
	c := env.Clone()
	env.SetScheme("")
	want(env, "https")
	want(c, "http")
	if c.Len() != 2 {
		t.Errorf("the scheme shows in %q", c.Strings())
	}
	c.Reset()
	c.Set("HTTPS", "on")
	want(c, "https")
	want(new(cgi.Environ), "http")
}
