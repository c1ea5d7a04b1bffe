package iis

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func environment(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func TestFindModule(t *testing.T) {
	tests := []struct {
		env  map[string]string
		want *Module
		err  string
	}{
		{nil, nil, ""},
		{map[string]string{"HTTP_PLATFORM_PORT": "", "ASPNETCORE_TOKEN": "t"}, nil, ""},
		{map[string]string{"HTTP_PLATFORM_PORT": "12345"}, &Module{Port: 12345}, ""},
		// Only the ASP.NET Core Module has tokens.
		{map[string]string{"HTTP_PLATFORM_PORT": "12345", "ASPNETCORE_TOKEN": "t"}, &Module{Port: 12345}, ""},
		{map[string]string{"ASPNETCORE_PORT": "1", "ASPNETCORE_TOKEN": "t", "ASPNETCORE_APPL_PATH": "/"}, &Module{1, "t", ""}, ""},
		{map[string]string{"ASPNETCORE_PORT": "65535", "ASPNETCORE_TOKEN": "t", "ASPNETCORE_APPL_PATH": "/shop"}, &Module{65535, "t", "/shop"}, ""},
		{map[string]string{"ASPNETCORE_PORT": "0"}, nil, `ASPNETCORE_PORT is "0": it must be a port, a number from 1 to 65535`},
		{map[string]string{"HTTP_PLATFORM_PORT": "%HTTP_PLATFORM_PORT%"}, nil,
			`HTTP_PLATFORM_PORT is "%HTTP_PLATFORM_PORT%": it must be a port, a number from 1 to 65535`},
	}
	for _, tt := range tests {
		got, err := FindModule(environment(tt.env))
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(Module{})); diff != "" {
			t.Errorf("%v: %s", tt.env, diff)
		}
		if text := errorText(err); text != tt.err {
			t.Errorf("%v: error %q; want %q", tt.env, text, tt.err)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestModuleAdmit has the requests that the module makes, and those of others.
func TestModuleAdmit(t *testing.T) {
	core := &Module{Port: 1, token: "secret", path: "/shop"}
	root := &Module{Port: 1, token: "secret"}
	token := map[string]string{"MS-ASPNETCORE-TOKEN": "secret"}
	event := map[string]string{"MS-ASPNETCORE-TOKEN": "secret", "MS-ASPNETCORE-EVENT": "shutdown"}
	tests := []struct {
		name    string
		module  *Module
		request string
		header  map[string]string
		want    error
	}{
		{"token", core, "GET /shop/", token, nil},
		{"no token", core, "GET /shop/", nil, ErrNotThroughIIS},
		{"empty token", core, "GET /shop/", map[string]string{"MS-ASPNETCORE-TOKEN": ""}, ErrNotThroughIIS},
		{"wrong token", core, "GET /shop/", map[string]string{"MS-ASPNETCORE-TOKEN": "secret2"}, ErrNotThroughIIS},
		{"case", core, "GET /shop/", map[string]string{"MS-ASPNETCORE-TOKEN": "SECRET"}, ErrNotThroughIIS},
		{"no token is asked for", &Module{Port: 1}, "GET /", nil, nil},
		{"shutdown", core, "POST /shop/iisintegration", event, ErrShutdown},
		{"shutdown of the root", root, "POST /iisintegration", event, ErrShutdown},
		{"shutdown, in capitals", root, "POST /iisintegration",
			map[string]string{"MS-ASPNETCORE-TOKEN": "secret", "MS-ASPNETCORE-EVENT": "Shutdown"}, ErrShutdown},
		{"shutdown without a token", root, "POST /iisintegration", map[string]string{"MS-ASPNETCORE-EVENT": "shutdown"}, ErrNotThroughIIS},
		{"shutdown of another path", core, "POST /iisintegration", event, nil},
		{"another method", root, "PUT /iisintegration", event, nil},
		{"another event", root, "POST /iisintegration", map[string]string{"MS-ASPNETCORE-TOKEN": "secret", "MS-ASPNETCORE-EVENT": "x"}, nil},
		{"no event", root, "POST /iisintegration", token, nil},
		{"a client's request", root, "POST /iisintegration",
			map[string]string{"MS-ASPNETCORE-TOKEN": "secret", "MS-ASPNETCORE-EVENT": "shutdown", "X-Forwarded-For": "192.0.2.1:7"}, nil},
		{"shutdown where there are no tokens", &Module{Port: 1}, "POST /iisintegration", event, nil},
	}
	for _, tt := range tests {
		r := newRequest(tt.request, tt.header)
		got, err := tt.module.Admit(r)
		if !errors.Is(err, tt.want) || (got == nil) != (tt.want != nil) {
			t.Errorf("%s: %v, request %v; want %v", tt.name, err, got != nil, tt.want)
		}
	}
	r := newRequest("GET /", token)
	r.Header.Add("Ms-Aspnetcore-Token", "secret")
	if _, err := root.Admit(r); err != ErrNotThroughIIS {
		t.Errorf("two tokens: %v; want %v", err, ErrNotThroughIIS)
	}
}

func newRequest(line string, header map[string]string) *http.Request {
	var method, target string
	for i, c := range line {
		if c == ' ' {
			method, target = line[:i], line[i+1:]
		}
	}
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = "127.0.0.1:5000"
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return r
}

// TestModuleRequest holds what an application sees of a request that was admitted.
func TestModuleRequest(t *testing.T) {
	m := &Module{Port: 1, token: "secret"}
	tests := []struct {
		forwarded, proto, remote string
		tls                      bool
	}{
		{"", "", "127.0.0.1:5000", false},
		{"192.0.2.1:7", "http", "192.0.2.1:7", false},
		{"192.0.2.1", "https", "192.0.2.1:0", true},
		{"[2001:db8::1]:7", "https", "[2001:db8::1]:7", true},
		{"[2001:db8::1]", "", "[2001:db8::1]:0", false},
		// What comes before the last comma is the client's.
		{"10.0.0.1, 192.0.2.1:7", "https, http", "192.0.2.1:7", false},
		{"10.0.0.1,garbage", "http, https", "127.0.0.1:5000", true},
	}
	for _, tt := range tests {
		header := map[string]string{"MS-ASPNETCORE-TOKEN": "secret", "MS-ASPNETCORE-WINAUTHTOKEN": "1f4", "MS-ASPNETCORE-EVENT": "x",
			"MS-ASPNETCORE-CLIENTCERT": "MII", "X-Forwarded-Proto": tt.proto}
		if tt.forwarded != "" {
			header["X-Forwarded-For"] = tt.forwarded
		}
		r := newRequest("GET /", header)
		got, err := m.Admit(r)
		if err != nil {
			t.Fatal(err)
		}
		if got.RemoteAddr != tt.remote || (got.TLS != nil) != tt.tls {
			t.Errorf("%s, %s: client %s, TLS %v; want %s, %v", tt.forwarded, tt.proto, got.RemoteAddr, got.TLS != nil, tt.remote, tt.tls)
		}
		for name := range header {
			kept := name == "MS-ASPNETCORE-CLIENTCERT" || name[0] == 'X'
			if present := got.Header.Get(name) != ""; present && !kept || !present && kept && header[name] != "" {
				t.Errorf("%s is in the request: %v", name, present)
			}
		}
		if r.Header.Get("Ms-Aspnetcore-Token") != "secret" {
			t.Error("the request of the server has changed")
		}
	}
}
