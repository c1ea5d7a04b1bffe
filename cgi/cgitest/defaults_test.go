package cgitest_test

import (
	"bytes"
	"slices"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
)

func TestDefaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		set    []string
		scheme string // set before
		want   []string
		after  string // the scheme
	}{
		{"nothing set", nil, "", []string{"SERVER_NAME=127.0.0.1", "SERVER_PROTOCOL=HTTP/1.0", "HTTP_HOST=127.0.0.1",
			"REQUEST_METHOD=GET", "SCRIPT_NAME=", "PATH_INFO=/", "SERVER_PORT=80"}, "http"},
		{"all set", []string{"SERVER_PORT=1", "PATH_INFO=/x", "REQUEST_METHOD=PUT", "HTTP_HOST=h", "SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=n"}, "",
			[]string{"SERVER_PORT=1", "PATH_INFO=/x", "REQUEST_METHOD=PUT", "HTTP_HOST=h", "SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=n"}, "http"},
		{"script name alone", []string{"SCRIPT_NAME=/a"}, "", []string{"SCRIPT_NAME=/a", "SERVER_NAME=127.0.0.1", "SERVER_PROTOCOL=HTTP/1.0",
			"HTTP_HOST=127.0.0.1", "REQUEST_METHOD=GET", "SERVER_PORT=80"}, "http"},
		{"empty path info alone", []string{"PATH_INFO="}, "", []string{"PATH_INFO=", "SERVER_NAME=127.0.0.1", "SERVER_PROTOCOL=HTTP/1.0",
			"HTTP_HOST=127.0.0.1", "REQUEST_METHOD=GET", "SERVER_PORT=80"}, "http"},
		{"empty name", []string{"SERVER_NAME="}, "https", []string{"SERVER_NAME=", "SERVER_PROTOCOL=HTTP/1.0", "HTTP_HOST=",
			"REQUEST_METHOD=GET", "SCRIPT_NAME=", "PATH_INFO=/", "SERVER_PORT=443"}, "https"},
		{"other scheme", []string{"HTTPS=on"}, "gopher", []string{"HTTPS=on", "SERVER_NAME=127.0.0.1", "SERVER_PROTOCOL=HTTP/1.0",
			"HTTP_HOST=127.0.0.1", "REQUEST_METHOD=GET", "SCRIPT_NAME=", "PATH_INFO=/"}, "gopher"},
	} {
		env := cgi.NewEnviron(tt.set...)
		env.SetScheme(tt.scheme)
		for range 2 { // the second time changes nothing
			cgitest.Defaults(env)
			if got := env.Strings(); !slices.Equal(got, tt.want) || env.Scheme() != tt.after {
				t.Errorf("%s: got %q, scheme %q\nwant %q, %q", tt.name, got, env.Scheme(), tt.want, tt.after)
			}
		}
	}
}

func TestDefaultsFixesScheme(t *testing.T) {
	env := new(cgi.Environ)
	cgitest.Defaults(env)
	env.Set("HTTPS", "on")
	if s := env.Scheme(); s != "http" {
		t.Errorf("the scheme is %q", s)
	}
}

func TestNewRequest(t *testing.T) {
	env := cgi.NewEnviron("REQUEST_METHOD=HEAD")
	r := cgitest.NewRequest(env)
	if r.Env != env || env.Get("REQUEST_METHOD") != "HEAD" || env.Get("SERVER_PORT") != "80" {
		t.Errorf("the variables are %q", r.Env.Strings())
	}
	if r.Role != cgi.Responder || r.RunOnce || r.Multithread || r.Multiprocess || r.ContentLength != 0 || r.Body == nil || r.Data != nil {
		t.Errorf("got %+v", r)
	}
	other := cgitest.NewRequest(nil)
	if r.Stderr.(*bytes.Buffer) == other.Stderr.(*bytes.Buffer) {
		t.Error("two requests share their error stream")
	}
}
