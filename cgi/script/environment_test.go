//go:build linux

package script

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gatehouse/cgi"
)

// report runs the role "report" and returns its lines.
func report(t *testing.T, f *fixture, r *cgi.Request) []string {
	t.Helper()
	s, res := f.serve(r)
	if res.Err != nil || res.Code != 200 {
		t.Fatalf("%d, %v", res.Code, res.Err)
	}
	return strings.Split(strings.TrimSuffix(s.Body.String(), "\n"), "\n")
}

// vars returns the environment that a report has.
func vars(t *testing.T, lines []string) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for _, l := range lines {
		quoted, ok := strings.CutPrefix(l, "env ")
		if !ok {
			continue
		}
		v, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatal(err)
		}
		name, value, _ := strings.Cut(v, "=")
		if _, twice := m[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		m[name] = value
	}
	return m
}

func TestR64Environment(t *testing.T) {
	t.Setenv("PATH", "/daemon/bin")
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("TZ", "UTC")
	t.Setenv("GATEHOUSE_SECRET", "secret")
	f := newFixture(t)
	path := f.link(t, "report", "report")
	f.Env = append(f.Env, "GIT_PROJECT_ROOT=/srv/git", "LANG=de_DE.UTF-8", "HTTP_X_OWN=application", "TWICE=1", "TWICE=2", "broken", "=x")
	r := request("/report/a b",
		"GIT_HTTP_EXPORT_ALL=", "HTTP_X_A=caf\xe9", "HTTP_X_OWN=client", "REMOTE_USER=joe",
		"HTTP_PROXY=http://evil/", "LD_PRELOAD=/x.so", "BASH_FUNC_x%%=() { :; }", "AUTH_PASSWORD=p", "Auth_Password=p",
		"HTTP_AUTHORIZATION=Basic x", "HTTP_PROXY_AUTHORIZATION=Basic x", "PATH_TRANSLATED=/elsewhere",
		"GATEWAY_INTERFACE=CGI/001.1", "SERVER_NAME=", "HTTP_HOST=[::1]:8080")
	r.Env.Set("ODD=NAME", "x") // in an environment this is a variable called ODD
	got := vars(t, report(t, f, r))
	for name, want := range map[string]string{
		"GIT_HTTP_EXPORT_ALL": "", "HTTP_X_A": "caf\xe9", "REMOTE_USER": "joe",
		"GIT_PROJECT_ROOT": "/srv/git", "LANG": "de_DE.UTF-8", "HTTP_X_OWN": "application", "TWICE": "2",
		"PATH": "/daemon/bin", "TZ": "UTC",
		"SCRIPT_NAME": "/report", "PATH_INFO": "/a b", "SCRIPT_FILENAME": path, "QUERY_STRING": "",
		"GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "gatehouse",
		"REQUEST_METHOD": "GET", "SERVER_NAME": "[::1]", "SERVER_PORT": "8080",
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %q, %v; want %q", name, v, ok, want)
		}
	}
	for _, name := range []string{"HTTP_PROXY", "LD_PRELOAD", "BASH_FUNC_x%%", "AUTH_PASSWORD", "Auth_Password", "HTTP_AUTHORIZATION",
		"HTTP_PROXY_AUTHORIZATION", "PATH_TRANSLATED", "GATEHOUSE_SECRET", "CONTENT_LENGTH", "broken", "HOME", "ODD"} {
		if v, ok := got[name]; ok {
			t.Errorf("%s = %q reaches the program", name, v)
		}
	}
}

func TestPassAuthorization(t *testing.T) {
	f := newFixture(t)
	f.PassAuthorization = true
	f.link(t, "report", "report")
	got := vars(t, report(t, f, request("/report", "HTTP_AUTHORIZATION=Basic x", "AUTH_PASSWORD=p", "HTTP_PROXY=x")))
	if got["HTTP_AUTHORIZATION"] != "Basic x" || got["AUTH_PASSWORD"] != "p" {
		t.Errorf("%v; want both", got)
	}
	if _, ok := got["HTTP_PROXY"]; ok {
		t.Error("HTTP_PROXY reaches the program")
	}
}

func TestInherit(t *testing.T) {
	t.Setenv("PATH", "/daemon/bin")
	t.Setenv("KRB5CCNAME", "x")
	f := newFixture(t)
	f.Inherit = []string{"KRB5CCNAME", "UNSET_HERE"}
	f.link(t, "report", "report")
	got := vars(t, report(t, f, request("/report")))
	_, path := got["PATH"]
	_, unset := got["UNSET_HERE"]
	if got["KRB5CCNAME"] != "x" || path || unset {
		t.Errorf("%v; want KRB5CCNAME alone", got)
	}
	// What the web server sends is not replaced.
	got = vars(t, report(t, f, request("/report", "KRB5CCNAME=server")))
	if got["KRB5CCNAME"] != "server" {
		t.Errorf("KRB5CCNAME = %q; want the web server's", got["KRB5CCNAME"])
	}
}

// TestInheritAll: the daemon's whole environment, but nothing that is a request's own
// or systemd's word to the daemon, and nothing in place of what was sent.
func TestInheritAll(t *testing.T) {
	environ := []string{"PATH=/daemon/bin", "HOME=/var/www", "EMPTY=", "TWICE=first", "TWICE=second", "LD_LIBRARY_PATH=/opt/lib",
		"HTTP=kept", "HTTPS=on", "HTTP_PROXY=http://proxy/", "HTTP_HOST=evil", "HTTPX=x", "DOCUMENT_ROOT=/srv", "REMOTE_USER=root",
		"CONTENT_LENGTH=5", "SCRIPT_NAME=/x", "NOTIFY_SOCKET=/run/x", "LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=x",
		"WATCHDOG_USEC=1", "ASPNETCORE_TOKEN=4711", "INVOCATION_ID=1", "=C:=C:\\", "broken"}
	want := []string{"PATH=/daemon/bin", "HOME=/var/www", "EMPTY=", "TWICE=first", "LD_LIBRARY_PATH=/opt/lib", "HTTP=kept", "DOCUMENT_ROOT=/srv", "INVOCATION_ID=1"}
	if got := inheritedAll(environ); !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
	t.Setenv("SENT", "daemon")
	t.Setenv("LD_LIBRARY_PATH", "/daemon/lib")
	t.Setenv("REMOTE_USER", "root")
	f := newFixture(t)
	f.InheritAll = true
	f.link(t, "report", "report")
	got := vars(t, report(t, f, request("/report", "SENT=server", "LD_LIBRARY_PATH=/evil")))
	if got["SENT"] != "server" || got["LD_LIBRARY_PATH"] != "/daemon/lib" || got["HOME"] != os.Getenv("HOME") {
		t.Errorf("%v; want what was sent, and otherwise the daemon's", got)
	}
	if v, ok := got["REMOTE_USER"]; ok {
		t.Errorf("REMOTE_USER is %q", v)
	}
}

// TestDroppedVariablesAreLogged: once for each name, and only so many.
func TestDroppedVariablesAreLogged(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "a.cgi", head)
	long := "LD_" + strings.Repeat("x", 1000)
	for range 2 {
		f.serve(request("/a.cgi", "BASH_FUNC_x%%=evil", "HTTP_AUTHORIZATION=Basic c2VjcmV0", long+"=1"))
	}
	log := f.log.String()
	for _, text := range []string{
		`variable=BASH_FUNC_x%% reason="bash would run it"`,
		`variable=HTTP_AUTHORIZATION reason="it is a password (pass_authorization = true lets it pass)"`,
		"variable=" + long[:maxDroppedName] + " ",
	} {
		if n := strings.Count(log, text); n != 1 {
			t.Errorf("%d times %s in\n%s", n, text, log)
		}
	}
	if strings.Contains(log, "c2VjcmV0") || strings.Contains(log, "evil") {
		t.Errorf("the log has values:\n%s", log)
	}
	r := request("/a.cgi")
	for i := range 100 {
		r.Env.Set(fmt.Sprintf("LD_%d", i), "x")
	}
	f.serve(r)
	log = f.log.String()
	if n := strings.Count(log, "variable="); n != maxDropped || strings.Count(log, "further names") != 1 {
		t.Errorf("%d names are logged; want %d, and once that no more are", n, maxDropped)
	}
	if n := len(f.state.dropped.names); n != maxDropped {
		t.Errorf("%d names are kept", n)
	}
}

// TestNames: which names of variables reach a program.
func TestNames(t *testing.T) {
	f := newFixture(t)
	f.link(t, "report", "report")
	r := request("/report")
	pass := map[string]string{"proxy-nokeepalive": "1", "lower": "x", "X.Y": "x", "WITH SPACE": "x", "LD": "x", "1": "x", "EMPTY": ""}
	refuse := map[string]string{"A=B": "x", "NUL\x00": "x", "VALUE": "a\x00b", "LD_PRELOAD": "x", "LD_": "x", "BASH_FUNC_x%%": "x",
		"BASH_FUNC_x()": "x", "HTTP_PROXY": "x", "http_proxy": "x", "HTTP_PROXY_AUTHORIZATION": "x", "AUTH_PASSWORD": "x",
		"HTTP_REDIRECT_STATUS": "200"}
	for name, value := range pass {
		r.Env.Set(name, value)
	}
	for name, value := range refuse {
		r.Env.Set(name, value)
	}
	got := vars(t, report(t, f, r))
	for name, value := range pass {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%q = %q, %v; want %q", name, v, ok, value)
		}
	}
	for name := range refuse {
		if _, ok := got[name]; ok || name == "A=B" && got["A"] != "" {
			t.Errorf("%q reaches the program", name)
		}
	}
}

func TestRequiredVariablesAreGuaranteed(t *testing.T) {
	f := newFixture(t)
	f.link(t, "report", "report")
	r := &cgi.Request{Env: cgi.NewEnviron("SCRIPT_NAME=/report", "HTTPS=on", "HTTP_HOST=example.com"), Body: strings.NewReader("")}
	got := vars(t, report(t, f, r))
	for name, want := range map[string]string{"GATEWAY_INTERFACE": "CGI/1.1", "QUERY_STRING": "", "REQUEST_METHOD": "GET",
		"SCRIPT_NAME": "/report", "SERVER_NAME": "example.com", "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.0",
		"SERVER_SOFTWARE": "gatehouse"} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %q, %v; want %q", name, v, ok, want)
		}
	}
	if _, ok := got["PATH_INFO"]; ok {
		t.Error("PATH_INFO is set for an empty one")
	}
}

// TestServerPortBehindTLS: a web server may say by REQUEST_SCHEME alone that the request
// came over TLS.
func TestServerPortBehindTLS(t *testing.T) {
	f := newFixture(t)
	f.link(t, "report", "report")
	for _, tt := range []struct{ vars, want string }{
		{"REQUEST_SCHEME=https HTTP_HOST=example.com", "443"},
		{"REQUEST_SCHEME=https HTTP_HOST=example.com:8443", "8443"},
		{"REQUEST_SCHEME=https HTTPS=off", "80"},
		{"REQUEST_SCHEME=http", "80"},
	} {
		got := vars(t, report(t, f, request("/report", append(strings.Fields(tt.vars), "SERVER_PORT=")...)))
		if got["SERVER_PORT"] != tt.want {
			t.Errorf("%s: SERVER_PORT = %q, want %q", tt.vars, got["SERVER_PORT"], tt.want)
		}
	}
}

func TestR66DescriptorsAndR56Directory(t *testing.T) {
	f := newFixture(t)
	f.link(t, "report", "report")
	// One that this process was started with, and did not mark.
	fd, err := syscall.Dup(1)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	lines := report(t, f, withBody(request("/report"), 5, strings.NewReader("hello")))
	var fds []string
	for _, l := range lines {
		if fd, ok := strings.CutPrefix(l, "fd "); ok {
			fds = append(fds, fd)
		}
	}
	if !slices.Equal(fds, []string{"0", "1", "2"}) {
		t.Errorf("descriptors %v; want 0, 1 and 2", fds)
	}
	want := []string{`args=["` + filepath.Join(f.dir, "report") + `"]`, "dir=" + f.dir, `body="hello" <nil>`}
	if !slices.Equal(lines[:3], want) {
		t.Errorf("%q; want %q", lines[:3], want)
	}
}

func TestOwnGroup(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "group", head+`set -- $(cut -d' ' -f1,5 /proc/$$/stat); [ $1 = $2 ] && echo leader`)
	s, res := f.serve(request("/group"))
	checkOK(t, s, res, "leader\n")
}

// TestRedirectStatus: php-cgi takes REDIRECT_STATUS for the web server's word that the path
// was mapped to a PHP file. It is made up only for scripts; a binary in a directory, which a
// client can name, gets it only from a redirect; a binary that is a root gets it as sent.
func TestRedirectStatus(t *testing.T) {
	f := newFixture(t)
	binary := f.link(t, "php", "report")
	text := head + `echo "${REDIRECT_STATUS-unset}"`
	f.sh(t, "a.cgi", text)
	f.write(t, "image", "#!/usr/bin/env sh\n"+text, 0o755)
	root, err := filepath.EvalSymlinks(binary)
	if err != nil {
		t.Fatal(err)
	}
	const sent, redirected, header = "REDIRECT_STATUS=200", "REDIRECT_URL=/page.php", "HTTP_REDIRECT_STATUS=200"
	for _, c := range []struct {
		path string
		vars []string
		want string
	}{
		{"/a.cgi", nil, "200"},
		{"/a.cgi", []string{"REDIRECT_STATUS=404"}, "404"},
		{"/a.cgi", []string{"REDIRECT_STATUS="}, "200"},
		{"/image/x", nil, "200"},
		{"/php/etc/passwd", nil, "unset"},
		{"/php/etc/passwd", []string{sent}, "unset"},
		{"/php/etc/passwd", []string{sent, header}, "unset"},
		{"/php/etc/passwd", []string{redirected}, "unset"},
		{"/php/etc/passwd", []string{sent, "REDIRECT_URL="}, "unset"},
		{"/php/page.php", []string{sent, redirected}, "200"},
		{"/x", []string{sent, "SCRIPT_FILENAME=" + binary}, "unset"},
		{"ROOT", nil, "unset"},
		{"ROOT", []string{sent}, "200"},
		{"ROOT", []string{sent, "SCRIPT_FILENAME=" + root}, "200"},
	} {
		a := f.App
		if c.path == "ROOT" {
			a = f.Clone()
			defer a.Close()
			a.Roots = []string{root}
		}
		g := &fixture{App: a, dir: f.dir, log: f.log}
		s, res := g.serve(request(c.path, c.vars...))
		got := strings.TrimSuffix(s.Body.String(), "\n")
		if strings.HasPrefix(got, "args=") {
			env := vars(t, strings.Split(got, "\n"))
			var is bool
			if got, is = env["REDIRECT_STATUS"]; !is {
				got = "unset"
			}
			if v, is := env["HTTP_REDIRECT_STATUS"]; is {
				t.Errorf("%s with %q: HTTP_REDIRECT_STATUS is %q", c.path, c.vars, v)
			}
		}
		if res.Code != 200 || got != c.want {
			t.Errorf("%s with %q: %d, %q; want %q", c.path, c.vars, res.Code, got, c.want)
		}
	}
	if n := strings.Count(f.log.String(), "variable=REDIRECT_STATUS"); n != 1 {
		t.Errorf("that it does not pass is logged %d times", n)
	}
	// An administrator decides otherwise.
	f.Env = append(f.Env, sent)
	e, err := f.Explain(request("/php/x"))
	if err != nil || !slices.Contains(e.Env, sent) || len(e.Dropped) > 0 {
		t.Errorf("%v; env in the configuration does not count: %+v", err, e)
	}
}

// TestAmbiguousVariablesAreLoggedOnce: also those that a Mux has set since, and not where
// gatehouse has the place of a gateway that had a rule of its own.
func TestAmbiguousVariablesAreLoggedOnce(t *testing.T) {
	for _, m := range []Manner{Gatehouse, Fcgiwrap, Slowcgi} {
		f := newFixture(t)
		f.Manner = m
		file := f.sh(t, "a.cgi", head+"echo $X")
		if m != Gatehouse {
			f.Roots = nil
		}
		var mux cgi.Mux
		if err := mux.Mount("/", f.App); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			env := cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_FILENAME="+file)
			for _, v := range []string{"/a.cgi", "/b.cgi"} {
				env.Add("SCRIPT_NAME", v)
			}
			env.Add("X", "first")
			env.Add("X", "last")
			s := new(recorder)
			res := f.handler().Run(&cgi.Request{Env: env, Body: strings.NewReader("")}, s, &mux)
			want := "last\n"
			if m == Fcgiwrap {
				want = "first\n"
			}
			checkOK(t, s, res, want)
		}
		want := 0
		if m == Gatehouse {
			want = 1
		}
		for _, name := range []string{"SCRIPT_NAME", "X"} {
			line := `msg="variable was sent twice, with two values; this is logged once for each name" variable=` + name + ` reason="the last one counts: let the web server send it once"`
			if n := strings.Count(f.log.String(), line); n != want {
				t.Errorf("%v: %d lines of %s; want %d:\n%s", m, n, name, want, f.log)
			}
		}
	}
}
