package files

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
)

func TestPaths(t *testing.T) {
	app := newTree(t,
		"a.html", "<p>a", "index.html", "root", "sub/index.html", "sub", "sub/b.html", "b",
		"sub/deep/c.html", "c", "empty/", "", "page/index.html/", "", "odd name?#%41\\.html", "odd", ".hidden", "h", ".git/config", "g", "sub/..x", "x")
	for _, c := range []struct {
		path string
		code int
		body string // or what the log has, if it is no success
	}{
		{"/a.html", 200, "<p>a"},
		{"//a.html", 200, "<p>a"},
		{"/./a.html", 200, "<p>a"},
		{"/sub/deep/c.html", 200, "c"},
		{"/sub//./deep///c.html", 200, "c"},
		{"/", 200, "root"},
		{"//", 200, "root"},
		{"", 200, "root"},
		{"/index.html", 200, "root"},
		{"/sub/", 200, "sub"},
		{"/sub/.", 200, "sub"},
		{"/odd name?#%41\\.html", 200, "odd"},
		{"/none", 404, "no such file"},
		{"/sub/none/x", 404, "no such file"},
		{"/a.html/", 404, "is a file, not a directory"},
		{"/a.html/x", 404, "no such file"},
		{"/" + strings.Repeat("x", 300), 404, "no such file"},
		{"/" + strings.Repeat("x/", 3000), 404, "no such file"},
		{"*", 404, "no such file"},
		{"/empty/", 403, "is a directory without an index.html"},
		{"/page/", 403, "is not a regular file"},
		{"/..", 403, `has a \"..\" segment`},
		{"/../public/a.html", 403, `has a \"..\" segment`},
		{"/sub/../a.html", 403, `has a \"..\" segment`},
		{"/.../a.html", 404, "hidden"},
		{"/.hidden", 404, "hidden"},
		{"/.git/config", 404, "hidden"},
		{"/.none", 404, "hidden"},
		{"/sub/..x", 404, "hidden"},
		{"/%2e%2e/x", 404, "no such file"}, // the path is decoded already
		{"/a.html ", 404, "no such file"},
		{"/A.HTML", 404, "no such file"},
	} {
		a := get(app, c.path)
		if c.code == 200 {
			a.want(t, c.path, 200, c.body)
			continue
		}
		a.want(t, c.path, c.code, fmt.Sprintf("%d %s\n", c.code, map[int]string{403: "Forbidden", 404: "Not Found"}[c.code]))
		if !strings.Contains(a.log.String(), c.body) || strings.Count(a.log.String(), "\n") != 1 {
			t.Errorf("%.40s: the log has %q, want %q", c.path, a.log.String(), c.body)
		}
	}
	app.Hidden = true
	get(app, "/.hidden").want(t, "hidden", 200, "h")
	get(app, "/.git/config").want(t, "hidden", 200, "g")
	get(app, "/sub/..x").want(t, "hidden", 200, "x")
	get(app, "/sub/../a.html").want(t, "hidden", 403, "")
}

// The path that the web server sent encoded is decoded once.
func TestEncodedPaths(t *testing.T) {
	app := newTree(t, "a.html", "a", "%2e%2e/x.html", "x")
	for _, c := range []struct {
		uri  string
		code int
	}{
		{"/a.html?x=/../..", 200},
		{"/%61%2Ehtml", 200},
		{"/%2e%2e/public/a.html", 403},
		{"/..%2fpublic%2fa.html", 400},
		{"/sub/%2e%2e/a.html", 403},
		{"/%252e%252e/x.html", 200},
		{"/a.html%00", 400},
		{"/%00", 400},
		{"/a.html%00.png", 400},
	} {
		var mux cgi.Mux
		if err := mux.Mount("/", app); err != nil {
			t.Fatal(err)
		}
		ask(app, "REQUEST_URI="+c.uri).want(t, c.uri, c.code, "")
		ask(&mux, "REQUEST_URI="+c.uri).want(t, c.uri+" behind a Mux", c.code, "")
	}
}

// The file is the same, however the web server reports the path.
func TestMounts(t *testing.T) {
	app := newTree(t, "a.html", "a", "sub/index.html", "sub")
	inner := new(cgi.Mux)
	outer := new(cgi.Mux)
	for _, err := range []error{inner.Mount("/x/files", app), inner.Mount("/", app), outer.Mount("/x/", inner), outer.Mount("/static", app)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		app  cgi.App
		vars string
		body string // "" for 404
	}{
		{"nginx", outer, "SCRIPT_NAME=/static/a.html|REQUEST_URI=/static/a.html|DOCUMENT_URI=/static/a.html", "a"},
		{"nginx, SCGI", outer, "DOCUMENT_URI=/static/a.html", "a"},
		{"split", outer, "SCRIPT_NAME=/static|PATH_INFO=/a.html|REQUEST_URI=/static/a.html", "a"},
		{"split elsewhere", outer, "SCRIPT_NAME=/static/sub|PATH_INFO=/", "sub"},
		{"nested", outer, "SCRIPT_NAME=|PATH_INFO=/x/files/a.html", "a"},
		{"the root, split", inner, "SCRIPT_NAME=/sub|PATH_INFO=/", "sub"},
		{"a CGI program", app, "SCRIPT_NAME=/cgi-bin/files|PATH_INFO=/a.html|REQUEST_URI=/cgi-bin/files/a.html", "a"},
		{"alone, the whole path in SCRIPT_NAME", app, "SCRIPT_NAME=/a.html|REQUEST_URI=/a.html", "a"},
		{"another prefix", outer, "SCRIPT_NAME=|PATH_INFO=/statics/a.html", ""},
	} {
		code := 200
		if c.body == "" {
			code = 404
		}
		ask(c.app, strings.Split(c.vars, "|")...).want(t, c.name, code, c.body)
	}
}

func TestRedirect(t *testing.T) {
	app := newTree(t, "sub/index.html", "sub", "a b:c?/index.html", "odd", "sub/evil.com/index.html", "evil", "evil.com/", "", "\\evil.com/", "")
	mux := new(cgi.Mux)
	if err := mux.Mount("/static", app); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		app   cgi.App
		path  string
		query string
		want  string
	}{
		{app, "/sub", "", "./sub/"},
		{app, "/sub", "a=1&b=%20?c", "./sub/?a=1&b=%20?c"},
		{app, "/sub", "a=\r\nSet-Cookie: \xe9", "./sub/?a=%0D%0ASet-Cookie:%20%E9"},
		{app, "/a b:c?", "", "./a%20b:c%3F/"},
		{app, "//evil.com", "", "./evil.com/"},
		{app, "///sub//evil.com", "", "./evil.com/"},
		{app, "/\\evil.com", "", "./%5Cevil.com/"},
		{mux, "/static", "", "./static/"},
		{mux, "/static", "x", "./static/?x"},
		{mux, "/static//evil.com", "x", "./evil.com/?x"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := get(c.app, c.path, "QUERY_STRING="+c.query, "REQUEST_METHOD="+method)
			a.want(t, c.path, 301, "")
			if got := a.Field("Location"); got != c.want || a.Body.String() != "" || a.Err != nil {
				t.Errorf("%s %s?%q: Location %q, body %q, %v, want %q", method, c.path, c.query, got, a.Body.String(), a.Err, c.want)
			}
		}
	}
}

// An escaped slash in what the client sent is no new segment for it.
func TestRedirectKeepsEscapes(t *testing.T) {
	app := newTree(t, "a/dir/index.html", "x")
	a := ask(app, "REQUEST_METHOD=GET", "SERVER_PROTOCOL=HTTP/1.1", "SCRIPT_NAME=", "PATH_INFO=/a/dir", "REQUEST_URI=/a%2fdir?q", "QUERY_STRING=q")
	if got := a.Field("Location"); got != "./a%2fdir/?q" {
		t.Errorf("Location %q", got)
	}
}

func TestMethods(t *testing.T) {
	app := newTree(t, "a.html", "hello")
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "get", "CONNECT"} {
		for _, path := range []string{"/a.html", "/none", "/.."} {
			a := get(app, path, "REQUEST_METHOD="+method)
			a.want(t, method, 405, "405 Method Not Allowed\n")
			if a.Field("Allow") != "GET, HEAD" {
				t.Errorf("%s: Allow is %q", method, a.Field("Allow"))
			}
		}
	}
}

func TestWindowsNames(t *testing.T) {
	for name, want := range map[string][2]bool{ // not hidden, hidden
		"a.html": {true, true}, "a b": {true, true}, "GIT~1": {false, true}, "a~": {false, true},
		`a\b`: {}, "a:b": {}, "a.html::$DATA": {}, "C:": {}, "a*": {}, "a?": {}, "a\x01": {}, "a|b": {}, `"`: {}, "<": {}, ">": {},
	} {
		if got := [2]bool{isWindowsName(name, false), isWindowsName(name, true)}; got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	app := newTree(t, "a.html", "a")
	for _, c := range []struct{ dir, want string }{
		{app.Dir, "<nil>"},
		{"", "no directory is set"},
		{filepath.Join(app.Dir, "none"), "directory DIR/none: no such file or directory"},
		{filepath.Join(app.Dir, "a.html"), "DIR/a.html is not a directory"},
	} {
		other := &App{Dir: c.dir}
		got := fmt.Sprint(other.Check())
		if got = filepath.ToSlash(strings.ReplaceAll(got, app.Dir, "DIR")); got != c.want {
			t.Errorf("%s: got %q, want %q", c.dir, got, c.want)
		}
		if c.want != "<nil>" {
			get(other, "/a.html").want(t, c.want, 500, "")
		}
	}
}

// FuzzPath holds that whatever is asked for, what is served lies in the directory.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/", "/in.html", "/../out.html", "//..//out.html", "/sub/..\\..\\out.html", "/sub", "/.hidden", "/\x00", "/%2e%2e/out.html", "*", ""} {
		f.Add(p, "")
		f.Add(p, "/sub")
	}
	f.Fuzz(func(t *testing.T, path, script string) {
		app := newTree(t, "in.html", "in", "sub/index.html", "in", ".hidden", "out")
		write(t, filepath.Join(filepath.Dir(app.Dir), "out.html"), false, "out")
		a := ask(app, "SCRIPT_NAME="+script, "PATH_INFO="+path, "QUERY_STRING="+script)
		switch {
		case a.Code == 200 && a.Body.String() != "in":
			t.Errorf("%q, %q: got %q", script, path, a.Body.String())
		case a.Code == 301 && (!strings.HasPrefix(a.Field("Location"), "./") || strings.HasPrefix(a.Field("Location"), ".//")):
			t.Errorf("%q, %q: redirected to %q", script, path, a.Field("Location"))
		case a.Code != 200 && a.Code != 301 && a.Code != 400 && a.Code != 403 && a.Code != 404:
			t.Errorf("%q, %q: %d, %v", script, path, a.Code, a.Err)
		}
	})
}
