package cgi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// A pathCase is what a web server sends of a path, and what it means. SN, PI, DU and RU are
// SCRIPT_NAME, PATH_INFO, DOCUMENT_URI and REQUEST_URI.
type pathCase struct {
	name   string
	sent   string // the variables, separated by two blanks
	policy PathPolicy
	path   string // FullPath
	mount  string // cgi.ScriptName
	url    string // URL.EscapedPath, if it is not path as url.URL writes it
}

func (c *pathCase) env() *Environ {
	env := NewEnviron("REQUEST_METHOD=GET")
	names := map[string]string{"SN": "SCRIPT_NAME", "PI": "PATH_INFO", "DU": "DOCUMENT_URI", "RU": "REQUEST_URI"}
	for _, v := range strings.Split(c.sent, "  ") {
		if short, value, ok := strings.Cut(v, "="); ok {
			env.Set(names[short], value)
		}
	}
	return env
}

var pathCases = []pathCase{
	// What the web servers of the captures send.
	{name: "nginx FastCGI: SN is the whole path", sent: "SN=/app/run.fcgi/tail  DU=/app/run.fcgi/tail  RU=/app/run.fcgi/tail?a=1", path: "/app/run.fcgi/tail"},
	{name: "nginx cleans and decodes", sent: "SN=/app/a/b c/x+y  DU=/app/a/b c/x+y  RU=/app/a%2Fb%20c/%C3%A9/../x%2By", path: "/app/a/b c/x+y", url: "/app/a%2Fb%20c/x%2By"},
	{name: "nginx SCGI: no SN", sent: "DU=/app/a b  RU=/app/a%20b?x", path: "/app/a b"},
	{name: "nginx uwsgi: PI is the whole path", sent: "PI=/app/a b  RU=/app/a%20b?x", path: "/app/a b"},
	{name: "nginx with fastcgi_split_path_info", sent: "SN=/app/run.fcgi  PI=/tail  DU=/app/run.fcgi/tail  RU=/app/run.fcgi/tail", path: "/app/run.fcgi/tail", mount: "/app/run.fcgi"},
	{name: "nginx with a split that did not match", sent: "SN=/app/plain  PI=  DU=/app/plain  RU=/app/plain?a", path: "/app/plain", mount: "/app/plain"},
	{name: "Apache ProxyPass", sent: "SN=/app/a b  RU=/app/a%20b?q", path: "/app/a b"},
	{name: "Apache SetHandler", sent: "SN=/app/run.fcgi  PI=/tail  RU=/app/run.fcgi/tail", path: "/app/run.fcgi/tail", mount: "/app/run.fcgi"},
	{name: "Apache CGI without PI", sent: "SN=/cgi-bin/x  RU=/cgi-bin/x", path: "/cgi-bin/x"},
	{name: "HAProxy decodes and cleans nothing", sent: "SN=/app/a/b c/é/../x+y  RU=/app/a%2Fb%20c/%C3%A9/../x%2By", path: "/app/a/b c/é/../x+y", url: "/app/a%2Fb%20c/%C3%A9/../x%2By"},
	{name: "Caddy: DU leaves PI out", sent: "SN=/app/run.php  PI=/tail  DU=/app/run.php  RU=/app/run.php/tail", path: "/app/run.php/tail", mount: "/app/run.php"},
	{name: "Caddy without PI", sent: "SN=/app/run.php  PI=  DU=/app/run.php  RU=/app/run.php", path: "/app/run.php", mount: "/app/run.php"},

	// SN set by hand.
	{name: "Fossil's manual: scgi_param SCRIPT_NAME", sent: "SN=/code  DU=/code/x/y  RU=/code/x/y", path: "/code/x/y", mount: "/code"},
	{name: "the same, encoded", sent: "SN=/code  DU=/code/a b/y  RU=/code//a%20b/./y?q", path: "/code/a b/y", mount: "/code", url: "/code/a%20b/y"},
	{name: "the same, with a slash at the end of SN", sent: "SN=/code/  DU=/code/x  RU=/code/x", path: "/code/x", mount: "/code"},
	{name: "the same, with an empty PI", sent: "SN=/code  PI=  DU=/code/x  RU=/code/x", path: "/code/x", mount: "/code"},
	{name: "the same, at the mount itself", sent: "SN=/code  DU=/code  RU=/code", path: "/code"},
	{name: "the same, after a rewrite", sent: "SN=/code  DU=/code/x/y  RU=/old/x/y", path: "/code/x/y", mount: "/code"},
	{name: "no segment boundary", sent: "SN=/code  DU=/codes/x  RU=/codes/x", path: "/code"},
	{name: "SN / for the root", sent: "SN=/  DU=/x/y  RU=/x/y", path: "/x/y"},
	{name: "an empty SN for the root", sent: "SN=  DU=/x/y  RU=/x/y", path: "/x/y"},
	{name: "SN / and PI: never //x", sent: "SN=/  PI=/x  RU=/x", path: "/x"},
	{name: "the same with DU", sent: "SN=/  PI=/x  DU=/x  RU=/x?q", path: "/x"},
	{name: "the same, rewritten", sent: "SN=/  PI=/x  RU=/other", path: "/x"},
	{name: "the same without RU", sent: "SN=/  PI=/x", path: "/x"},
	{name: "the same, kept", sent: "SN=/  PI=/x  RU=/x", policy: PathKeep, path: "/x"},
	{name: "SN / and PI /", sent: "SN=/  PI=/  RU=/", path: "/"},
	{name: "SN / and an empty PI", sent: "SN=/  PI=  RU=/", path: "/"},
	{name: "SN / alone", sent: "SN=/  RU=/", path: "/"},
	{name: "a slash at the end of SN", sent: "SN=/app/  PI=/x  RU=/app/x", path: "/app/x", mount: "/app"},
	{name: "a slash at the end of SN, and none in PI", sent: "SN=/app/  PI=x  RU=/app/x", path: "/app/x", mount: "/app"},
	{name: "no slash in SN", sent: "SN=cgi-bin/a  PI=/x  RU=/cgi-bin/a/x", path: "/cgi-bin/a/x", mount: "/cgi-bin/a"},

	// PI set by hand.
	{name: "PATH_INFO $uri", sent: "SN=/repos  PI=/repos/x  RU=/repos/x", path: "/repos/x", mount: "/repos"},
	{name: "the same, encoded", sent: "SN=/repos  PI=/repos/a b  DU=/repos/a b  RU=/repos/./a%20b", path: "/repos/a b", mount: "/repos"},
	{name: "the same, after a rewrite", sent: "SN=/repos  PI=/repos/x  DU=/repos/x  RU=/old/x", path: "/repos/x", mount: "/repos"},
	{name: "PI does begin with SN", sent: "SN=/repos  PI=/repos/x  DU=/repos/repos/x  RU=/repos/repos/x", path: "/repos/repos/x", mount: "/repos"},
	{name: "no segment boundary in PI", sent: "SN=/rep  PI=/repos/x  RU=/repos/x", path: "/rep/repos/x", mount: "/rep"},
	{name: "PI still encoded", sent: "SN=  PI=/a%20b  RU=/a%20b", path: "/a b"},
	{name: "PI still encoded, with a query", sent: "SN=  PI=/a%20b%2Fc  RU=/a%20b%2Fc?x=%20", path: "/a b/c", url: "/a%20b%2Fc"},
	{name: "SN and PI still encoded", sent: "SN=/%61  PI=/a%20b  RU=/%61/a%20b", path: "/a/a b", mount: "/a", url: "/%61/a%20b"},
	{name: "decoded once, not twice", sent: "SN=/a%20b  RU=/a%2520b", path: "/a%20b", url: "/a%2520b"},
	{name: "an invalid escape", sent: "SN=/a%zz  RU=/a%zz", path: "/a%zz", url: "/a%25zz"},
	{name: "PI without a slash", sent: "PI=x/y  RU=/s/x/y  SN=/s", path: "/s/x/y", mount: "/s"},
	{name: "PI without a slash, rewritten", sent: "PI=x/y  RU=/nice  SN=/s", path: "/s/x/y", mount: "/s"},
	{name: "PI without a slash, and no SN", sent: "PI=x/y  RU=/x/y", path: "/x/y"},
	{name: "PI without a slash, SN the whole path", sent: "SN=/s/x  PI=x  DU=/s/x  RU=/s/x", path: "/s/x"},
	{name: "SN = PI", sent: "SN=/a  PI=/a  RU=/a", path: "/a"},
	{name: "SN, PI and DU alike", sent: "SN=/dj/y  PI=/dj/y  DU=/dj/y  RU=/dj/x/../y", path: "/dj/y"},
	{name: "the same, rewritten", sent: "SN=/dj/y  PI=/dj/y  DU=/dj/y  RU=/other", path: "/dj/y"},

	// Encoded slashes: Apache, AllowEncodedSlashes NoDecode, keeps them and decodes the rest.
	{name: "%2F", sent: "SN=/x/a%2Fb  RU=/x/a%2Fb", path: "/x/a%2Fb", url: "/x/a%2Fb"},
	{name: "%2f and %20", sent: "SN=/x/a%2fb c  RU=/x/a%2fb%20c?q", path: "/x/a%2fb c", url: "/x/a%2fb%20c"},
	{name: "%2F and what is cleaned", sent: "SN=/x/a%2Fb c/z  RU=//x/y/../a%2Fb%20c/z", path: "/x/a%2Fb c/z", url: "/x/a%2Fb%20c/z"},
	{name: "%2F in PI", sent: "SN=/x  PI=/a%2Fb c  RU=/x/a%2Fb%20c", path: "/x/a%2Fb c", mount: "/x", url: "/x/a%2Fb%20c"},
	{name: "%2F in SN", sent: "SN=/x%2Fy  PI=/c d  RU=/x%2Fy/c%20d", path: "/x%2Fy/c d", mount: "/x/y", url: "/x%2Fy/c%20d"},
	{name: "%252F", sent: "SN=/x/a%2Fb  RU=/x/a%252Fb", path: "/x/a%2Fb", url: "/x/a%252Fb"},
	{name: "%2F and %252F", sent: "SN=/x/a%2Fb%2Fc  RU=/x/a%2Fb%252Fc", path: "/x/a%2Fb%2Fc", url: "/x/a%2Fb%252Fc"},
	{name: "%2F that nginx decodes", sent: "SN=/x/a/b  DU=/x/a/b  RU=/x/a%2Fb", path: "/x/a/b", url: "/x/a%2Fb"},

	// Rewritten: nothing equals RU.
	{name: "Caddy with a stripped prefix", sent: "SN=/app.php  DU=/app.php  PI=/x  RU=/foo/app.php/x", path: "/app.php/x", mount: "/app.php"},
	{name: "Apache Action", sent: "SN=/cgi-bin/h  PI=/page.x  RU=/page.x", path: "/cgi-bin/h/page.x", mount: "/cgi-bin/h"},
	{name: "nginx rewrite ^(.*)$ /gitweb.cgi$1", sent: "SN=/gitweb.cgi  PI=/proj/x  RU=/proj/x", path: "/gitweb.cgi/proj/x", mount: "/gitweb.cgi"},
	{name: "the same with DU", sent: "SN=/gitweb.cgi  PI=/proj/x  DU=/gitweb.cgi/proj/x  RU=/proj/x", path: "/gitweb.cgi/proj/x", mount: "/gitweb.cgi"},
	{name: "lighttpd url.rewrite", sent: "SN=/hid.cgi  PI=/hid/x  RU=/hid/x", path: "/hid.cgi/hid/x", mount: "/hid.cgi"},
	{name: "the git recipe", sent: "SN=/git/a/x  PI=/a/x  DU=/git/a/x  RU=/git/a/x?service=git-upload-pack", path: "/git/a/x"},
	{name: "the git recipe after a rewrite", sent: "SN=/git/a/x  DU=/git/a/x  PI=/a/x  RU=/repo/a/x", path: "/git/a/x"},
	{name: "the git recipe without RU", sent: "SN=/git/a/x  DU=/git/a/x  PI=/a/x", path: "/git/a/x"},
	{name: "an alias", sent: "SN=/real  PI=/x  RU=/nice/x", path: "/real/x", mount: "/real"},
	{name: "a front controller", sent: "SN=/app.fcgi  DU=/app.fcgi  RU=/blog?p=1", path: "/app.fcgi"},
	{name: "only PI tells", sent: "PI=/x  RU=/a/x", path: "/x"},
	{name: "SN is RU by chance", sent: "SN=/a  PI=/b  RU=/a", path: "/a"},

	// The forms of a request-target.
	{name: "only RU", sent: "RU=/a%2fb%zz%4?x#y", path: "/a/b%zz%4", url: "/a/b%25zz%254"},
	{name: "absolute form", sent: "SN=/code  DU=/code/x  RU=http://h:80/code/x?x", path: "/code/x", mount: "/code"},
	{name: "absolute form without a path", sent: "RU=http://h?x=/y", path: "/"},
	{name: "asterisk form", sent: "RU=*", path: "*"},
	{name: "asterisk form in PI", sent: "SN=  PI=*  RU=*", path: "*"},
	{name: "no slash", sent: "RU=a/b", path: "/a/b"},
	{name: "nothing", path: ""},
	{name: "all empty", sent: "SN=  PI=  DU=  RU=", path: ""},

	// The policies.
	{name: "IIS", sent: "SN=/app/x  PI=/app/x/y  RU=/app/x", policy: PathIIS, path: "/app/x/y", mount: "/app/x"},
	{name: "IIS, no segment boundary", sent: "SN=/app  PI=/application", policy: PathIIS, path: "/app/application", mount: "/app"},
	{name: "nginx does not look at RU", sent: "SN=/a  PI=/b  RU=/a", policy: PathNginx, path: "/a/b", mount: "/a"},
	{name: "nginx looks at DU", sent: "SN=/git/a  PI=/other  DU=/git/a  RU=/x", policy: PathNginx, path: "/git/a"},
	{name: "Apache does not look at DU", sent: "SN=/a  PI=/b  DU=/a", policy: PathApache, path: "/a/b", mount: "/a"},
	{name: "Apache looks at RU", sent: "SN=/a  PI=/b  RU=/a", policy: PathApache, path: "/a"},
	{name: "keep", sent: "SN=/a  PI=/b  RU=/a  DU=/a", policy: PathKeep, path: "/a/b", mount: "/a"},
	{name: "request: a front controller", sent: "SN=/app.fcgi  RU=/blog?p=1", policy: PathRequest, path: "/blog"},
	{name: "request: a mount point", sent: "SN=/app.fcgi  PI=/x  RU=/app.fcgi/x", policy: PathRequest, path: "/app.fcgi/x", mount: "/app.fcgi"},
	{name: "request: a mount point alone", sent: "SN=/code  DU=/code/x  RU=/code/x", policy: PathRequest, path: "/code/x", mount: "/code"},
	{name: "request: no mount point", sent: "SN=/code  DU=/code  RU=/code", policy: PathRequest, path: "/code"},
	{name: "request: not cleaned", sent: "SN=/y  DU=/y  RU=/x/../y", policy: PathRequest, path: "/x/../y"},
	{name: "request: encoded", sent: "SN=/a/b  RU=/a%2Fb", policy: PathRequest, path: "/a/b", url: "/a%2Fb"},
	{name: "request without RU", sent: "SN=/a  PI=/b  DU=/a", policy: PathRequest, path: "/a/b", mount: "/a"},
}

// TestPaths is the table of the section "Paths" in the package documentation.
func TestPaths(t *testing.T) {
	for _, c := range pathCases {
		t.Run(c.name, func(t *testing.T) {
			if got := (&Request{Env: c.env(), Paths: c.policy}).FullPath(); got != c.path {
				t.Fatalf("FullPath is %q, want %q", got, c.path)
			}
			want := c.url
			if want == "" {
				want = (&url.URL{Path: c.path}).EscapedPath()
			}
			if want == "" {
				want = "/"
			}
			decoded, err := url.PathUnescape(want)
			if err != nil {
				t.Fatal(err)
			}
			for _, mounted := range []bool{false, true} {
				var app App = FromHTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if r.URL.Path != decoded || r.URL.EscapedPath() != want {
						t.Errorf("URL.Path is %q and EscapedPath %q; want %q, %q", r.URL.Path, r.URL.EscapedPath(), decoded, want)
					}
					if got := ScriptName(r); got != c.mount {
						t.Errorf("mounted %v: ScriptName is %q, want %q", mounted, got, c.mount)
					}
				}))
				if mounted {
					m := new(Mux)
					if err := m.Mount("/", app); err != nil {
						t.Fatal(err)
					}
					app = m
				}
				if res := serveWith(t, new(Handler), &Request{Env: c.env(), Paths: c.policy}, app).result; res.Code != 200 {
					t.Errorf("mounted %v: %d, %v", mounted, res.Code, res.Err)
				}
			}
		})
	}
}

// TestPathsBelowRoot: an application at "/" finds the path in SCRIPT_NAME and PATH_INFO, with
// the mount point that the web server told.
func TestPathsBelowRoot(t *testing.T) {
	for _, c := range []struct{ sent, script, info string }{
		{"SN=/code  DU=/code/x/y  RU=/code/x/y", "/code", "/x/y"},
		{"SN=/  PI=/x  RU=/x", "", "/x"},
		{"SN=/repos  PI=/repos/x  RU=/repos/x", "/repos", "/x"},
		{"SN=  PI=/a%20b  RU=/a%20b", "", "/a b"},
		{"SN=/s  PI=x/y  RU=/s/x/y", "/s", "/x/y"},
		{"SN=/dj/y  PI=/dj/y  DU=/dj/y  RU=/dj/y", "", "/dj/y"},
		{"SN=/app/  PI=/x  RU=/app/x", "/app", "/x"},
		// As it was sent.
		{"SN=/app.php  PI=/x  DU=/app.php  RU=/foo/app.php/x", "/app.php", "/x"},
		{"SN=/git/a  PI=/a  DU=/git/a  RU=/git/a", "/git/a", "/a"},
		{"SN=/x  DU=/x  RU=/x", "", "/x"},
	} {
		m := new(Mux)
		err := m.Mount("/", AppFunc(func(_ ResponseWriter, r *Request) error {
			if script, info := r.Env.Get("SCRIPT_NAME"), r.Env.Get("PATH_INFO"); script != c.script || info != c.info {
				t.Errorf("%s: SCRIPT_NAME %q PATH_INFO %q; want %q, %q", c.sent, script, info, c.script, c.info)
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.ServeCGI(nil, &Request{Env: (&pathCase{sent: c.sent}).env()}); err != nil {
			t.Errorf("%s: %v", c.sent, err)
		}
	}
}

// TestEncodedSlashIsForwardedOnce: whatever a web server makes of "%2F", a reverse proxy
// forwards what the client sent.
func TestEncodedSlashIsForwardedOnce(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) }))
	defer backend.Close()
	to, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	for _, sent := range []string{
		"SN=/x/a%2Fb  RU=/x/a%2Fb",              // Apache, NoDecode
		"SN=/x/a/b  DU=/x/a/b  RU=/x/a%2Fb",     // nginx
		"SN=/x  PI=/a%2Fb  RU=/x/a%2Fb",         // Apache, SetHandler
		"SN=/x  DU=/x/a/b  RU=//x/./a%2Fb",      // Fossil's way
		"SN=  PI=/x/a%2Fb  RU=http://h/x/a%2Fb", // as sent
	} {
		r := serveWith(t, new(Handler), &Request{Env: (&pathCase{sent: sent}).env()}, FromHTTP(proxy))
		if _, got, _ := strings.Cut(r.sink.String(), "\r\n\r\n"); got != "/x/a%2Fb" {
			t.Errorf("%s: forwarded as %q (%v)", sent, got, r.result.Err)
		}
	}
}

// TestHiddenDotDot: a ".." segment that shows only once "%2F" is decoded is refused, unless
// the web server has resolved it.
func TestHiddenDotDot(t *testing.T) {
	for sent, code := range map[string]int{
		"SN=/x/..%2Fy  RU=/x/..%2Fy":              400, // Apache, NoDecode
		"SN=/x/..%2fy  RU=/z/../x/..%2fy":         400,
		"SN=/x  PI=/a%2F..%2Fy  RU=/x/a%2F..%2Fy": 400,
		"SN=/x/a/../y  RU=/x/a%2F../y":            400, // HAProxy
		"SN=/x/a/../y  RU=/x/a%2F%2e%2E%2fy":      400,
		"SN=/x  PI=/../y  RU=/x%2F../y":           400,
		"RU=/x/..%2Fy":                            400,
		"SN=/y  DU=/y  RU=/x/..%2Fy":              200, // nginx
		"SN=/x/../y  RU=/x/../y":                  200,
		"SN=/x/../y  RU=/x/%2e%2e/y":              200,
		"SN=/x/..%2Fy  RU=/x/..%252Fy":            200,
		"SN=/x/a..%2Fy  RU=/x/a..%2Fy":            200,
		"SN=/x/a%2Fb/../y  RU=/x/a%2Fb/../y":      200,
		"SN=/x/...%2Fy  RU=/x/...%2Fy?/..%2F":     200,
	} {
		for _, policy := range []PathPolicy{PathAuto, PathApache, PathKeep, PathRequest} {
			want := code
			if policy == PathRequest && strings.Contains(sent, "RU=/x/..%2Fy") {
				want = 400 // REQUEST_URI is the path
			}
			c := pathCase{sent: sent}
			r := serveWith(t, new(Handler), &Request{Env: c.env(), Paths: policy}, AppFunc(func(w ResponseWriter, r *Request) error {
				return w.StartResponse("200 OK", nil)
			}))
			if r.result.Code != want {
				t.Errorf("%s, %v: %d, %v; want %d", sent, policy, r.result.Code, r.result.Err, want)
			}
		}
	}
}

// TestPathInfoWithoutSlash: one line tells of it, however many requests have it.
func TestPathInfoWithoutSlash(t *testing.T) {
	h := new(Handler)
	app := answer("200 OK", nil, "")
	for i, want := range []string{"PATH_INFO \\\"x/y\\\" does not begin with a slash", ""} {
		log := serveWith(t, h, &Request{Env: (&pathCase{sent: "PI=x/y  RU=/s/x/y  SN=/s"}).env()}, app).log.String()
		if lines := strings.Count(log, "\n"); lines != 1-i || !strings.Contains(log, want) {
			t.Errorf("request %d: the log is %q, want %q", i+1, log, want)
		}
	}
	for _, sent := range []string{"SN=/s  PI=/x  RU=/s/x", "SN=/s  PI=  RU=/s", "SN=  PI=*  RU=*"} {
		if log := serveWith(t, new(Handler), &Request{Env: (&pathCase{sent: sent}).env()}, app).log; log.Len() > 0 {
			t.Errorf("%s: the log is %q", sent, log)
		}
	}
}

func TestRawQuery(t *testing.T) {
	for _, c := range []struct {
		vars                   []string
		auto, request, spelled string
	}{
		{[]string{"REQUEST_URI=/x?a=b"}, "a=b", "a=b", "b"},
		{[]string{"REQUEST_URI=/x?a=b", "QUERY_STRING="}, "", "a=b", ""},
		{[]string{"REQUEST_URI=/x?a=b", "QUERY_STRING=a=c"}, "a=c", "a=b", "c"},
		{[]string{"REQUEST_URI=/x", "QUERY_STRING=a=c"}, "a=c", "", "c"},
		{[]string{"SCRIPT_NAME=/x", "QUERY_STRING=a=c"}, "a=c", "a=c", "c"},
		{[]string{"REQUEST_URI=/x?a=b?c#d?e"}, "a=b?c", "a=b?c", "b?c"},
		{[]string{"REQUEST_URI=/x#?a"}, "", "", ""},
		{nil, "", "", ""},
	} {
		for policy, want := range map[PathPolicy]string{PathAuto: c.auto, PathRequest: c.request} {
			r := &Request{Env: NewEnviron(append(c.vars, "REQUEST_METHOD=GET")...), Paths: policy}
			if got := r.RawQuery(); got != want {
				t.Errorf("%q, %v: %q, want %q", c.vars, policy, got, want)
			}
			serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery != want {
					t.Errorf("%q, %v: URL.RawQuery is %q, want %q", c.vars, policy, r.URL.RawQuery, want)
				}
				if got := r.FormValue("a"); policy == PathAuto && got != c.spelled {
					t.Errorf("%q: FormValue is %q, want %q", c.vars, got, c.spelled)
				}
			})))
		}
	}
}

// FuzzPaths: whatever is sent, the path begins with a slash and with the mount point, and it
// is REQUEST_URI decoded if what was sent equals that.
func FuzzPaths(f *testing.F) {
	for _, c := range pathCases {
		env := c.env()
		f.Add(env.Get("SCRIPT_NAME"), env.Get("PATH_INFO"), env.Get("DOCUMENT_URI"), env.Get("REQUEST_URI"), uint8(c.policy), uint8(3))
	}
	f.Fuzz(func(t *testing.T, script, info, document, target string, policy, sent uint8) {
		env := NewEnviron("REQUEST_METHOD=GET")
		for i, v := range [][2]string{{"SCRIPT_NAME", script}, {"PATH_INFO", info}, {"DOCUMENT_URI", document}, {"REQUEST_URI", target}} {
			if v[1] != "" || sent>>i&1 != 0 {
				env.Set(v[0], v[1])
			}
		}
		p := PathPolicy(policy % uint8(len(policyNames)))
		r := &Request{Env: env, Paths: p}
		got := r.settlePath()
		switch {
		case got.path == "":
			if script+info+document+rawPath(target) != "" && (p == PathKeep || p == PathAuto) {
				t.Errorf("no path of %q", env.Strings())
			}
		case got.path[0] != '/' && got.path != "*":
			t.Errorf("%q does not begin with a slash", got.path)
		}
		if !hasPrefix(got.path, got.mount) || !got.told && got.mount != "" {
			t.Errorf("%q is mounted at %q, told: %v", got.path, got.mount, got.told)
		}
		if raw := rooted(rawPath(target)); p == PathAuto && raw != "" {
			whole := rooted(strings.TrimRight(script, "/"))
			if info != "" {
				whole += rooted(info)
			}
			decoded := newWitness(raw).decoded
			for _, reading := range []string{rooted(script), whole} {
				if reading != "" && reading == decoded && reading != raw && cleanPath(got.path) != cleanPath(decoded) {
					t.Errorf("%q is read as %q, though %q is %q", env.Strings(), got.path, reading, raw)
				}
			}
		}
		advice, err := r.InspectPath()
		if err == nil && hidesDotDot(rawPath(target)) && hasDotDot(got.path) {
			t.Errorf("%q is let through", env.Strings())
		}
		if (advice != "") != (info != "" && info[0] != '/' && info != "*") && err == nil {
			t.Errorf("advice %q for PATH_INFO %q", advice, info)
		}
		m := new(Mux)
		m.Mount("/", AppFunc(func(_ ResponseWriter, r *Request) error {
			if after := r.FullPath(); after != got.path {
				t.Errorf("the path was %q, and is %q behind a Mux", got.path, after)
			}
			return nil
		}))
		if err := m.ServeCGI(nil, r); err != nil {
			t.Error(err)
		}
	})
}
