package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/fastcgi/pool/python"
)

// wsgiConfig parses a configuration in which DIR is a directory with the module app.
func wsgiConfig(t *testing.T, text string) (c *Config, dir string, err error) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app.py"), []byte("def app(environ, start_response): pass\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err = ParseConfig("g.toml", []byte(strings.ReplaceAll(text, "DIR", dir)))
	return c, dir, err
}

func TestWSGIKeys(t *testing.T) {
	c, dir, err := wsgiConfig(t, `
programs = 8
reload_on_change = true
validate = true
[[app]]
wsgi = "app:app"
directory = "DIR"
python = "python3"
workers = 3
minimum = 0
idle_end = "1m"
ready = "2m"
recycle_requests = 500
recycle_age = "24h"
recycle_memory = "256MiB"
env = { A = "b" }
inherit = "all"
umask = "027"
streaming = true
run = "30s"
[[app]]
prefix = "/more"
wsgi = "app:app"
directory = "DIR"
minimum = 1
inherit = ["HOME"]
[[app]]
prefix = "/usual"
wsgi = "app:app"
directory = "DIR"
`)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ got, want string }{
		{wsgiText(c, 0), fmt.Sprintf("app:app %s python3 workers 3 minimum -1 idle 1m0s ready 2m0s recycle 500 24h0m0s 268435456 env [A=b] inherit [] all true streaming true run 30s programs 8", dir)},
		{wsgiText(c, 1), fmt.Sprintf("app:app %s  workers 0 minimum 1 idle 0s ready 0s recycle 0 0s 0 env [] inherit [HOME] all false streaming false run 0s programs 8", dir)},
		{wsgiText(c, 2), fmt.Sprintf("app:app %s  workers 0 minimum 0 idle 0s ready 0s recycle 0 0s 0 env [] inherit [] all false streaming false run 0s programs 8", dir)},
	}
	for i, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("application %d:\n got %s\nwant %s", i, tt.got, tt.want)
		}
	}
	if suffix, dirs := c.sourceDirs(); suffix != ".py" || !slices.Equal(dirs, []string{dir, dir, dir}) {
		t.Errorf("the sources are %s in %q", suffix, dirs)
	}
	// What the workers get, whatever programs the others may have.
	app, closeApp, err := c.Apps[0].Kind.prepare(preparation{validate: c.Validate, limits: c.Apps[0].Limits})
	if err != nil {
		t.Fatal(err)
	}
	defer closeApp()
	a := app.(*python.App)
	if !a.Validate || a.Limits.Programs != 3 || a.Limits.Minimum != -1 || a.Limits.Run.String() != "30s" || a.Confinement.Umask != 0o27 {
		t.Errorf("prepared: %+v", a)
	}
}

func wsgiText(c *Config, i int) string {
	a, limits := c.Apps[i].Kind.(*wsgiKind).app, c.Apps[i].Limits
	l := &a.Limits
	return fmt.Sprintf("%s %s %s workers %d minimum %d idle %v ready %v recycle %d %v %d env %v inherit %v all %v streaming %v run %v programs %d",
		a.Application, a.Dir, a.Python, l.Programs, l.Minimum, l.Idle, l.Ready, l.Requests, l.Age, l.Memory, a.Env, a.Inherit, a.InheritAll, a.Streaming, limits.Run, limits.Programs)
}

func TestWSGIErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"wsgi = 'app:app'\ndirectory = 'DIR'\nprograms = 3\n", "g.toml:3:1: programs: its processes are workers: write workers"},
		{"wsgi = 'app:app'\ndirectory = 'DIR'\nminimum = -1\n", "g.toml:3:1: minimum: -1 is less than 0"},
		{"wsgi = 'app:app'\ndirectory = 'DIR'\nworkers = 0\n", "g.toml:3:1: workers: 0 is less than 1"},
		{"wsgi = 'app:app'\ndirectory = 'DIR'\ninherit = ['HOME', 'all']\n", `g.toml:3:1: inherit: "all" must be the only value`},
		{"wsgi = 'app:app'\ndirectory = 'DIR'\nrun_as = 'owner'\n", `g.toml:1:1: application "/" has no run_as: its processes serve all requests, so they have one user: write user`},
		{"wsgi = 'app:app'\ndirectory = 'DIR'\nkeep = 1\n", `g.toml:1:1: application "/" has no keep: each worker has one connection, which is kept`},
		{"wsgi = 'app:app'\ndirectory = 'project'\n", `g.toml:2:1: directory: "project" is not an absolute path`},
		{"wsgi = 'app:create()'\ndirectory = 'DIR'\n", `g.toml:1:1: wsgi: "create()" is a call`},
		{"wsgi = ['a:b', 'c:d']\ndirectory = 'DIR'\n", "g.toml:1:1: wsgi: "},
		{"wsgi = 'app:app'\nscripts = '/usr'\n", `is more than one thing (`},
	} {
		_, _, err := wsgiConfig(t, tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v; want %s", tt.text, err, tt.want)
		}
	}
}

// TestWSGIWarnings: a module that is not in the directory is hardly meant, unless a package may
// have it.
func TestWSGIWarnings(t *testing.T) {
	for module, warned := range map[string]bool{"app": false, "shop": true, "shop.wsgi": true, "installed": false} {
		c, dir, err := wsgiConfig(t, "wsgi = '"+module+":app'\ndirectory = 'DIR'\n")
		if err != nil {
			t.Fatal(err)
		}
		packages := filepath.Join(dir, ".venv", "lib", "python3.11", "site-packages")
		for file, text := range map[string]string{
			filepath.Join(packages, "installed.py"):              "",
			filepath.Join(dir, ".venv", "pyvenv.cfg"):            "version = 3.11.2\n",
			filepath.Join(dir, ".venv", "bin", "python3"):        "",
			filepath.Join(packages, "distutils-precedence.pth"):  "",
			filepath.Join(packages, "installed-1.0.dist", "TOP"): "",
		} {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if lines := c.Warnings(); (len(lines) > 0) != warned {
			t.Errorf("%s: warnings %q", module, lines)
		}
		if err := os.WriteFile(filepath.Join(packages, "editable.pth"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if lines := c.Warnings(); len(lines) > 0 {
			t.Errorf("%s, which may be installed elsewhere: warnings %q", module, lines)
		}
	}
}
