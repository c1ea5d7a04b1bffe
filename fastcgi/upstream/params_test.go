package upstream

import (
	"context"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
	"gatehouse/internal/testkit/peer"
)

// sent returns the variables that an App sends.
func sent(t *testing.T, a *App, app cgi.App, r *cgi.Request) map[string]string {
	t.Helper()
	all := make(chan map[string]string, 1)
	p := peer.New(t, "unix", func(c *peer.Conn) {
		vars, _, err := c.Receive()
		if err == nil {
			all <- vars
			c.Respond("")
		}
	})
	a.Addresses = []string{address(p)}
	if app == nil {
		app = a
	}
	got, log := run(t, app, r)
	a.Close()
	wantOK(t, got, log, "")
	if got.Head.Code != http.StatusOK {
		return nil
	}
	return <-all
}

// TestVariables: which variables an application gets.
func TestVariables(t *testing.T) {
	for _, tt := range []struct {
		name string
		app  *App
		vars string // sent to the App, a variable a word
		want string // of what it sends on; a name alone has no value
	}{
		{"all", &App{}, "A=1 EMPTY= HTTP_X=y", "A=1 EMPTY= HTTP_X=y CONTENT_LENGTH"},
		{"proxies", &App{}, "HTTP_PROXY=http://evil/ Http_Proxy=x HTTP_REDIRECT_STATUS=200", "HTTP_PROXY Http_Proxy HTTP_REDIRECT_STATUS REDIRECT_STATUS"},
		{"env", &App{Env: []string{"A=2", "B=3"}}, "A=1", "A=2 B=3"},
		{"as sent", &App{}, "SCRIPT_NAME=/page.php SCRIPT_FILENAME=/srv/page.php", "SCRIPT_NAME=/page.php SCRIPT_FILENAME=/srv/page.php PATH_INFO"},
		{"mounted", &App{}, "SCRIPT_NAME=/x PATH_INFO=/y", "SCRIPT_NAME=/x PATH_INFO=/y"},
		{"translated", &App{Translate: map[string]string{"/srv": "/there", "/srv/www/": "/var/www"}},
			"SCRIPT_FILENAME=/srv/www/a.php DOCUMENT_ROOT=/srv/www PATH_TRANSLATED=/srv/wwwx/b HTTP_X=/srv/www", "SCRIPT_FILENAME=/var/www/a.php DOCUMENT_ROOT=/var/www PATH_TRANSLATED=/there/wwwx/b HTTP_X=/srv/www"},
		{"no server", &App{}, "SERVER_NAME= SERVER_PORT= HTTP_HOST=www.example.test:8080", "SERVER_NAME=www.example.test SERVER_PORT=8080"},
		{"an empty name", &App{}, "SERVER_NAME= SERVER_PORT=443 HTTP_HOST=www.example.test", "SERVER_NAME=www.example.test SERVER_PORT=443"},
		{"a server of its own", &App{Env: []string{"SERVER_NAME=mine"}}, "SERVER_NAME=", "SERVER_NAME=mine SERVER_PORT=80"},
		{"a length of nothing", &App{}, "CONTENT_LENGTH=", "CONTENT_LENGTH="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mux := new(cgi.Mux)
			if err := mux.Mount("/", tt.app); err != nil {
				t.Fatal(err)
			}
			vars := sent(t, tt.app, mux, newRequest("GET", nil, strings.Fields(tt.vars)...))
			for _, v := range strings.Fields(tt.want) {
				name, want, set := strings.Cut(v, "=")
				if got, ok := vars[name]; ok != set || got != want {
					t.Errorf("%s=%q (%v), want %s", name, got, ok, v)
				}
			}
		})
	}
}

// TestRequestID: REQUEST_ID is the id in the log, whatever the web server sent, but for a
// variable of the application's own. The trace passes unchanged.
func TestRequestID(t *testing.T) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r := newRequest("GET", nil, "REQUEST_ID=claimed", "HTTP_TRACEPARENT="+trace, "HTTP_TRACESTATE=a=b,c=d")
	vars := sent(t, new(App), nil, r)
	if id := r.RequestID(); id == "" || vars["REQUEST_ID"] != id || vars["HTTP_TRACEPARENT"] != trace || vars["HTTP_TRACESTATE"] != "a=b,c=d" {
		t.Errorf("id %q; sent %v", id, vars)
	}
	if vars := sent(t, &App{Env: []string{"REQUEST_ID=own"}}, nil, newRequest("GET", nil)); vars["REQUEST_ID"] != "own" {
		t.Errorf("sent %v; want one's own", vars)
	}
}

// TestWholePairs: no pair is split between two records of PARAMS, which php-fpm and libfcgi
// would not join.
func TestWholePairs(t *testing.T) {
	lengths := make(chan int, 100)
	p := peer.New(t, "unix", func(c *peer.Conn) {
		for {
			h, content, err := c.Records.Next()
			if err != nil {
				return
			}
			c.ID = h.ID()
			if h.Type() == record.Params {
				for rest := content; len(rest) > 0; {
					if _, _, rest, err = record.NextPair(rest); err != nil {
						t.Error(err)
					}
				}
				lengths <- h.ContentLength() + h.PaddingLength()
			}
			if h.Type() == record.Stdin && len(content) == 0 {
				c.Respond("")
			}
		}
	})
	var vars []string
	for i := range 40 {
		vars = append(vars, "V"+strings.Repeat("x", i+1)+"="+peer.Text(5000+i))
	}
	got, log := run(t, newApp(t, Limits{}, p), newRequest("GET", nil, vars...))
	wantOK(t, got, log, "")
	records := 0
	for len(lengths) > 0 {
		if records++; <-lengths > record.MaxContent {
			t.Error("a record is longer than 65535 bytes with its padding")
		}
	}
	if records < 4 {
		t.Errorf("%d records", records)
	}
}

// TestRoot: which file serves a path.
func TestRoot(t *testing.T) {
	dir := t.TempDir()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/index.php", "a/page.php", "a/admin/index.php", "a/up/pic.gif", "a/dir.php/x.txt", "b/page.php", "ax/page.php", "shared/lib/x.php", "shared-not/x.php", "one.php"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"current": "a", "a/out.php": "../ax/page.php", "a/in.php": "page.php", "a/loop.php": "loop.php",
		"followed": "shared", "a/shared": "../shared", "a/not": "../shared-not", "a/one.php": "../one.php"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	current := filepath.Join(dir, "current")
	for _, tt := range []struct{ index, path, want string }{
		{"", "/page.php", "/a/page.php /page.php "},
		{"", "/page.php/x/y", "/a/page.php /page.php /x/y"},
		{"", "/page.php/", "/a/page.php /page.php /"},
		{"", "/in.php", "/a/page.php /in.php "},
		{"", "/", "404"},
		{"", "/missing.php", "404"},
		{"", "/out.php", "403"},
		{"", "/up/pic.gif", "404"},
		{"", "/up/pic.gif/x.php", "404"},
		{"", "/dir.php/x.php", "404"},
		{"index.php", "/", "/a/index.php /index.php "},
		{"index.php", "/posts/7", "/a/index.php /index.php "},
		{"index.php", "/missing.php/x", "/a/index.php /index.php "},
		{"index.php", "/admin", "/a/admin/index.php /admin/index.php "},
		{"index.php", "/admin/", "/a/admin/index.php /admin/index.php "},
		{"index.php", "/up/", "/a/index.php /index.php "},
		{"index.php", "/up/pic.gif/x.php", "404"},
		{"index.php", "/up/pic.gif", "404"},
		{"index.php", "/out.php", "403"},
		{"index.php", "/loop.php", "404"},
		{"index.php", "/../ax/page.php", "404"},
		{"", "/shared/lib/x.php/y", "/shared/lib/x.php /shared/lib/x.php /y"},
		{"", "/not/x.php", "403"},
		{"", "/one.php", "/one.php /one.php "},
		{"index.php", "/shared/lib/", "/a/index.php /index.php "},
		{"index.php", "/" + strings.Repeat("long-", 60), "/a/index.php /index.php "},
		{"", "/" + strings.Repeat("long-", 60), "404"},
		{"admin/index.php", "/x", "/a/admin/index.php /admin/index.php "},
	} {
		a := &App{Addresses: []string{"unix:/none"}, Root: current, Index: tt.index,
			Follow: []string{filepath.Join(dir, "followed"), filepath.Join(dir, "one.php"), filepath.Join(dir, "missing")}}
		f, err := a.find(newRequest("GET", nil, "SCRIPT_NAME=", "PATH_INFO="+tt.path))
		got := strings.TrimPrefix(f.path, dir) + " " + f.scriptName + " " + f.pathInfo
		if err != nil {
			got = err.(*cgi.StatusError).Error()[:3]
		} else if f.root != filepath.Join(dir, "a") {
			t.Errorf("DOCUMENT_ROOT is %s", f.root)
		}
		if got != tt.want {
			t.Errorf("%s with index %q: %q, want %q", tt.path, tt.index, got, tt.want)
		}
	}

	a := &App{Root: current, Translate: map[string]string{dir: "/var/www"}}
	mux := new(cgi.Mux)
	if err := mux.Mount("/blog", a); err != nil {
		t.Fatal(err)
	}
	vars := sent(t, a, mux, newRequest("GET", nil, "SCRIPT_NAME=", "PATH_INFO=/blog/page.php/x", "SCRIPT_FILENAME=/etc/passwd", "DOCUMENT_ROOT=/etc"))
	want := map[string]string{"SCRIPT_FILENAME": "/var/www/a/page.php", "DOCUMENT_ROOT": "/var/www/a", "SCRIPT_NAME": "/blog/page.php",
		"PATH_INFO": "/x", "PATH_TRANSLATED": "/var/www/a/x", "REDIRECT_STATUS": "200"}
	maps.DeleteFunc(vars, func(name, _ string) bool { _, ok := want[name]; return !ok })
	if !maps.Equal(vars, want) {
		t.Errorf("sent were %q, want %q", vars, want)
	}

	// After the link is switched, the next request has the other release.
	if err := os.Remove(current); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b", current); err != nil {
		t.Fatal(err)
	}
	f, err := a.find(newRequest("GET", nil, "SCRIPT_NAME=", "PATH_INFO=/page.php"))
	if err != nil || f.path != filepath.Join(dir, "b/page.php") || f.root != filepath.Join(dir, "b") {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestRefusedPath: a file that could not be looked up for want of something is not missing.
func TestRefusedPath(t *testing.T) {
	for _, tt := range []struct {
		err   syscall.Errno
		code  int
		retry bool
	}{
		{syscall.ENOENT, 404, false},
		{syscall.EACCES, 403, false},
		{syscall.ENOMEM, 503, true},
		{syscall.ENFILE, 503, true},
	} {
		err := &fs.PathError{Op: "stat", Path: "/srv/www/x.php", Err: tt.err}
		got := refusedPath(statusOf(err), "/srv/www/x.php", err).(*cgi.StatusError)
		if got.Code != tt.code || got.RetryAfter > 0 != tt.retry || !strings.Contains(got.Error(), "/srv/www/x.php: "+tt.err.Error()) {
			t.Errorf("%v: %v, Retry-After %v", tt.err, got, got.RetryAfter)
		}
	}
}

// TestPrimaryScript: php-fpm says that it does not find a file, and the log says which, and
// what to do.
func TestPrimaryScript(t *testing.T) {
	p := peer.New(t, "unix", func(c *peer.Conn) {
		c.Receive()
		c.Send(c.Stderr("Primary script unknown"), c.Stdout("Status: 404 Not Found\r\n\r\nFile not found.\n"), c.End(0, 0))
	})
	a := newApp(t, Limits{}, p)
	a.Translate = map[string]string{"/srv": "/var"}
	var log testkit.Log
	a.Log = log.Logger()
	if got, _ := run(t, a, newRequest("GET", nil, "SCRIPT_FILENAME=/srv/www/x.php")); got.Head.Code != 404 {
		t.Errorf("status %d", got.Head.Code)
	}
	if !strings.Contains(log.String(), "file=/var/www/x.php") || !strings.Contains(log.String(), "translate") {
		t.Errorf("the log has\n%s", &log)
	}
}

// TestWrong: what is wrong with the fields is said at once, a line for each.
func TestWrong(t *testing.T) {
	for _, tt := range []struct {
		app  *App
		want string
	}{
		{&App{}, "no address"},
		{&App{Addresses: []string{"/run/x"}}, `for a unix socket write unix:/run/x`},
		{&App{Addresses: []string{"localhost:x"}}, `the port "x"`},
		{&App{Addresses: []string{"a:1"}, Root: "x"}, `root: "x" is not an absolute path`},
		{&App{Addresses: []string{"a:1"}, Index: "index.php"}, "index: it needs root"},
		{&App{Addresses: []string{"a:1"}, Follow: []string{"/srv"}}, "follow: it needs root"},
		{&App{Addresses: []string{"a:1"}, Root: "/srv", Follow: []string{"x"}}, `follow: "x" is not an absolute path`},
		{&App{Addresses: []string{"a:1"}, Root: "/srv", Index: "../index.php"}, "is not the name of a .php file below root"},
		{&App{Addresses: []string{"a:1"}, Translate: map[string]string{"a": "/b"}}, "translate: "},
		{&App{Addresses: []string{"a:1"}, Env: []string{"A"}}, "env: "},
	} {
		if err := tt.app.Prepare(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
		r := newRequest("GET", nil)
		r.SetContext(context.Background())
		if got, _ := run(t, tt.app, r); got.Head.Code != 500 {
			t.Errorf("status %d", got.Head.Code)
		}
	}
}
