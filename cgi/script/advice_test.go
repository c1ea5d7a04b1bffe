//go:build linux

package script

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/cgi"
)

// binary is what the tests take for one: the system would not run it.
const binary = "\x7fELF"

// TestOutsideAdvice: to let a program run that lies outside, the advice is that program alone.
func TestOutsideAdvice(t *testing.T) {
	f := newFixture(t)
	outside := newFixture(t)
	checklink := outside.sh(t, "bin/checklink", head)
	perl := outside.write(t, "bin/perl5.36", binary, 0o755)
	data := outside.write(t, "bin/data", "text", 0o644)
	const where = ": lies outside the roots and the follow directories"
	alone := func(prefix string) string {
		return where + ": to let it run, write an [[app]] for it alone: " + prefix + `, scripts = "` + checklink + `"`
	}
	for _, c := range []struct {
		name, mounted string
		vars          []string
		want          string // after the path
	}{
		{checklink, "/", []string{"SCRIPT_NAME=/checklink"}, alone(`prefix = "/checklink"`)},
		{checklink, "/", []string{"SCRIPT_NAME=/cgi-bin/checklink/x/y"}, alone(`prefix = "/cgi-bin/checklink"`)},
		{checklink, "/cgi-bin", []string{"SCRIPT_NAME=/cgi-bin/checklink", "PATH_INFO=/x"}, alone(`prefix = "/cgi-bin/checklink"`)},
		{checklink, "/", []string{"SCRIPT_NAME=/links", "PATH_INFO=/x"}, alone(`prefix = "/links"`)},
		{checklink, "/", []string{"SCRIPT_NAME=/git/a/x", "PATH_INFO=/a/x", "DOCUMENT_URI=/git/a/x"}, alone(`prefix = "/git"`)},
		// These prefixes are taken, or none can be told.
		{checklink, "/git", []string{"SCRIPT_NAME=/git/a/x", "PATH_INFO=/a/x", "DOCUMENT_URI=/git/a/x"}, alone("with a prefix of its own")},
		{checklink, "/", []string{"SCRIPT_NAME=/"}, alone("with a prefix of its own")},
		{checklink, "/", []string{"SCRIPT_NAME=/a/../b"}, alone("with a prefix of its own")},
		{checklink, "/", []string{"SCRIPT_NAME=/" + strings.Repeat("x", 500)}, alone("with a prefix of its own")},
		// Nothing lets these run.
		{perl, "/", []string{"SCRIPT_NAME=/perl"}, where + ": it is an interpreter, which would run what clients send: name the script in its place"},
		{data, "/", []string{"SCRIPT_NAME=/data"}, where},
	} {
		var m cgi.Mux
		if err := m.Mount(c.mounted, f.App); err != nil {
			t.Fatal(err)
		}
		env := cgi.NewEnviron(append(c.vars, "SCRIPT_FILENAME="+c.name)...)
		res := f.handler().Run(&cgi.Request{Env: env, Body: strings.NewReader("")}, new(recorder), &m)
		checkRefused(t, res, 403)
		if want := "SCRIPT_FILENAME " + c.name + c.want; !strings.HasSuffix(res.Err.Error(), want) {
			t.Errorf("%q at %s: %v;\nwant %s", c.vars, c.mounted, res.Err, want)
		}
	}
}

// TestFollowAdvice: one link needs one file, added to what is followed already; and with the
// advice it runs, and what lies beside the file does not.
func TestFollowAdvice(t *testing.T) {
	f := newFixture(t)
	outside := newFixture(t)
	file := outside.sh(t, "bin/o.cgi", head+"echo ran")
	other := outside.sh(t, "bin/other.cgi", head)
	perl := outside.write(t, "bin/perl", binary, 0o755)
	for name, to := range map[string]string{"o.cgi": file, "other.cgi": other, "perl": perl, "slash": "/", "dir": filepath.Dir(file)} {
		if err := os.Symlink(to, filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := t.TempDir()
	for _, c := range []struct {
		path   string
		follow []string
		want   string
	}{
		{"/o.cgi", nil, "it leads to " + file + `; to let that run, write follow = ["` + file + `"]`},
		{"/o.cgi", []string{elsewhere}, "it leads to " + file + `; to let that run, add "` + file + `" to follow`},
		{"/other.cgi", []string{file}, "it leads to " + other + `; to let that run, add "` + other + `" to follow`},
		{"/dir/o.cgi", nil, "it leads to " + filepath.Dir(file) + `; to let that run, write follow = ["` + filepath.Dir(file) + `"]`},
		{"/dir/o.cgi", []string{file}, "it leads to " + filepath.Dir(file) + `; to let that run, add "` + filepath.Dir(file) + `" to follow`},
		{"/perl", nil, "it leads to " + perl + ", an interpreter, which would run what clients send: put a script there instead"},
		{"/slash/bin/sh", nil, "it leads to /"},
	} {
		g := f.Clone()
		g.Follow = c.follow
		e, err := g.Explain(request(c.path))
		if err != nil || e.Finding == nil || e.Finding.Check != CheckOutside || e.Finding.Remedy != c.want {
			t.Errorf("%s, follow %q: %v, %+v; want %q", c.path, c.follow, err, e.Finding, c.want)
		}
		g.Close()
	}
	f.Follow = []string{elsewhere, file}
	for _, r := range []*cgi.Request{request("/o.cgi"), request("", "SCRIPT_FILENAME="+f.dir+"/o.cgi"), request("", "SCRIPT_FILENAME="+f.dir+"/dir/o.cgi")} {
		s, res := f.serve(r)
		checkOK(t, s, res, "ran\n")
	}
	for _, path := range []string{"/other.cgi", "/perl", "/dir/o.cgi"} {
		_, res := f.serve(request(path))
		checkRefused(t, res, 403, "lies outside")
	}
	// What is followed is not for SCRIPT_FILENAME, so that following it is no advice.
	link := filepath.Join(elsewhere, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	_, res := f.serve(request("", "SCRIPT_FILENAME="+link, "SCRIPT_NAME=/link"))
	checkRefused(t, res, 403, `write an [[app]] for it alone: prefix = "/link", scripts = "`+link+`"`)
}

// TestWarnings: roots with what no client should run.
func TestWarnings(t *testing.T) {
	f := newFixture(t)
	outside := newFixture(t)
	f.sh(t, "scripts/perl", head) // by its name alone
	f.write(t, "scripts/sub/hello", binary, 0o755)
	f.write(t, "scripts/python3", binary, 0o644)
	f.write(t, "holds/sub/python3.11", binary, 0o755)
	f.sh(t, "holds/a.cgi", head)
	outside.write(t, "bash", binary, 0o755)
	for link, to := range map[string]string{"linked/link": "../holds/sub/python3.11", "leads/out": outside.dir, "leads/loop": "."} {
		os.MkdirAll(filepath.Join(f.dir, filepath.Dir(link)), 0o755)
		if err := os.Symlink(to, filepath.Join(f.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	phpCGI := f.write(t, "php-cgi8.2", binary, 0o755)
	system := func(dir string) string {
		return "scripts: " + dir + " is a directory of the system, and clients could run every program in it: " +
			`write an [[app]] for each that is meant, with a prefix of its own and scripts = "` + filepath.Join(dir, "PROGRAM") + `"`
	}
	holds := func(path, dir string) string {
		return "scripts: " + path + " is an interpreter, and clients could run it: move it out of " + dir + `, or name the programs that may run, such as only = ["*.cgi"]`
	}
	for _, c := range []struct {
		app  *App
		want []string
	}{
		{&App{Roots: []string{f.dir + "/scripts"}}, nil},
		{&App{Roots: []string{"/usr/bin", "/bin", "/usr/sbin", "/"}}, []string{system("/usr/bin"), system("/bin"), system("/usr/sbin"), system("/")}},
		{&App{Roots: []string{"/usr//lib/", f.dir + "/scripts", "/tmp"}}, []string{system("/usr//lib/"), system("/tmp")}},
		{&App{Roots: []string{"/usr/bin"}, Only: []string{"checklink"}}, nil},
		{&App{Roots: []string{"/bin"}, Only: []string{"sh"}}, []string{holds("/bin/sh", "/bin")}},
		{&App{Roots: []string{f.dir + "/holds"}}, []string{holds(f.dir+"/holds/sub/python3.11", f.dir+"/holds")}},
		{&App{Roots: []string{f.dir + "/holds"}, Only: []string{"*.cgi"}}, nil},
		{&App{Roots: []string{f.dir + "/linked"}}, nil}, // it does not run
		{&App{Roots: []string{f.dir + "/linked"}, Follow: []string{f.dir + "/holds"}}, []string{holds(f.dir+"/linked/link", f.dir+"/linked")}},
		{&App{Roots: []string{f.dir + "/leads"}}, nil},
		{&App{Roots: []string{f.dir + "/leads"}, Follow: []string{outside.dir}}, []string{holds(f.dir+"/leads/out/bash", f.dir+"/leads")}},
		{&App{Roots: []string{"/bin/sh"}}, []string{"scripts: /bin/sh is an interpreter, and would run what clients send: write the path of a script that begins with #!/bin/sh"}},
		{&App{Roots: []string{phpCGI, f.dir + "/holds/a.cgi"}}, nil},
		{&App{Roots: []string{f.dir + "/missing"}}, nil},
		{&App{Roots: []string{"/bin/sh"}, Manner: Fcgiwrap}, nil},
	} {
		if got := c.app.Warnings(); !slices.Equal(got, c.want) {
			t.Errorf("%q, only %q: %q;\nwant %q", c.app.Roots, c.app.Only, got, c.want)
		}
	}
}
