//go:build linux

package script

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
)

// TestFcgiwrapLookup: what fcgiwrap 1.1 makes of the same variables, by its source
// and by trial.
func TestFcgiwrapLookup(t *testing.T) {
	f := newFixture(t)
	file := f.sh(t, "sub/a.cgi", head+`echo "$0|${SCRIPT_NAME-unset}|${PATH_INFO-unset}|${SCRIPT_FILENAME-unset}"`)
	f.write(t, "plain.txt", "text", 0o644)
	f.Manner, f.Roots = Fcgiwrap, nil
	link := filepath.Join(f.dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		vars string // separated by blanks
		want string // the body, or an error if code is not 200
		code int
	}{
		// SCRIPT_FILENAME decides alone, and the path stays as it was sent.
		{"SCRIPT_FILENAME=%F SCRIPT_NAME=/s PATH_INFO=/p", "%F|/s|/p|%F", 200},
		{"SCRIPT_FILENAME=%F SCRIPT_NAME=/s/a.cgi/p", "%F|/s/a.cgi/p|unset|%F", 200},
		{"SCRIPT_FILENAME=%F", "%F|unset|unset|%F", 200},
		{"SCRIPT_FILENAME=%D//sub/../sub/a.cgi", "%D//sub/../sub/a.cgi|unset|unset|%D//sub/../sub/a.cgi", 200},
		{"SCRIPT_FILENAME=%D/link", "%D/link|unset|unset|%D/link", 200},
		{"SCRIPT_FILENAME=%F/p", "SCRIPT_FILENAME %F/p: no such file", 403},
		{"SCRIPT_FILENAME=%D/missing", "SCRIPT_FILENAME %D/missing: no such file", 403},
		{"SCRIPT_FILENAME=%D/missing DOCUMENT_ROOT=%D SCRIPT_NAME=/sub/a.cgi", "%D/missing: no such file", 403},
		{"SCRIPT_FILENAME=%D", "%D: is a directory", 403},
		{"SCRIPT_FILENAME=%D/plain.txt", "%D/plain.txt: is not executable", 403},
		{"SCRIPT_FILENAME=sub/a.cgi", "no absolute path", 403},
		{"SCRIPT_FILENAME=", "no absolute path", 403},
		{"SCRIPT_FILENAME=%F\x00", "NUL", 400},
		// Without it, the longest beginning of DOCUMENT_ROOT and SCRIPT_NAME.
		{"DOCUMENT_ROOT=%D SCRIPT_NAME=/sub/a.cgi", "%F|/sub/a.cgi|unset|unset", 200},
		{"DOCUMENT_ROOT=%D SCRIPT_NAME=/sub/a.cgi PATH_INFO=/sent", "%F|/sub/a.cgi|unset|unset", 200},
		{"DOCUMENT_ROOT=%D SCRIPT_NAME=/sub/a.cgi/p//q", "%F|/sub/a.cgi|/p//q|unset", 200},
		{"DOCUMENT_ROOT=%D SCRIPT_NAME=/sub/a.cgi/", "%F|/sub/a.cgi|/|unset", 200},
		{"DOCUMENT_ROOT=%D/ SCRIPT_NAME=sub/a.cgi/p", "%F|sub/a.cgi|/p|unset", 200},
		{"DOCUMENT_ROOT=%F SCRIPT_NAME=/p", "%F||/p|unset", 200},
		{"DOCUMENT_ROOT=%D SCRIPT_NAME=/sub", "%D/sub: is a directory", 403},
		{"DOCUMENT_ROOT=%D SCRIPT_NAME=/sub/missing", "DOCUMENT_ROOT and SCRIPT_NAME %D/sub/missing: no such file", 403},
		{"DOCUMENT_ROOT=%D SCRIPT_NAME=/plain.txt/p", "%D/plain.txt: is not executable", 403},
		{"DOCUMENT_ROOT=/nonexistent SCRIPT_NAME=/a", "/nonexistent/a: no such file", 403},
		{"DOCUMENT_ROOT=/nonexistent SCRIPT_NAME=" + strings.Repeat("/x", 50000), "no such file", 403},
		{"DOCUMENT_ROOT=%D SCRIPT_NAME=/x/../sub/a.cgi", `".." segment`, 403},
		{"DOCUMENT_ROOT=%D", "neither SCRIPT_FILENAME nor", 403},
		{"SCRIPT_NAME=/sub/a.cgi", "neither SCRIPT_FILENAME nor", 403},
		{"REQUEST_METHOD=GET", "neither SCRIPT_FILENAME nor", 403},
		{"", `no CGI variables: in nginx, write "include fastcgi_params;"`, 403},
		{"DOCUMENT_ROOT=rel SCRIPT_NAME=/sub/a.cgi", "no absolute path", 403},
	} {
		full := strings.NewReplacer("%F", file, "%D", f.dir)
		for _, mounted := range []bool{false, true} {
			env := new(cgi.Environ)
			for _, v := range strings.Fields(c.vars) {
				// The names have no such words.
				name, value, _ := strings.Cut(v, "=")
				env.Set(name, full.Replace(value))
			}
			var app cgi.App = f.App
			if mounted {
				m := new(cgi.Mux)
				if err := m.Mount("/", f.App); err != nil {
					t.Fatal(err)
				}
				app = m
			}
			s := new(recorder)
			res := f.handler().Run(&cgi.Request{Env: env, Body: strings.NewReader("")}, s, app)
			want := full.Replace(c.want)
			if c.code != 200 {
				if mounted {
					want = "" // a Mux does not tell what was not sent
				}
				if res.Code != c.code || res.Err == nil || !strings.Contains(res.Err.Error(), want) {
					t.Errorf("%.200q, mounted %v: %d, %v; want %d, %q", c.vars, mounted, res.Code, res.Err, c.code, want)
				}
				continue
			}
			got := strings.TrimSuffix(s.Body.String(), "\n")
			if mounted { // a Mux does not tell whether SCRIPT_NAME was sent
				got, want = strings.Replace(got, "||", "|unset|", 1), strings.Replace(want, "||", "|unset|", 1)
			}
			if res.Err != nil || got != want {
				t.Errorf("%.200q, mounted %v: %q, %v; want %q", c.vars, mounted, got, res.Err, want)
			}
		}
	}
}

// TestFcgiwrapLongPath: a path longer than that of any file is not looked up bit by bit.
func TestFcgiwrapLongPath(t *testing.T) {
	f := newFixture(t)
	f.Manner, f.Roots = Fcgiwrap, nil
	env := cgi.NewEnviron("DOCUMENT_ROOT=/nonexistent", "SCRIPT_NAME="+strings.Repeat("/x", 50000))
	e, err := f.Explain(&cgi.Request{Env: env, Body: strings.NewReader("")})
	if err != nil || e.Finding == nil || len(e.Steps) < 2 || len(e.Steps[1].Path) > maxPath {
		t.Errorf("%v, %v", err, e.Finding)
	}
}

// TestFcgiwrapPrograms: with -p, a program runs under its own name alone.
func TestFcgiwrapPrograms(t *testing.T) {
	f := newFixture(t)
	file := f.sh(t, "a.cgi", head+"echo a")
	f.sh(t, "b.cgi", head+"echo b")
	f.Manner, f.Roots = Fcgiwrap, []string{file}
	for _, vars := range []string{"SCRIPT_FILENAME=" + file, "SCRIPT_NAME=/a.cgi/x"} {
		s, res := f.serve(request("", "DOCUMENT_ROOT="+f.dir, vars))
		checkOK(t, s, res, "a\n")
	}
	for _, vars := range []string{
		"SCRIPT_FILENAME=" + f.dir + "/b.cgi", "SCRIPT_FILENAME=" + f.dir + "//a.cgi", "SCRIPT_NAME=/b.cgi",
	} {
		_, res := f.serve(request("", "DOCUMENT_ROOT="+f.dir, vars))
		checkRefused(t, res, 403, ".cgi: is not one of the programs that may run")
	}
}

func TestFcgiwrapDirectory(t *testing.T) {
	f := newFixture(t)
	file := f.sh(t, "sub/a.cgi", head+"pwd")
	f.Manner, f.Roots = Fcgiwrap, nil
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"": f.dir + "/sub", "-": here, f.dir: f.dir} {
		var vars []string
		if dir != "" {
			vars = []string{"FCGI_CHDIR=" + dir}
		}
		s, res := f.serve(request("", append(vars, "SCRIPT_FILENAME="+file)...))
		checkOK(t, s, res, want+"\n")
	}
	_, res := f.serve(request("", "SCRIPT_FILENAME="+file, "FCGI_CHDIR=/nonexistent"))
	checkRefused(t, res, 403, "/nonexistent: the directory that the program starts in does not exist")
	t.Setenv("FCGI_CHDIR", f.dir)
	s, res := f.serve(request("", "SCRIPT_FILENAME="+file))
	checkOK(t, s, res, f.dir+"\n")
}

// TestFcgiwrapStatus: what cannot be executed is 502, as behind fcgiwrap.
func TestFcgiwrapStatus(t *testing.T) {
	f := newFixture(t)
	f.Manner, f.Roots = Fcgiwrap, nil
	for text, want := range map[string]string{"#!/etc\n": "interpreter", "#!/nonexistent\n": "interpreter", "": "empty"} {
		_, res := f.serve(request("", "SCRIPT_FILENAME="+f.write(t, "a.cgi", text, 0o755)))
		checkRefused(t, res, 502, want)
	}
}

func TestSlowcgi(t *testing.T) {
	f := newFixture(t)
	file := f.sh(t, "a.cgi", head+`echo "$0|$SCRIPT_NAME|${PATH_INFO-unset}|$(pwd)"`)
	f.Manner, f.Roots = Slowcgi, nil
	for _, c := range []struct {
		vars []string
		want string
		code int
	}{
		{[]string{"SCRIPT_FILENAME=" + file, "SCRIPT_NAME=/s", "PATH_INFO=/p"}, file + "|/s|/p|" + f.dir, 200},
		{[]string{"SCRIPT_NAME=" + file}, file + "|" + file + "|unset|" + f.dir, 200},
		{[]string{"SCRIPT_NAME=" + file + "/p"}, "SCRIPT_NAME " + file + "/p: no such file", 404},
		{[]string{"SCRIPT_NAME="}, "no absolute path", 403},
		{[]string{"SCRIPT_NAME=" + f.dir}, "is a directory", 403},
	} {
		s := new(recorder)
		res := f.handler().Run(&cgi.Request{Env: cgi.NewEnviron(c.vars...), Body: strings.NewReader("")}, s, f.App)
		if c.code == 200 {
			checkOK(t, s, res, c.want+"\n")
		} else {
			checkRefused(t, res, c.code, c.want)
		}
	}
}

// TestMannerEnvironment: nothing is added to what the web server sent but what those
// programs add.
func TestMannerEnvironment(t *testing.T) {
	for manner, added := range map[Manner]string{Fcgiwrap: "FCGI_ROLE=RESPONDER", Slowcgi: ""} {
		f := newFixture(t)
		path := f.link(t, "report", "report")
		f.Manner, f.Roots, f.Inherit = manner, nil, []string{}
		env := cgi.NewEnviron("SCRIPT_FILENAME="+path, "SCRIPT_NAME=/x", "EMPTY=", "CONTENT_LENGTH=", "GATEWAY_INTERFACE=CGI/1.0", "PATH_TRANSLATED=/t", "proxy-nokeepalive=1")
		want := env.Map()
		if added != "" {
			name, value, _ := strings.Cut(added, "=")
			want[name] = value
		}
		want["SCRIPT_TEST_ROLE"], want["GORACE"] = "report", "atexit_sleep_ms=0"
		want["CONTENT_LENGTH"] = ""
		got := vars(t, report(t, f, &cgi.Request{Env: env, Body: strings.NewReader("")}))
		if len(got) != len(want) {
			t.Errorf("%v: %v; want %v", manner, got, want)
		}
		for name, value := range want {
			if v, ok := got[name]; !ok || v != value {
				t.Errorf("%v: %s = %q, %v; want %q", manner, name, v, ok, value)
			}
		}
	}
}

// TestIdentityIsSentOnce: of two values that differ, none says who the client is, in every
// manner; of REMOTE_ADDR the manner's own wins. The log says how to mend it.
func TestIdentityIsSentOnce(t *testing.T) {
	for manner, addr := range map[Manner]string{Gatehouse: "192.0.2.2", Fcgiwrap: "192.0.2.1", Slowcgi: "192.0.2.2"} {
		for _, two := range [][2]string{{"alice", ""}, {"", "alice"}, {"alice", "bob"}} {
			f := newFixture(t)
			path := f.sh(t, "a.cgi", head+`echo "${REMOTE_USER-unset}|${AUTH_TYPE-unset}|${SSL_CLIENT_S_DN-unset}|${REMOTE_IDENT-unset}|$REMOTE_ADDR"`)
			f.Manner = manner
			if manner != Gatehouse {
				f.Roots = nil
			}
			t.Setenv("REMOTE_USER", "daemon")
			f.InheritAll = true
			env := cgi.NewEnviron("SCRIPT_FILENAME="+path, "SCRIPT_NAME=/a.cgi")
			for _, v := range []struct{ name, first, last string }{
				{"REMOTE_USER", two[0], two[1]}, {"AUTH_TYPE", two[0], two[1]}, {"SSL_CLIENT_S_DN", two[0], two[1]},
				{"REMOTE_IDENT", "same", "same"}, {"REMOTE_ADDR", "192.0.2.1", "192.0.2.2"},
			} {
				if err := errors.Join(env.Add(v.name, v.first), env.Add(v.name, v.last)); err != nil {
					t.Fatal(err)
				}
			}
			s := new(recorder)
			res := f.handler().Run(&cgi.Request{Env: env, Body: strings.NewReader("")}, s, f.App)
			checkOK(t, s, res, "|||same|"+addr+"\n")
			for _, name := range []string{"REMOTE_USER", "AUTH_TYPE", "SSL_CLIENT_S_DN", "REMOTE_ADDR"} {
				if n := strings.Count(f.log.String(), "variable="+name+" "); n != 1 || !strings.Contains(f.log.String(), "send it once") {
					t.Errorf("%v: %d lines about %s\n%s", manner, n, name, f.log)
				}
			}
		}
	}
}

// TestFcgiwrapComplains: fcgiwrap tells the web server of a failed request whether it has -f
// or not. Its own stderr may be closed, as spawn-fcgi does it.
func TestFcgiwrapComplains(t *testing.T) {
	f := newFixture(t)
	f.Manner, f.Roots = Fcgiwrap, nil
	f.sh(t, "headless", "echo own >&2; printf '<html>'")
	for _, c := range []struct{ name, want string }{
		{"/missing", "SCRIPT_FILENAME DIR/missing: no such file\n"},
		{"/headless", `DIR/headless: no head: line 1, "<html>": the output ended before the empty line that ends a head: print "Content-Type: text/html" and an empty line first; exit status 0` + "\n"},
	} {
		s := new(stderrSink)
		f.handler().Run(request("", "SCRIPT_FILENAME="+f.dir+c.name), s, f.App)
		if want := strings.ReplaceAll(c.want, "DIR", f.dir); s.stderr.String() != want {
			t.Errorf("%q; want %q", s.stderr.String(), want)
		}
	}
}

// TestExplain: the steps in their order, the program, and the variables.
func TestExplain(t *testing.T) {
	t.Setenv("PATH", "/daemon/bin")
	f := newFixture(t)
	second := newFixture(t)
	f.Roots = append(f.Roots, second.dir)
	f.Env, f.Inherit = []string{"OWN=1"}, []string{"PATH"}
	file := second.sh(t, "sub/a.cgi", head)
	e, err := f.Explain(request("/sub/a.cgi/p", "SCRIPT_FILENAME="+f.dir+"/nothing", "HTTP_PROXY=x", "QUERY_STRING=q"))
	if err != nil {
		t.Fatal(err)
	}
	steps := []Step{
		{"SCRIPT_FILENAME", f.dir + "/nothing", CheckMissing, "the path of the request decides"},
		{f.dir, f.dir + "/sub", CheckMissing, ""},
		{second.dir, second.dir + "/sub", CheckDirectory, "the path goes on below it"},
		{second.dir, file, "", ""},
	}
	if len(e.Steps) != len(steps) {
		t.Fatalf("%+v; want %+v", e.Steps, steps)
	}
	for i := range steps {
		if e.Steps[i] != steps[i] {
			t.Errorf("step %d: %+v; want %+v", i, e.Steps[i], steps[i])
		}
	}
	if e.Finding != nil || e.Program != file || len(e.Args) != 1 || e.Args[0] != file || e.Dir != filepath.Dir(file) {
		t.Errorf("%+v; want %s without arguments in its directory", e, file)
	}
	env := "\n" + strings.Join(e.Env, "\n") + "\n"
	for _, v := range []string{"QUERY_STRING=q", "OWN=1", "PATH=/daemon/bin", "PATH_INFO=/p", "SCRIPT_NAME=/sub/a.cgi", "SCRIPT_FILENAME=" + file} {
		if !strings.Contains(env, "\n"+v+"\n") {
			t.Errorf("%q is not in %q", v, e.Env)
		}
	}
	if want := (Variable{"HTTP_PROXY", "libraries take it for the configuration of a proxy"}); len(e.Dropped) != 1 || e.Dropped[0] != want {
		t.Errorf("dropped %v; want %v", e.Dropped, want)
	}
	if log := f.log.String(); log != "" {
		t.Errorf("an explanation is logged: %s", log)
	}
	// A deep path has so many steps, and no more.
	e, err = f.Explain(request("/sub/" + strings.Repeat("./", 10000) + strings.Repeat("x/", 1000)))
	if err != nil || len(e.Steps) > maxSteps || e.Finding == nil {
		t.Errorf("%d steps, %v", len(e.Steps), err)
	}
	broken := &App{Roots: []string{"relative"}}
	defer broken.Close()
	if _, err := broken.Explain(request("/")); err == nil || errors.As(err, new(*Finding)) {
		t.Errorf("%v; want an error of the App", err)
	}
	r := request("/")
	r.Role = cgi.Filter
	if e, err := f.Explain(r); err != nil || e.Finding.Check != CheckFilter {
		t.Errorf("%v, %v", e, err)
	}
}

// TestFcgiwrapRepeated: of a variable that is sent twice, as by an include after it, the
// first counts.
func TestFcgiwrapRepeated(t *testing.T) {
	f := newFixture(t)
	file := f.sh(t, "a.cgi", head+`echo "$SCRIPT_FILENAME|$SCRIPT_NAME|$X|$HTTP_X"`)
	f.Manner, f.Roots = Fcgiwrap, nil
	for _, name := range []string{"SCRIPT_FILENAME", "DOCUMENT_ROOT"} {
		env := new(cgi.Environ)
		add := func(name string, values ...string) {
			for _, v := range values {
				if err := env.Add(name, v); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := "|/a.cgi|1|1, 2\n"
		if name == "SCRIPT_FILENAME" {
			add(name, file, "/nonexistent")
			want = file + want
		} else {
			add(name, f.dir, "/nonexistent")
		}
		add("SCRIPT_NAME", "/a.cgi", "/nonexistent")
		add("X", "1", "2")
		add("HTTP_X", "1", "2")
		s := new(recorder)
		res := f.handler().Run(&cgi.Request{Env: env, Body: strings.NewReader("")}, s, f.App)
		checkOK(t, s, res, want)
	}
}
