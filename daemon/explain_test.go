package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
)

func TestFrontVariables(t *testing.T) {
	for _, c := range []struct {
		front  Front
		target string
		params []string
		want   string // "NAME=VALUE" one a line, or an error
	}{
		{"", "/a", nil, "SCRIPT_NAME=/a\nREQUEST_URI=/a\nQUERY_STRING=\nHTTP_HOST=localhost\nSERVER_NAME=localhost\nSERVER_PORT=80\nREQUEST_SCHEME=http\nSERVER_SOFTWARE=nginx"},
		{FrontNginx, "https://example.org/a%20b//c/./d/../e?x=%20&y", nil,
			"SCRIPT_NAME=/a b/c/e\nDOCUMENT_URI=/a b/c/e\nREQUEST_URI=/a%20b//c/./d/../e?x=%20&y\nQUERY_STRING=x=%20&y\nHTTPS=on\nSERVER_PORT=443\nREQUEST_SCHEME=https"},
		{FrontIIS, "https://example.org/a%20b?x", nil,
			"SCRIPT_NAME=/a b\nPATH_INFO=/a b\nREQUEST_URI=/a%20b?x\nHTTPS=on\nSERVER_PORT_SECURE=1\nAUTH_TYPE=\nSERVER_SOFTWARE=Microsoft-IIS/10.0"},
		{FrontIIS, "/", nil, "HTTPS=off\nSERVER_PORT_SECURE=0\nCONTENT_LENGTH=0"},
		{FrontNginx, "http://[::1]:8080", nil, "SCRIPT_NAME=/\nREQUEST_URI=/\nHTTP_HOST=[::1]:8080\nSERVER_NAME=[::1]\nSERVER_PORT=8080"},
		{FrontNginx, "/a/..", nil, "SCRIPT_NAME=/"},
		{FrontNginx, "/a/b/.", nil, "SCRIPT_NAME=/a/b/"},
		{FrontNginx, "/a/", []string{"SCRIPT_NAME=/x", "NEW=", "NEW=1"}, "SCRIPT_NAME=/x\nNEW=1\nDOCUMENT_URI=/a/"},
		{FrontApache, "/a/b?c", nil, "SCRIPT_NAME=/a/b\nSCRIPT_FILENAME=proxy:fcgi://localhost/a/b\nSERVER_SOFTWARE=Apache\nREQUEST_URI=/a/b?c"},
		{FrontNginx, "/..", nil, `"/.." leads out of the root`},
		{FrontNginx, "a.cgi", nil, `"a.cgi" has no host and is not a path`},
		{FrontNginx, "gopher://x/", nil, `the scheme "gopher" is neither`},
		{FrontNginx, "http://a b/", nil, `is not a URL`},
	} {
		env, err := c.front.Variables(c.target)
		if err == nil {
			err = SetParams(env, c.params)
		}
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want %q", c.target, err, c.want)
			}
			continue
		}
		all := "\n" + strings.Join(env.Strings(), "\n") + "\n"
		for line := range strings.SplitSeq(c.want, "\n") {
			if !strings.Contains(all, "\n"+line+"\n") {
				t.Errorf("%s: %s is not in %s", c.target, line, all)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "a.cgi")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	programs := &script.App{Roots: []string{dir}, Env: []string{"OWN=1"}}
	config := Config{Apps: []App{
		{Prefix: "/cgi-bin", Source: "g.toml:1:1", Kind: Scripts(programs)},
		{Prefix: "/cgi-bin/hello", Kind: Hello()},
		{Prefix: "/", Kind: &scriptsKind{app: &script.App{Roots: []string{dir}}, authorizer: true}},
	}}
	a, err := config.Explain(Question{Target: "/cgi-bin/a.cgi/x", Params: []string{"HTTP_PROXY=x", "X=\x1b[0m"}})
	if err != nil {
		t.Fatal(err)
	}
	if !a.Runs || a.Fault != nil || a.Prefix != "/cgi-bin" || a.Place != "g.toml:1:1" || len(a.Args) != 1 || a.Args[0] != program || a.Dir != dir {
		t.Errorf("%+v; want %s, to run", a, program)
	}
	if len(a.Left) != 1 || a.Left[0].Name != "HTTP_PROXY" {
		t.Errorf("left out is %v; want HTTP_PROXY", a.Left)
	}
	var text strings.Builder
	if err := a.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "\x1b") || !strings.Contains(text.String(), "\n    OWN=1\n") {
		t.Errorf("%q", text.String())
	}

	a, err = config.Explain(Question{Target: "/cgi-bin/hello"})
	if err != nil || !a.Runs || a.App != "hello = true" || len(a.Env) != 0 {
		t.Errorf("%+v, %v; want hello", a, err)
	}
	a, err = config.Explain(Question{Target: "/cgi-bin/missing"})
	if err != nil || a.Runs || a.Fault.Check != script.CheckMissing || a.Fault.Status != 404 || a.Fault.Line != dir+"/missing: no such file" {
		t.Errorf("%+v, %v; want a missing file", a, err)
	}
	a, err = config.Explain(Question{Target: "/other"})
	if err != nil || a.Runs || a.App != "" || a.Fault == nil || a.Fault.Status != 404 {
		t.Errorf("%+v, %v; want that nothing is mounted there", a, err)
	}
	var b strings.Builder
	if err := a.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Answer
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || back.Fault.Detail != a.Fault.Detail {
		t.Errorf("%v: %s", err, b.String())
	}
	programs.Roots = []string{dir + "/missing"}
	if _, err = config.Explain(Question{Target: "/"}); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v; want an error about the directory", err)
	}
}

// TestExplainPath: what the log says of a path, and what is refused because of it.
func TestExplainPath(t *testing.T) {
	config := Config{Apps: []App{{Prefix: "/s", Kind: Hello()}}}
	a, err := config.Explain(Question{Target: "/s/x/y", Params: []string{"SCRIPT_NAME=/s", "PATH_INFO=x/y"}})
	const note = `PATH_INFO "x/y" does not begin with a slash (RFC 3875 § 4.1.5), and is read as "/x/y"`
	if err != nil || !a.Runs || len(a.Notes) != 1 || !strings.HasPrefix(a.Notes[0], note) {
		t.Errorf("%+v, %v; want a note", a, err)
	}
	var text strings.Builder
	if err := a.WriteText(&text); err != nil || !strings.Contains(text.String(), "\nnote         "+note) {
		t.Errorf("%v: %s", err, text.String())
	}
	a, err = config.Explain(Question{Target: "/s/..%2Fy", Params: []string{"SCRIPT_NAME=/s/..%2Fy"}})
	if err != nil || a.Runs || a.Fault == nil || a.Fault.Status != 400 || !strings.Contains(a.Fault.Line, "encoded slash") {
		t.Errorf("%+v, %v; want 400", a, err)
	}
	config.Paths = cgi.PathRequest
	a, err = config.Explain(Question{Target: "/s/x", Params: []string{"SCRIPT_NAME=/other"}})
	if err != nil || !a.Runs {
		t.Errorf("%+v, %v; want that REQUEST_URI decides", a, err)
	}
}

// TestMannerIsNotMounted: an application in another program's manner has the path as
// it was sent.
func TestMannerIsNotMounted(t *testing.T) {
	app := App{Prefix: "/", Kind: Scripts(&script.App{Manner: script.Fcgiwrap, Roots: []string{"/nonexistent/program"}})}
	if err := (&Config{Apps: []App{app}}).Check(); err != nil {
		t.Errorf("%v; want that the program may come later", err)
	}
	m, end, err := mountAll([]App{app}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if _, ok := m.app.(*script.App); !ok {
		t.Errorf("%T serves; want the application itself", m.app)
	}
}

// TestExplainScheme: over FastCGI and SCGI, the answer says which variable has decided the scheme.
func TestExplainScheme(t *testing.T) {
	config := Config{Apps: []App{{Prefix: "/", Kind: Hello()}}}
	const forwarded = "X-Forwarded-Proto does not count"
	for _, c := range []struct {
		target string
		params []string
		want   string
		note   bool
	}{
		{"https://example.org/a", nil, `https (HTTPS of the web server is "on")`, false},
		{"http://example.org/a", nil, `http (REQUEST_SCHEME of the web server is "http")`, false},
		{"/a", []string{"HTTPS=off", "REQUEST_SCHEME=https"}, `http (HTTPS of the web server is "off")`, false},
		{"/a", []string{"REQUEST_SCHEME=https"}, `https (REQUEST_SCHEME of the web server is "https")`, false},
		{"/a", []string{"REQUEST_SCHEME="}, "http (the web server sends neither HTTPS nor REQUEST_SCHEME)", false},
		{"/a", []string{"HTTP_X_FORWARDED_PROTO=https"}, `http (REQUEST_SCHEME of the web server is "http")`, true},
	} {
		a, err := config.Explain(Question{Target: c.target, Params: c.params})
		if err != nil {
			t.Fatal(err)
		}
		noted := slices.ContainsFunc(a.Notes, func(s string) bool { return strings.Contains(s, forwarded) })
		if a.Scheme != c.want || noted != c.note {
			t.Errorf("%s %q: scheme %s, notes %q; want %s", c.target, c.params, a.Scheme, a.Notes, c.want)
		}
	}
}

// TestExplainProxied: over HTTP, the answer says what has decided the address of the client and
// the scheme, and the variables follow it.
func TestExplainProxied(t *testing.T) {
	trusting := Config{Apps: []App{{Prefix: "/", Kind: Hello()}}}
	for _, s := range []string{"127.0.0.1", "10.0.0.0/8", "unix"} {
		if err := trusting.AddTrustedProxy(s); err != nil {
			t.Fatal(err)
		}
	}
	none := Config{Apps: trusting.Apps}
	for _, c := range []struct {
		config         Config
		target         string
		params         []string
		client, scheme string
		sent           string // one of the variables
		fault          string
	}{
		{trusting, "https://example.org/a", nil, "192.0.2.1 (X-Forwarded-For of the trusted proxy 127.0.0.1)",
			"https (X-Forwarded-Proto of the trusted proxy 127.0.0.1)", "REMOTE_ADDR=192.0.2.1", ""},
		{none, "https://example.org/a", nil, "127.0.0.1 (the peer; 127.0.0.1 is not in trusted_proxies)",
			"http (the connection; 127.0.0.1 is not in trusted_proxies)", "REMOTE_ADDR=127.0.0.1", ""},
		{trusting, "/a", []string{"HTTP_FORWARDED=for=192.0.2.7"}, "192.0.2.7 (Forwarded of the trusted proxy 127.0.0.1)",
			"http (the connection; the trusted proxy 127.0.0.1 does not say it)", "HTTP_FORWARDED=for=192.0.2.7", ""},
		{trusting, "/a", []string{"REMOTE_ADDR=10.1.1.1", "HTTP_X_FORWARDED_FOR=junk", "HTTP_HOST=h:99", "A=b"}, "10.1.1.1 (the peer; the trusted proxy 10.1.1.1 does not say it)",
			"http (the connection; the trusted proxy 10.1.1.1 does not say it)", "HTTP_HOST=h:99", ""},
		{trusting, "/a", []string{"REMOTE_ADDR=unix:"}, "192.0.2.1 (X-Forwarded-For of a trusted proxy on a unix socket)",
			"http (X-Forwarded-Proto of a trusted proxy on a unix socket)", "REQUEST_SCHEME=http", ""},
		{none, "/a", []string{"REMOTE_ADDR=unix:"}, "unix: (the peer; unix is not in trusted_proxies)",
			"http (the connection; unix is not in trusted_proxies)", "REMOTE_ADDR=unix:", ""},
		{trusting, "/a", []string{"HTTP_FORWARDED=for=192.0.2.7", "HTTP_X_FORWARDED_FOR=192.0.2.8"}, "", "", "", "disagree about the client"},
		{trusting, "/a/..%2f", nil, "192.0.2.1 (X-Forwarded-For of the trusted proxy 127.0.0.1)",
			"http (X-Forwarded-Proto of the trusted proxy 127.0.0.1)", "", "refused over HTTP"},
	} {
		a, err := c.config.Explain(Question{Target: c.target, Front: FrontProxy, Params: c.params})
		if err != nil {
			t.Errorf("%s %q: %v", c.target, c.params, err)
			continue
		}
		if a.Client != c.client || a.Scheme != c.scheme {
			t.Errorf("%s %q: client %s, scheme %s\nwant %s, %s", c.target, c.params, a.Client, a.Scheme, c.client, c.scheme)
		}
		if c.fault != "" {
			if a.Fault == nil || !strings.Contains(a.Fault.Detail, c.fault) || a.Fault.Status != 400 || a.Runs {
				t.Errorf("%s %q: %+v; want %q", c.target, c.params, a.Fault, c.fault)
			}
		} else if !a.Runs || !slices.Contains(a.Sent, c.sent) {
			t.Errorf("%s %q: fault %+v, %q; want %s", c.target, c.params, a.Fault, a.Sent, c.sent)
		}
	}
	if _, err := trusting.Explain(Question{Target: "/", Front: FrontProxy, Params: []string{"REMOTE_ADDR=me"}}); err == nil || !strings.Contains(err.Error(), `REMOTE_ADDR is "me"`) {
		t.Errorf("an address that is none: %v", err)
	}
}
