package packaging_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLintian: Debian's policy has no errors to find.
func TestLintian(t *testing.T) {
	out, err := exec.Command("lintian", "--fail-on", "error", built(t, "gatehouse", ".deb"), built(t, "gatehouse-fcgiwrap", ".deb")).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// TestRPM: the rpm has the files and the maintainer's scripts that the deb has.
func TestRPM(t *testing.T) {
	onlyDebian := []string{"/usr/share/lintian/overrides/gatehouse", "/usr/share/doc/gatehouse/changelog.Debian.gz", "/usr/share/doc/gatehouse-fcgiwrap/changelog.Debian.gz"}
	for _, name := range []string{"gatehouse", "gatehouse-fcgiwrap"} {
		lines := func(script, file string) []string {
			out, err := exec.Command("sh", "-ec", script, "sh", file).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", file, err, out)
			}
			return slices.Sorted(strings.FieldsSeq(string(out)))
		}
		rpm := built(t, name, ".rpm")
		deb := lines(`dpkg-deb --fsys-tarfile "$1" | tar -t | sed -n 's|^\.||; /[^/]$/p'`, built(t, name, ".deb"))
		for i := range deb {
			deb[i] = strings.Replace(deb[i], "/zsh/vendor-completions/", "/zsh/site-functions/", 1)
		}
		slices.Sort(deb)
		deb = slices.DeleteFunc(deb, func(path string) bool { return slices.Contains(onlyDebian, path) })
		got := lines(`rpm -qp --qf '[%{FILEMODES:perms} %{FILENAMES}\n]' "$1" 2>/dev/null | sed -n 's/^[^d][^ ]* //p'`, rpm)
		if !slices.Equal(got, deb) {
			t.Errorf("the rpm has\n%s\nthe deb has\n%s", strings.Join(got, "\n"), strings.Join(deb, "\n"))
		}
		scripts, err := exec.Command("rpm", "-qp", "--scripts", rpm).Output()
		for _, want := range []string{"postinstall", "preuninstall", "postuninstall"} {
			if err != nil || !strings.Contains(string(scripts), want+" scriptlet") {
				t.Errorf("%s has no script %s, %v", name, want, err)
			}
		}
	}
}

// TestMakeInstall: below another prefix, the files name each other's places.
func TestMakeInstall(t *testing.T) {
	dir := t.TempDir()
	// A configuration that is there stays.
	config := filepath.Join(dir, "etc/gatehouse/gatehouse.toml")
	if err := errors.Join(os.MkdirAll(filepath.Dir(config), 0o755), os.WriteFile(config, []byte("mine"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("make", "-C", "../..", "install", "DESTDIR="+dir).CombinedOutput(); err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	if text, err := os.ReadFile(config); err != nil || string(text) != "mine" {
		t.Errorf("the configuration that was there is now %q, %v", text, err)
	}
	unit, err := os.ReadFile(filepath.Join(dir, "usr/local/lib/systemd/system/gatehouse.service"))
	if err != nil || !strings.Contains(string(unit), "ExecStart=/usr/local/bin/gatehouse ") || strings.Contains(string(unit), "/usr/bin") || strings.Contains(string(unit), "/usr/share") {
		t.Errorf("the unit is, %v\n%s", err, unit)
	}
	for _, file := range []string{"usr/local/bin/gatehouse", "usr/local/share/man/man1/gatehouse.1.gz", "etc/gatehouse/git.toml", "usr/local/lib/sysusers.d/gatehouse.conf"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
}
