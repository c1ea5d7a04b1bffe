package script

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/cgi/process"
)

// TestDir: a program starts where Dir says, and Explain says so.
func TestDir(t *testing.T) {
	f := newFixture(t)
	f.Dir = f.dir + "/data"
	f.sh(t, "bin/x", head+"pwd")
	f.write(t, "data/file", "", 0o644)
	s, res := f.serve(request("/bin/x"))
	checkOK(t, s, res, f.Dir+"\n")
	e, err := f.Explain(request("/bin/x"))
	if err != nil || e.Finding != nil || e.Dir != f.Dir {
		t.Errorf("%+v, %v; want the directory %s", e, err, f.Dir)
	}

	// It may go away later.
	if err := os.RemoveAll(f.Dir); err != nil {
		t.Fatal(err)
	}
	const missing = "the directory that the program starts in does not exist: create it"
	_, res = f.serve(request("/bin/x"))
	checkRefused(t, res, 403, f.Dir+": "+missing)
	if e, err := f.Explain(request("/bin/x")); err != nil || e.Finding == nil || e.Finding.Check != CheckDir || e.Finding.Path != f.Dir {
		t.Errorf("%+v, %v; want that %s is missing", e, err, f.Dir)
	}
	again := f.Clone()
	if err := again.Check(); err == nil || err.Error() != "directory: "+f.Dir+": "+missing {
		t.Errorf("Check = %v", err)
	}
	if err := again.Prepare(); err == nil || !strings.HasPrefix(err.Error(), "directory: ") {
		t.Errorf("Prepare = %v", err)
	}
	again.Close()
}

// TestDirErrors: what cannot be is told beforehand, together with all else.
func TestDirErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const held = "directory: run_as, check_owner and check_mode run each program in its own directory: remove it, or them"
	for _, c := range []struct {
		app  *App
		want string
	}{
		{&App{Dir: dir}, "<nil>"},
		{&App{Dir: "data"}, `directory: "data" is not an absolute path`},
		{&App{Dir: file}, "directory: " + file + ": the program is to start in it, and it is no directory"},
		{&App{Dir: dir + "/a"}, "directory: " + dir + "/a: the directory that the program starts in does not exist: create it"},
		{&App{Dir: dir, Confinement: process.Confinement{CheckMode: true}}, held},
		{&App{Dir: dir, Confinement: process.Confinement{CheckOwner: true}}, held},
		{&App{Dir: "data", Confinement: process.Confinement{Nice: 20}}, "directory: \"data\" is not an absolute path\nnice: 20 is not from -20 to 19"},
	} {
		if got := fmt.Sprint(c.app.Check()); got != c.want {
			t.Errorf("%q: %s; want %s", c.app.Dir, got, c.want)
		}
	}
}

// TestDirLikeFcgiwrap: FCGI_CHDIR is the word of one request.
func TestDirLikeFcgiwrap(t *testing.T) {
	f := newFixture(t)
	f.Manner, f.Roots, f.Dir = Fcgiwrap, nil, f.dir
	path := f.sh(t, "bin/x", head+"pwd")
	own, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for vars, want := range map[string]string{"": f.dir, "FCGI_CHDIR=/usr": "/usr", "FCGI_CHDIR=-": own} {
		r := request("/x", "SCRIPT_FILENAME="+path)
		if name, value, ok := strings.Cut(vars, "="); ok {
			r.Env.Set(name, value)
		}
		s, res := f.serve(r)
		checkOK(t, s, res, want+"\n")
	}
}

// TestDirInChroot: it is a directory as programs see it.
func TestDirInChroot(t *testing.T) {
	needRoot(t)
	f := newFixture(t)
	f.open(t)
	jail := filepath.Join(f.dir, "jail")
	f.Roots, f.Dir = []string{jail + "/cgi-bin"}, "/data"
	f.RunAs.User, f.Confinement.Chroot = "nobody", jail
	static(t, jail+"/cgi-bin", "x", tellC)
	f.write(t, "jail/file", "", 0o644)
	missing := "directory: " + jail + "/data: the directory that the program starts in does not exist: create it: programs see it as /data (chroot)"
	if err := f.Check(); err == nil || err.Error() != missing {
		t.Errorf("%v; want %s", err, missing)
	}
	f.write(t, "jail/data/x", "", 0o644)
	s, res := f.serve(request("/x"))
	checkOK(t, s, res, "/cgi-bin/x |/cgi-bin/x|/data|file\n")
	if e, err := f.Explain(request("/x")); err != nil || e.Finding != nil || e.Dir != "/data" {
		t.Errorf("%+v, %v; want the directory /data", e, err)
	}
	if err := os.RemoveAll(jail + "/data"); err != nil {
		t.Fatal(err)
	}
	_, res = f.serve(request("/x"))
	checkRefused(t, res, 403, jail+"/data: the directory that the program starts in does not exist")
}

// TestHome: programs of another user have that user's HOME, unless somebody says
// otherwise.
func TestHome(t *testing.T) {
	needRoot(t)
	t.Setenv("HOME", "/root/of-this-process")
	const script = head + `echo "${HOME-unset}"`
	home := lookupHome(t, "daemon")
	for _, c := range []struct {
		name string
		set  func(*App)
		sent []string
		want string
	}{
		{"as this process", func(a *App) {}, nil, "unset"},
		{"as this process, inherited", func(a *App) { a.Inherit = []string{"HOME"} }, nil, "/root/of-this-process"},
		{"user", func(a *App) { a.RunAs.User = "daemon" }, nil, home},
		{"number", func(a *App) { a.RunAs.User = fmt.Sprint(lookupAccount(t, "daemon").uid) }, nil, home},
		{"no user's number", func(a *App) { a.RunAs = process.RunAs{User: "54321", Group: "54321"} }, nil, "unset"},
		{"user, inherited", func(a *App) { a.RunAs.User, a.Inherit = "daemon", []string{"PATH", "HOME"} }, nil, home},
		{"user, all inherited", func(a *App) { a.RunAs.User, a.InheritAll = "daemon", true }, nil, home},
		{"user and env", func(a *App) { a.RunAs.User, a.Env = "daemon", []string{"HOME=/env"} }, nil, "/env"},
		{"user and the web server", func(a *App) { a.RunAs.User = "daemon" }, []string{"HOME=/sent"}, "/sent"},
	} {
		f := newFixture(t)
		f.open(t)
		c.set(f.App)
		f.sh(t, "x", script)
		s, res := f.serve(request("/x", c.sent...))
		if res.Err != nil || s.Body.String() != c.want+"\n" {
			t.Errorf("%s: %q, %v; want %q", c.name, s.Body.String(), res.Err, c.want)
		}
		e, err := f.Explain(request("/x", c.sent...))
		if has := err == nil && slices.Contains(e.Env, "HOME="+c.want); has != (c.want != "unset") {
			t.Errorf("%s: Explain has %q, %v", c.name, e.Env, err)
		}
		f.Close()
	}
}

// TestHomeOfOwner: with RunAs.Owner it is the owner's.
func TestHomeOfOwner(t *testing.T) {
	needRoot(t)
	nobody := lookupAccount(t, "nobody")
	f := newFixture(t)
	f.open(t)
	f.RunAs.Owner = true
	path := f.sh(t, "home/x", head+`echo "$HOME"`)
	for _, p := range []string{path, filepath.Dir(path)} {
		if err := os.Chown(p, nobody.uid, nobody.gid); err != nil {
			t.Fatal(err)
		}
	}
	s, res := f.serve(request("/home/x"))
	checkOK(t, s, res, lookupHome(t, "nobody")+"\n")
}

// TestHomeInChroot: it is a path as programs see it, and their root if they have none.
func TestHomeInChroot(t *testing.T) {
	needRoot(t)
	const homeC = `#include <stdio.h>
#include <stdlib.h>
int main(void) {
	printf("Content-Type: text/plain\n\n%s", getenv("HOME"));
	return 0;
}
`
	home := lookupHome(t, "daemon")
	for _, there := range []bool{false, true} {
		f := newFixture(t)
		f.open(t)
		jail := filepath.Join(f.dir, "jail")
		f.Roots, f.RunAs.User, f.Confinement.Chroot = []string{jail + "/cgi-bin"}, "daemon", jail
		static(t, jail+"/cgi-bin", "x", homeC)
		want := "/"
		if there {
			f.write(t, "jail"+home+"/file", "", 0o644)
			want = home
		}
		s, res := f.serve(request("/x"))
		checkOK(t, s, res, want)
		f.Close()
	}
}
