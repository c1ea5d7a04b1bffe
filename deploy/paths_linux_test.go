package deploy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/scgi"
)

// tellPath is a Go handler that says which path it was asked for. Below "/plain/proxy" it
// asks a reverse proxy what it forwards.
func tellPath(t *testing.T) http.Handler {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "forwarded as "+r.RequestURI)
	}))
	t.Cleanup(backend.Close)
	to, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/plain/proxy/") {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s %s at %q", r.URL.Path, r.URL.EscapedPath(), cgi.ScriptName(r))
		if q := r.FormValue("q"); q != "" {
			fmt.Fprint(w, " q=", q)
		}
	})
}

// startTellPath serves tellPath at the addresses that the files in testdata/paths name.
func startTellPath(t *testing.T) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	h := tellPath(t)
	app := cgi.FromHTTP(h)
	for address, s := range map[string]interface {
		Serve(net.Listener) error
		Close() error
	}{
		"127.0.0.1:9001": &fastcgi.Server{App: app, Log: quiet},
		"127.0.0.1:9002": &scgi.Server{App: app, Log: quiet},
	} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		t.Cleanup(func() {
			s.Close()
			<-served
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:9003")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- fastcgi.Serve(l, h) }()
	t.Cleanup(func() {
		l.Close()
		<-served
	})
}

// TestDotSegments: over HTTP an application sees the path that nginx would have made of it.
func TestDotSegments(t *testing.T) {
	startTellPath(t)
	startNginx(t, "testdata/paths/nginx.conf")
	l, err := net.Listen("tcp", "127.0.0.1:9004")
	if err != nil {
		t.Fatal(err)
	}
	s := &gatehouse.Server{App: cgi.FromHTTP(tellPath(t)), Log: slog.New(slog.DiscardHandler),
		Endpoints: []gatehouse.Endpoint{{Protocol: gatehouse.HTTP, Listener: l}}}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	ask := func(address, target string) string {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", target)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return resp.Status
		}
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	for _, target := range []string{"/plain/a/../b", "/plain/a/%2e%2e/b", "/plain/a/%2E./b?q=/../", "/plain/a/b/..", "/plain/a/./b/.",
		"/plain/a//..//b", "/plain/a/%252e%252e/b", "/plain/...%2fb", "/plain/a/..%5cb", `/plain/a/..\b`, "/plain/.hidden/..c",
		"/..", "/plain/../../b", "/%2e%2e/etc/passwd", "/plain//../../b", "/%2e%2e%2f", "/plain/b%00"} {
		if got, want := ask("127.0.0.1:9004", target), ask("127.0.0.1:80", target); got != want {
			t.Errorf("%s: %q; nginx makes it %q", target, got, want)
		}
	}
	// Apache refuses this one, and nginx resolves it.
	if got := ask("127.0.0.1:9004", "/plain/a/..%2fb"); got != "400 Bad Request" {
		t.Errorf("a hidden ..: %q", got)
	}
}

// TestPaths: the path that an application sees, whatever the web server makes of it.
func TestPaths(t *testing.T) {
	installProgram(t, "tell")
	startTellPath(t)
	serve(t, "gatehouse", "--fastcgi", "unix:/run/gatehouse/fastcgi.sock", "--scgi", "unix:/run/gatehouse/scgi.sock",
		"--app", "/=scripts:/usr/lib/cgi-bin")
	const tell = "/usr/lib/cgi-bin/tell"
	for _, f := range []struct {
		front
		pages [][2]string
	}{
		{front{"nginx", startNginx, "testdata/paths/nginx.conf"}, [][2]string{
			{"/code/x/y?q=1", `/code/x/y /code/x/y at "/code" q=1`},
			{"/code/a%20b//./c", `/code/a b/c /code/a%20b/c at "/code"`},
			{"/code", `/code /code at ""`},
			{"/plain/a%2Fb%20c", `/plain/a/b c /plain/a%2Fb%20c at ""`},
			{"/plain/proxy/a%2Fb%20c", "forwarded as /plain/proxy/a%2Fb%20c"},
			{"/plain/a%2F../b", `/plain/b /plain/b at ""`}, // nginx resolves it
			{"/slash", `/slash /slash at ""`},
			{"/slash/x", `/slash/x /slash/x at ""`},
			{"/repos/x", `/repos/x /repos/x at "/repos"`},
			{"/repos/./a%20b", `/repos/a b /repos/a%20b at "/repos"`},
			{"/raw/a%20b", `/raw/a b /raw/a%20b at ""`},
			{"/noslash/x/y", `/noslash/x/y /noslash/x/y at "/noslash"`},
			{"/dj/x/../y", `/dj/y /dj/y at ""`},
			{"/proj/x", `/gitweb.cgi/proj/x /gitweb.cgi/proj/x at "/gitweb.cgi"`},
			{"/repo/a/x", `/git/a/x /git/a/x at ""`},
			{"/git/a/x", `/git/a/x /git/a/x at ""`},
			{"/blog?q=1", `/blog /blog at "" q=1`},
			{"/blog/a%2Fb", `/blog/a/b /blog/a%2Fb at ""`},
			{"/cgi-bin/tell", tell + "|/cgi-bin/tell|unset\n"},
			{"/cgi-bin/tell/", tell + "|/cgi-bin/tell|/\n"},
			{"/cgi-bin/tell/a%20b/c", tell + "|/cgi-bin/tell|/a b/c\n"},
		}},
		{front{"Apache", startApache, "testdata/paths/apache.conf"}, [][2]string{
			{"/plain/x?q=1", `/plain/x /plain/x at "" q=1`},
			{"/plain/a%2Fb%20c", `/plain/a/b c /plain/a%2Fb%20c at ""`},
			{"/plain/a%252Fb", `/plain/a%2Fb /plain/a%252Fb at ""`},
			{"/plain/proxy/a%2Fb%20c", "forwarded as /plain/proxy/a%2Fb%20c"},
			{"/plain/a/../b//c", `/plain/b/c /plain/b/c at ""`},
			{"/page.x", `/cgi-bin/h/page.x /cgi-bin/h/page.x at "/cgi-bin/h"`},
			{"/programs/tell", tell + "|/programs/tell|unset\n"},
			{"/programs/tell/a%20b/c", tell + "|/programs/tell|/a b/c\n"},
			{"/programs/tell/a%2Fb%20c", tell + "|/programs/tell|/a%2Fb c\n"},
		}},
		{front{"lighttpd", startLighttpd, "testdata/paths/lighttpd.conf"}, [][2]string{
			{"/hid/x?q=1", `/hid.cgi/hid/x /hid.cgi/hid/x at "/hid.cgi" q=1`},
			{"/plain/a%20b", `/plain/a b /plain/a%20b at "/plain"`},
		}},
		{front{"Caddy", startCaddy, "testdata/paths/Caddyfile"}, [][2]string{
			{"/plain/x?q=1", `/plain/x /plain/x at "" q=1`},
			{"/plain/a%2Fb%20c", `/plain/a/b c /plain/a%2Fb%20c at ""`},
			{"/plain/a/../b//c", `/plain/a/../b//c /plain/a/../b//c at ""`}, // its rules are about /plain/b/c
			{"/plain/proxy/a%2Fb%20c", "forwarded as /plain/proxy/a%2Fb%20c"},
			{"/stripped/a%20b", `/a b /a%20b at ""`},
			{"/split/h.cgi/a%20b", `/split/h.cgi/a b /split/h.cgi/a%20b at "/split/h.cgi"`},
			{"/split/h.cgi", `/split/h.cgi /split/h.cgi at "/split/h.cgi"`},
			{"/programs/tell", tell + "|/tell|unset\n"},
			{"/programs/tell/a%20b/c", tell + "|/tell|/a b/c\n"},
		}},
	} {
		t.Run(f.name, func(t *testing.T) {
			f.start(t, f.file)
			for _, page := range f.pages {
				if got := getURL(t, page[0]); got.status != http.StatusOK || got.body != page[1] {
					t.Errorf("%s: %d, %q; want %q", page[0], got.status, got.body, page[1])
				}
			}
			if f.name != "Apache" {
				return
			}
			// Apache lets it through, and what is behind it does not see it.
			if got := getURL(t, "/plain/a/..%2Fb"); got.status != http.StatusBadRequest {
				t.Errorf("a hidden ..: %d, %q; want 400", got.status, got.body)
			}
			// What the client has written as a whole names no file.
			if got := getURL(t, tell); got.status != http.StatusNotFound {
				t.Errorf("%s: %d, %q; want 404", tell, got.status, got.body)
			}
		})
	}
}
