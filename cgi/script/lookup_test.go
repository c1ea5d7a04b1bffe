//go:build linux

package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
)

const tell = head + `echo "$0 $SCRIPT_FILENAME|$SCRIPT_NAME|${PATH_INFO-unset}|${PATH_TRANSLATED-unset}"`

func TestWalk(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "a.cgi", tell)
	f.sh(t, "sub/b.cgi", tell)
	f.write(t, "plain.txt", "text", 0o644)
	second := t.TempDir()
	f.Roots = append(f.Roots, second)
	for name, mode := range map[string]os.FileMode{"c.cgi": 0o755, "plain.txt": 0o755} {
		if err := os.WriteFile(filepath.Join(second, name), []byte("#!/bin/sh\n"+tell), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		prefix, info string
		file         string // below the root, or an error if code is not 200
		name, rest   string
		code         int
	}{
		{"", "/a.cgi", "a.cgi", "/a.cgi", "unset", 200},
		{"", "/a.cgi/", "a.cgi", "/a.cgi", "/", 200},
		{"/cgi-bin", "/a.cgi/x//y/../z", "a.cgi", "/cgi-bin/a.cgi", "/x//y/../z", 200},
		{"", "/sub/b.cgi/x", "sub/b.cgi", "/sub/b.cgi", "/x", 200},
		{"", "//sub/./b.cgi/x", "sub/b.cgi", "//sub/./b.cgi", "/x", 200},
		{"", "/c.cgi/x", "c.cgi", "/c.cgi", "/x", 200},
		{"", "/plain.txt", "plain.txt", "/plain.txt", "unset", 200}, // executable in the second root
		{"", "/missing", "missing: no such file", "", "", 404},
		{"", "/sub/missing/x", "sub/missing: no such file", "", "", 404},
		{"", "/sub", "sub: is a directory", "", "", 403},
		{"", "/sub/", "sub: is a directory", "", "", 403},
		{"", "/", ": is a directory", "", "", 403},
		{"", "/../a.cgi", `".." segment`, "", "", 403},
		{"", "/sub/../a.cgi", `".." segment`, "", "", 403},
		{"", "/" + strings.Repeat("x", 300), "no such file", "", "", 404},
		{"", "/a.cgi\x00", "NUL", "", "", 400},
	} {
		r := request(c.info)
		s := new(recorder)
		h := cgi.Handler{Log: f.Log}
		var m cgi.Mux
		if err := m.Mount("/", f.App); err != nil {
			t.Fatal(err)
		}
		// As a Mux leaves it: the path was sent in SCRIPT_NAME alone, and is split.
		r.Env.Set("SCRIPT_NAME", c.prefix+c.info)
		r.Env.Del("PATH_INFO")
		if c.prefix != "" {
			m = cgi.Mux{}
			if err := m.Mount(c.prefix, f.App); err != nil {
				t.Fatal(err)
			}
		}
		res := h.Run(r, s, &m)
		if c.code != 200 {
			if res.Code != c.code || !strings.Contains(res.Err.Error(), c.file) {
				t.Errorf("%q: %d, %v; want %d, %q", c.info, res.Code, res.Err, c.code, c.file)
			}
			continue
		}
		root := f.dir
		if c.file == "c.cgi" || c.file == "plain.txt" {
			root = second
		}
		file := filepath.Join(root, c.file)
		if want := file + " " + file + "|" + c.name + "|" + c.rest + "|unset\n"; res.Err != nil || s.Body.String() != want {
			t.Errorf("%q: %q, %v; want %q", c.info, s.Body.String(), res.Err, want)
		}
	}
	// Alone, the file without the x bit is what is told.
	f.Roots = f.Roots[:1]
	_, res := f.serve(request("/plain.txt"))
	checkRefused(t, res, 403, f.dir+"/plain.txt", "not executable")
}

func TestMounted(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "a.cgi", tell)
	file := f.dir + "/a.cgi"
	var m cgi.Mux
	if err := m.Mount("/cgi-bin/", f.App); err != nil {
		t.Fatal(err)
	}
	h := cgi.Handler{Log: f.Log}
	// lighttpd sends the mount point in SCRIPT_NAME, so that the Mux changes nothing.
	for _, r := range []*cgi.Request{
		request("/a.cgi/x", "SCRIPT_NAME=/cgi-bin"),
		request("/x", "SCRIPT_NAME=/cgi-bin/a.cgi"),
	} {
		s := new(recorder)
		res := h.Run(r, s, &m)
		checkOK(t, s, res, file+" "+file+"|/cgi-bin/a.cgi|/x|unset\n")
	}
	checkRefused(t, h.Run(request("/a.cgi", "SCRIPT_NAME=/cgi-binx"), new(recorder), &m), 404, "/cgi-bin")
}

// TestProgramAsRoot: a root that is a program answers for every path.
func TestProgramAsRoot(t *testing.T) {
	f := newFixture(t)
	file := f.sh(t, "a.cgi", tell)
	f.sh(t, "b.cgi", tell)
	f.Roots = []string{file}
	var m cgi.Mux
	if err := m.Mount("/git", f.App); err != nil {
		t.Fatal(err)
	}
	h := cgi.Handler{Log: f.Log}
	for path, rest := range map[string]string{"/git/x/../y": "/x/../y", "/git": "unset", "/git/": "/"} {
		r := request("", "SCRIPT_NAME="+path)
		r.Env.Del("PATH_INFO")
		s := new(recorder)
		res := h.Run(r, s, &m)
		checkOK(t, s, res, file+" "+file+"|/git|"+rest+"|unset\n")
	}
	s, res := f.serve(request("/p", "SCRIPT_FILENAME="+file, "SCRIPT_NAME=/s"))
	checkOK(t, s, res, file+" "+file+"|/s|/p|unset\n")
	_, res = f.serve(request("/p", "SCRIPT_FILENAME="+f.dir+"/b.cgi"))
	checkRefused(t, res, 403, "b.cgi", "outside")
}

func TestScriptFilename(t *testing.T) {
	f := newFixture(t)
	file := f.sh(t, "a.cgi", tell)
	f.write(t, "plain.txt", "text", 0o644)
	outside := newFixture(t)
	other := outside.sh(t, "other.cgi", tell)
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(f.dir, alias); err != nil {
		t.Fatal(err)
	}
	asSent := "|/git|/repo.git/HEAD|/srv/repo.git/HEAD\n"
	for _, c := range []struct {
		name string
		want string // body, or an error if code is not 200
		code int
	}{
		{file, file + " " + file + asSent, 200},
		{f.dir + "//sub/../a.cgi", file + " " + file + asSent, 200},
		{alias + "/a.cgi", alias + "/a.cgi " + alias + "/a.cgi" + asSent, 200},
		{other, other + ": lies outside", 403},
		{"/etc/passwd", "/etc/passwd: lies outside", 403},
		{f.dir + "/../" + filepath.Base(f.dir) + "x/../../../../../../etc/passwd", "/etc/passwd", 403},
		{f.dir + "/plain.txt", "not executable", 403},
		// These leave it to the walk, which finds nothing at /git. The error is about what was
		// sent, unless that names a directory or is Apache's.
		{f.dir + "/missing", "SCRIPT_FILENAME " + f.dir + "/missing: no such file: the path /git/repo.git/HEAD leads to no program in " + f.dir + " either", 404},
		{f.dir + "//a/b/missing", "SCRIPT_FILENAME " + f.dir + "//a/b/missing: no such file: " + f.dir + " has no directory a; the path", 404},
		{f.dir, f.dir + "/git: no such file", 404},
		{outside.dir, f.dir + "/git: no such file", 404},
		{file + "/repo.git/HEAD", file + " " + file + asSent, 200}, // with PATH_INFO behind it, which was sent, too
		{file + "?service=x", "SCRIPT_FILENAME " + file + "?service=x: no such file", 404},
		{"proxy:fcgi://127.0.0.1:9000" + file, file + " " + file + asSent, 200},
		{"proxy:fcgi://localhost/" + file, file + " " + file + asSent, 200},
		{"proxy:balancer://name" + file, file + " " + file + asSent, 200},
		{"proxy:unix:/run/s|fcgi://localhost" + file, file + " " + file + asSent, 200},
		{"proxy:fcgi://localhost" + other, f.dir + "/git: no such file", 404},
		{"proxy:fcgi://localhost" + f.dir + "/plain.txt", "not executable", 403},
		{"proxy:fcgi://localhost", f.dir + "/git: no such file", 404},
		{"proxy:unix:/run/s", f.dir + "/git: no such file", 404},
		{"a.cgi", "SCRIPT_FILENAME a.cgi: is no absolute path: fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; the path /git", 404},
		{"", f.dir + "/git: no such file", 404},
	} {
		r := request("/repo.git/HEAD", "SCRIPT_NAME=/git", "SCRIPT_FILENAME="+c.name, "PATH_TRANSLATED=/srv/repo.git/HEAD")
		// Whatever a Mux makes of the path, it is told as it was sent.
		var m cgi.Mux
		if err := m.Mount("/", f.App); err != nil {
			t.Fatal(err)
		}
		s := new(recorder)
		res := new(cgi.Handler).Run(r, s, &m)
		if c.code == 200 {
			checkOK(t, s, res, c.want)
		} else {
			checkRefused(t, res, c.code, c.want)
		}
	}
}

// TestScriptFilenameAndTheWalk: of a name that names nothing the error says so, and not
// what a path is that nobody wrote; only a file that is there, and may not run, tells more.
func TestScriptFilenameAndTheWalk(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "a/x.cgi", head)
	f.write(t, "plain.cgi", "#!/bin/sh\n", 0o644)
	for _, c := range []struct {
		path, want string
		code       int
	}{
		{"/a", "404 Not Found: SCRIPT_FILENAME /nonexistent/y.cgi: no such file: / has no directory nonexistent; the path /a leads to no program in DIR either", 404},
		{"", "404 Not Found: SCRIPT_FILENAME /nonexistent/y.cgi: no such file: / has no directory nonexistent", 404},
		{"/b/c", "404 Not Found: SCRIPT_FILENAME /nonexistent/y.cgi: no such file: / has no directory nonexistent; the path /b/c leads to no program in DIR either", 404},
		{"/plain.cgi", "403 Forbidden: DIR/plain.cgi: is not executable (no x bit): chmod +x DIR/plain.cgi", 403},
	} {
		_, res := f.serve(request(c.path, "SCRIPT_FILENAME=/nonexistent/y.cgi"))
		if want := strings.ReplaceAll(c.want, "DIR", f.dir); res.Code != c.code || res.Err == nil || res.Err.Error() != want {
			t.Errorf("%q: %d, %v; want %d, %s", c.path, res.Code, res.Err, c.code, want)
		}
	}
}

// TestUnmounted: the web server has a name for the directory, and nobody wrote it as the prefix.
func TestUnmounted(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "sub/x.cgi", head)
	const remedy = `write prefix = "/cgi-bin" if /cgi-bin is the location in the web server`
	for _, c := range []struct{ path, filename, want string }{
		{"/cgi-bin/sub/x.cgi/info", "", "DIR/cgi-bin: no such file: " + remedy},
		{"/cgi-bin/sub/x.cgi", "/nonexistent/x.cgi", "SCRIPT_FILENAME /nonexistent/x.cgi: no such file: / has no directory nonexistent; " +
			"the path /cgi-bin/sub/x.cgi leads to no program in DIR either; " + remedy},
		{"/cgi-bin/x.cgi", "", "DIR/cgi-bin: no such file"},
		{"/cgi-bin/sub/", "", "DIR/cgi-bin: no such file"},
		{"/cgi-bin/../sub/x.cgi", "", "DIR/cgi-bin: no such file"},
	} {
		var m cgi.Mux
		if err := m.Mount("/", f.App); err != nil {
			t.Fatal(err)
		}
		res := new(cgi.Handler).Run(request("", "SCRIPT_NAME="+c.path, "SCRIPT_FILENAME="+c.filename), new(recorder), &m)
		if want := "404 Not Found: " + strings.ReplaceAll(c.want, "DIR", f.dir); res.Code != 404 || res.Err == nil || res.Err.Error() != want {
			t.Errorf("%s: %d, %v; want %s", c.path, res.Code, res.Err, want)
		}
	}
}

// TestNoVariables: nginx without "include fastcgi_params;".
func TestNoVariables(t *testing.T) {
	f := newFixture(t)
	const want = `the web server sent no CGI variables: in nginx, write "include fastcgi_params;" beside fastcgi_pass`
	only := func() *cgi.Request {
		return &cgi.Request{Env: cgi.NewEnviron("HTTP_HOST=localhost", "HTTP_ACCEPT=*/*"), Body: strings.NewReader("")}
	}
	_, res := f.serve(only())
	checkRefused(t, res, 500, want)
	for _, prefix := range []string{"/", "/cgi-bin"} {
		var m cgi.Mux
		if err := m.Mount(prefix, f.App); err != nil {
			t.Fatal(err)
		}
		checkRefused(t, f.handler().Run(only(), new(recorder), &m), 500, want)
	}
	f.Manner = Fcgiwrap
	_, res = f.serve(only())
	checkRefused(t, res, 403, want)
	f.Manner = Gatehouse
	f.Roots = []string{f.sh(t, "site", head+"echo served")} // a program that serves every path needs none
	s, res := f.serve(only())
	checkOK(t, s, res, "served\n")
}

// TestAdviceOutside: what is advised is not configured already, would help, and keeps what
// is there.
func TestAdviceOutside(t *testing.T) {
	f, followed, outside, elsewhere := newFixture(t), newFixture(t), newFixture(t), newFixture(t)
	for _, x := range []*fixture{followed, outside} {
		x.sh(t, "x.cgi", head)
	}
	link := func(in *fixture, name, to string) string {
		path := filepath.Join(in.dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inRoot := link(f, "out.cgi", outside.dir+"/x.cgi")
	toFollowed := link(elsewhere, "link.cgi", followed.dir+"/x.cgi")
	for _, c := range []struct {
		follow    []string
		name      string
		want, not string
	}{
		{nil, inRoot, `to let that run, write follow = ["` + outside.dir + `/x.cgi"]`, "add"},
		{[]string{followed.dir}, inRoot, `to let that run, add "` + outside.dir + `/x.cgi" to follow`, "write follow"},
		{[]string{followed.dir}, toFollowed, elsewhere.dir, "follow ="}, // it leads there, but does not lie in a root
		{[]string{followed.dir}, followed.dir + "/x.cgi", "", "follow ="},
	} {
		a := &App{Roots: []string{f.dir}, Follow: c.follow, Log: f.Log}
		e, err := a.Explain(request("/nothing", "SCRIPT_FILENAME="+c.name))
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
		if e.Finding == nil || e.Finding.Check != CheckOutside || !strings.Contains(e.Finding.Remedy, c.want) || strings.Contains(e.Finding.Remedy, c.not) {
			t.Errorf("%s, follow %q: %v; want %q, and not %q", c.name, c.follow, e.Finding, c.want, c.not)
		}
	}
}

func TestSymlinks(t *testing.T) {
	f := newFixture(t)
	outside := newFixture(t)
	followed := newFixture(t)
	f.Follow = []string{followed.dir}
	f.sh(t, "real/a.cgi", tell)
	outside.sh(t, "o.cgi", tell)
	followed.sh(t, "f.cgi", tell)
	for name, to := range map[string]string{
		"inside.cgi":      "real/a.cgi",
		"absolute.cgi":    f.dir + "/real/a.cgi",
		"insidedir":       "real",
		"followed.cgi":    followed.dir + "/f.cgi",
		"followeddir":     followed.dir,
		"outside.cgi":     outside.dir + "/o.cgi",
		"outsidedir":      outside.dir,
		"up.cgi":          "../" + filepath.Base(filepath.Dir(outside.dir)) + "/x",
		"dangling.cgi":    "nowhere",
		"loop.cgi":        "loop.cgi",
		"magic.cgi":       "/proc/self/root" + outside.dir + "/o.cgi",
		"outsidedotdot":   "real/../../../..",
		"followedout.cgi": followed.dir + "/out.cgi",
	} {
		if err := os.Symlink(to, filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside.dir+"/o.cgi", filepath.Join(followed.dir, "out.cgi")); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]int{
		"/inside.cgi": 200, "/absolute.cgi": 200, "/insidedir/a.cgi": 200,
		"/followed.cgi": 200, "/followeddir/f.cgi": 200,
		"/outside.cgi": 403, "/outsidedir/o.cgi": 403, "/magic.cgi": 403, "/outsidedotdot/etc/passwd": 403,
		"/followedout.cgi": 403, "/followeddir/out.cgi": 403,
		"/dangling.cgi": 404, "/up.cgi": 404,
	} {
		s, res := f.serve(request(path))
		if res.Code != code {
			t.Errorf("%s: %d, %v; want %d", path, res.Code, res.Err, code)
		}
		// A link is told by its own name.
		if want := f.dir + path; code == 200 && !strings.HasPrefix(s.Body.String(), want+" "+want+"|"+path+"|") {
			t.Errorf("%s: %q; want the path of the link", path, s.Body.String())
		}
		r := request("", "SCRIPT_NAME=/x", "SCRIPT_FILENAME="+f.dir+path)
		if code == 404 {
			continue
		}
		if _, res := f.serve(r); res.Code != code {
			t.Errorf("SCRIPT_FILENAME %s: %d, %v; want %d", path, res.Code, res.Err, code)
		}
	}
	if _, res := f.serve(request("/loop.cgi")); res.Code == 200 {
		t.Error("a loop of links runs")
	}
}

// TestSymlinksWithoutOpenat2 checks the way of systems that have no openat2.
func TestSymlinksWithoutOpenat2(t *testing.T) {
	f := newFixture(t)
	outside := newFixture(t)
	f.sh(t, "sub/a.cgi", tell)
	outside.sh(t, "o.cgi", tell)
	if err := os.Symlink(outside.dir, filepath.Join(f.dir, "out")); err != nil {
		t.Fatal(err)
	}
	for rel, want := range map[string]error{
		"sub/a.cgi": nil, "sub": errDirectory, "out/o.cgi": errOutside, "sub/b.cgi": errMissing, "sub/a.cgi/x": errMissing,
		"../" + filepath.Base(outside.dir) + "/o.cgi": errOutside,
	} {
		if err := f.checkReal(filepath.Join(f.dir, rel), f.Roots, f.Follow); err != want {
			t.Errorf("%s: %v; want %v", rel, err, want)
		}
	}
}

func TestRootIsReplaced(t *testing.T) {
	f := newFixture(t)
	for _, release := range []string{"one", "two"} {
		f.sh(t, release+"/a.cgi", head+"echo "+release)
	}
	current := filepath.Join(f.dir, "current")
	f.Roots = []string{current}
	for _, release := range []string{"one", "two"} {
		os.Remove(current)
		if err := os.Symlink(release, current); err != nil {
			t.Fatal(err)
		}
		s, res := f.serve(request("/a.cgi"))
		checkOK(t, s, res, release+"\n")
	}
}

func TestRelativeRootIsRefused(t *testing.T) {
	f := newFixture(t)
	f.Roots = []string{"relative"}
	_, res := f.serve(request("/a.cgi"))
	checkRefused(t, res, 500, `"relative" is not absolute`)
}

func TestProgramsThatDoNotStart(t *testing.T) {
	f := newFixture(t)
	f.write(t, "crlf", "#!/bin/sh\r\necho\r\n", 0o755)
	f.write(t, "nointerpreter", "#!/nonexistent/perl -w\n", 0o755)
	f.write(t, "noshebang", "echo hello\n", 0o755)
	f.write(t, "bom", "\xef\xbb\xbf#!/bin/sh\n", 0o755)
	f.write(t, "empty", "", 0o755)
	f.write(t, "dirinterpreter", "#!/etc\n", 0o755)
	for path, c := range map[string]struct {
		code int
		text string
	}{
		"/crlf":           {502, "CR LF"},
		"/nointerpreter":  {502, `interpreter "/nonexistent/perl -w" does not exist`},
		"/noshebang":      {502, `no "#!" line`},
		"/bom":            {502, "byte order mark"},
		"/empty":          {502, `no "#!" line`},
		"/dirinterpreter": {403, "interpreter"},
	} {
		_, res := f.serve(request(path))
		checkRefused(t, res, c.code, f.dir+path, c.text)
	}
	f.sh(t, "ok", head)
	_, res := f.serve(request("/ok", "HTTP_X_LONG="+strings.Repeat("x", 200<<10)))
	checkRefused(t, res, 431, "too long")
}
