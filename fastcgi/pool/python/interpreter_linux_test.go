package python

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindInterpreter(t *testing.T) {
	usr := []string{"usr/bin/python3->python3.11", "usr/bin/python3.11=", "usr/bin/python3.12=", "usr/bin/python3.7=", "usr/bin/python2.7="}
	cfg := func(venv, version string) string {
		return venv + "/pyvenv.cfg=home = $/usr/bin\ninclude-system-site-packages = false\nversion = " + version + "\n"
	}
	tests := []struct {
		name   string
		python string // in the directory
		dir    []string
		want   string // path venv version from
		err    string
	}{
		{"nothing written, nothing there", "", nil, "usr/bin/python3 - 3.11 PATH", ""},
		{".venv in the directory", "", []string{cfg("app/.venv", "3.11.2"), "app/.venv/bin/python3->python", "app/.venv/bin/python->$/usr/bin/python3"}, "app/.venv/bin/python3 app/.venv 3.11 directory", ""},
		{"venv in the directory", "", []string{cfg("app/venv", "3.11.2"), "app/venv/bin/python3->$/usr/bin/python3"}, "app/venv/bin/python3 app/venv 3.11 directory", ""},
		{"a directory venv without an environment", "", []string{"app/venv/notes=x"}, "usr/bin/python3 - 3.11 PATH", ""},
		{"written: an environment", "v", []string{cfg("v", "3.11.2"), "v/bin/python3->$/usr/bin/python3", cfg("app/venv", "3.9")}, "v/bin/python3 v 3.11 python", ""},
		{"written: its program", "v/bin/python", []string{cfg("v", "3.11.2"), "v/bin/python->python3", "v/bin/python3->$/usr/bin/python3"}, "v/bin/python v 3.11 python", ""},
		{"written: a name", "python3.12", nil, "usr/bin/python3.12 - 3.12 python", ""},
		{"written: a program", "usr/bin/python3.12", nil, "usr/bin/python3.12 - 3.12 python", ""},
		{"an installation", "opt/python", []string{"opt/python/bin/python3->python3.13", "opt/python/bin/python3.13="}, "opt/python/bin/python3 - 3.13 python", ""},
		{"of pyenv", "pyenv/versions/3.9.18", []string{"pyenv/versions/3.9.18/bin/python3->python", "pyenv/versions/3.9.18/bin/python="}, "pyenv/versions/3.9.18/bin/python3 - 3.9 python", ""},
		{"virtualenv's and uv's", "v", []string{"v/pyvenv.cfg=home = $/usr/bin\nimplementation = CPython\nversion_info = 3.11.2.final.0\n", "v/bin/python->$/usr/bin/python3.11"}, "v/bin/python v 3.11 python", ""},
		{"a name that tells no version", "v", []string{cfg("v", "3.11.2"), "v/bin/python3->$/opt/bin/python", "opt/bin/python="}, "v/bin/python3 v 3.11 python", ""},

		{"upgraded", "v", []string{cfg("v", "3.9.18"), "v/bin/python3->$/usr/bin/python3"}, "",
			"$/v was made for Python 3.9, and its Python is now 3.11 ($/usr/bin/python3.11), which finds none of its packages: make it anew (python3 -m venv --clear $/v), and install its packages"},
		{"removed", "v", []string{cfg("v", "3.9.18"), "v/bin/python3->python", "v/bin/python->$/usr/bin/python3.9"}, "",
			"$/v was made with $/usr/bin/python3.9, which is gone: make it anew (python3 -m venv --clear $/v), and install its packages"},
		{"its home is gone", "v", []string{"v/pyvenv.cfg=home = $/opt/python/bin\nversion = 3.11.2\n", "v/bin/python3="}, "",
			"$/v was made with the Python in $/opt/python/bin, which is gone: make it anew"},
		{"empty", "", []string{cfg("app/.venv", "3.11.2")}, "", "$/app/.venv has no bin/python3: make it anew"},
		{"one that is there and broken is not passed over", "", []string{cfg("app/.venv", "3.9"), "app/.venv/bin/python3->$/usr/bin/python3"}, "", "$/app/.venv was made for Python 3.9"},
		{"a pyvenv.cfg that is a directory", "v", []string{"v/pyvenv.cfg/", "v/bin/python3="}, "", "$/v: its pyvenv.cfg is not that of a virtual environment"},
		{"a directory", "v", []string{"v/"}, "", "$/v is a directory, but no virtual environment (it has no pyvenv.cfg): make one (python3 -m venv $/v), or write the path of a Python"},
		{"missing", "v", nil, "", "$/v does not exist: write the path of a Python, or of a virtual environment"},
		{"a link to nothing", "bin/python", []string{"bin/python->$/gone"}, "", "$/bin/python leads to $/gone, which does not exist: install that Python"},
		{"no program", "notes.txt", []string{"notes.txt=x"}, "", "$/notes.txt is not a program: write the path of a Python, or of a virtual environment"},
		{"old", "usr/bin/python3.7", nil, "", "$/usr/bin/python3.7 is Python 3.7: workers need Python 3.8 or newer: install one, and write its path as python"},
		{"very old", "python2.7", nil, "", "is Python 2.7: workers need"},
		{"an environment of an old one", "v", []string{cfg("v", "3.7.9"), "v/bin/python3->$/usr/bin/python3.7"}, "", "$/v/bin/python3 is Python 3.7"},
		{"a name that PATH does not have", "python3.99", nil, "", "there is no python3.99 in PATH ($/usr/bin): install it, or write the path of a Python"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			layOut(t, dir, append(append([]string{"app/"}, usr...), tt.dir...)...)
			t.Setenv("PATH", filepath.Join(dir, "usr/bin"))
			python := tt.python
			if python != "" && !strings.HasPrefix(python, "python") {
				python = filepath.Join(dir, python)
			}
			i, err := FindInterpreter(python, filepath.Join(dir, "app"), "")
			if tt.err != "" {
				if want := strings.ReplaceAll(tt.err, "$", dir); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%+v, error %v;\nwant %s", i, err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			venv := "-"
			if i.Venv != "" {
				venv = strings.TrimPrefix(i.Venv, dir+"/")
			}
			if got := fmt.Sprintf("%s %s %s %s", strings.TrimPrefix(i.Path, dir+"/"), venv, i.Version, i.From); got != tt.want {
				t.Errorf("found %s; want %s", got, tt.want)
			}
		})
	}
	if _, err := FindInterpreter("venv/bin/python", "", ""); err == nil || !strings.Contains(err.Error(), `"venv/bin/python" is not an absolute path`) {
		t.Errorf("a relative path: %v", err)
	}
}

// TestFindInterpreterInRoot: in a chroot, links lead to what is in it, and are left to the start.
func TestFindInterpreterInRoot(t *testing.T) {
	jail := t.TempDir()
	layOut(t, jail, "usr/bin/python3->/usr/bin/python3.1", "srv/app/venv/pyvenv.cfg=home = /usr/bin\nversion = 3.11.2\n", "srv/app/venv/bin/python3->/usr/bin/python3")
	t.Setenv("PATH", "/usr/bin")
	i, err := FindInterpreter("", "/srv/app", jail)
	if err != nil || i.Path != filepath.Join(jail, "srv/app/venv/bin/python3") || i.Version != "3.11" {
		t.Errorf("%+v, %v", i, err)
	}
	if i, err = FindInterpreter("", "/srv", jail); err == nil || !strings.Contains(err.Error(), "below "+jail) {
		t.Errorf("dangling, without a chroot: %+v, %v", i, err)
	}
	layOut(t, jail, "bin/python3=")
	t.Setenv("PATH", "/bin")
	if i, err = FindInterpreter("", "/srv", jail); err != nil || i.Path != filepath.Join(jail, "bin/python3") {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestRealVenv: what python3 -m venv makes is found, and its version is that which it tells.
func TestRealVenv(t *testing.T) {
	dir := t.TempDir()
	venv := filepath.Join(dir, "venv")
	if out, err := exec.Command("python3", "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Fatalf("python3 -m venv: %v\n%s", err, out)
	}
	i, err := FindInterpreter("", dir, "")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(i.Path, "-c", "import sys; print('%s %d.%d' % ((sys.prefix,) + sys.version_info[:2]))").Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != i.Venv+" "+i.Version {
		t.Errorf("it says %q, %v; found %+v", got, err, i)
	}
}
