package packaging_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/machine"
	"gatehouse/internal/testkit"
)

// TestLintian: Debian's policy has no errors to find.
func TestLintian(t *testing.T) {
	out, err := exec.Command("lintian", "--fail-on", "error", built(t, "gatehouse", ".deb"), built(t, "gatehouse-fcgiwrap", ".deb")).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// TestContents: this is all that the packages for Debian have, and nothing in /srv.
func TestContents(t *testing.T) {
	want := map[string][]string{"gatehouse": {
		"/usr/bin/gatehouse",
		"/etc/gatehouse/gatehouse.toml", "/etc/gatehouse/git.toml", "/etc/logrotate.d/gatehouse",
		"/usr/lib/systemd/system/gatehouse.service", "/usr/lib/systemd/system/gatehouse.socket",
		"/usr/lib/systemd/system/gatehouse@.service", "/usr/lib/systemd/system/gatehouse@.socket",
		"/usr/lib/systemd/system/gatehouse-admin.socket", "/usr/lib/systemd/system/gatehouse-admin@.socket",
		"/usr/lib/systemd/system/gatehouse@git.service.d/git.conf",
		"/usr/share/gatehouse/systemd/compat.conf", "/usr/share/gatehouse/systemd/cgroup.conf",
		"/usr/lib/sysusers.d/gatehouse.conf", "/usr/lib/tmpfiles.d/gatehouse.conf",
		"/usr/share/gatehouse/git/sysusers.conf", "/usr/share/gatehouse/git/tmpfiles.conf",
		"/usr/share/man/man1/gatehouse.1.gz", "/usr/share/man/man5/gatehouse.toml.5.gz",
		"/usr/share/bash-completion/completions/gatehouse", "/usr/share/zsh/vendor-completions/_gatehouse",
		"/usr/share/fish/vendor_completions.d/gatehouse.fish",
		"/usr/share/gatehouse/prometheus/alerts.yml", "/usr/share/gatehouse/prometheus/dashboard.json", "/usr/share/gatehouse/prometheus/scrape.yml",
		"/usr/share/doc/gatehouse/README.md", "/usr/share/doc/gatehouse/systemd.md", "/usr/share/doc/gatehouse/cgi.md", "/usr/share/doc/gatehouse/operating.md",
		"/usr/share/doc/gatehouse/copyright", "/usr/share/doc/gatehouse/changelog.Debian.gz", "/usr/share/lintian/overrides/gatehouse",
	}, "gatehouse-fcgiwrap": {
		"/usr/sbin/fcgiwrap",
		"/usr/lib/systemd/system/gatehouse-fcgiwrap.service", "/usr/lib/systemd/system/gatehouse-fcgiwrap.socket",
		"/usr/lib/sysusers.d/gatehouse-fcgiwrap.conf", "/usr/share/man/man8/fcgiwrap.8.gz",
		"/usr/share/doc/gatehouse-fcgiwrap/copyright", "/usr/share/doc/gatehouse-fcgiwrap/changelog.Debian.gz",
	}}
	for name, want := range want {
		out, err := exec.Command("sh", "-ec", `dpkg-deb --fsys-tarfile "$1" | tar -t | sed -n 's|^\.||; /[^/]$/p'`, "sh", built(t, name, ".deb")).Output()
		got := slices.Sorted(strings.FieldsSeq(string(out)))
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s has, %v\n%s\nwant\n%s", name, err, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
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
	for _, file := range []string{"usr/local/bin/gatehouse", "usr/local/share/man/man1/gatehouse.1.gz", "usr/local/lib/sysusers.d/gatehouse.conf"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
	for _, file := range []string{"etc/gatehouse/git.toml", "usr/local/share/gatehouse/systemd/compat.conf", "usr/local/share/gatehouse/systemd/cgroup.conf", "usr/local/share/doc/gatehouse/systemd.md"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(text), " /usr/local/share/gatehouse/") || strings.Contains(string(text), " /usr/share/gatehouse") {
			t.Errorf("%s names places where nothing is, %v\n%s", file, err, text)
		}
	}
}

// TestMakeInstallRuns: what "make install" installs runs as docs/systemd.md says, where there is
// no package, under systemd.
func TestMakeInstallRuns(t *testing.T) {
	t.Parallel()
	m := machine.Boot(t)
	dir := t.TempDir()
	const install = "make install\n"
	var commands string
	for _, b := range testkit.CodeBlocks(t, "../../docs/systemd.md") {
		if b.Section == "Without a package" {
			commands += b.Text
		}
	}
	rest, found := strings.CutPrefix(commands, install)
	if !found {
		t.Fatalf("docs/systemd.md says %q", commands)
	}
	// The machine has neither Go nor the repository.
	archive := filepath.Join(dir, "root.tar")
	script := install[:len(install)-1] + ` -C ../.. DESTDIR="$1/root" && tar -C "$1/root" --owner=root --group=root -cf "$2" .`
	if out, err := exec.Command("sh", "-ec", script, "sh", dir, archive).CombinedOutput(); err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	m.Shell("tar -C / --keep-directory-symlink -xf " + m.Copy(archive, "/root"))
	m.Shell(rest)
	if out := m.Run("/usr/local/bin/gatehouse", "check"); !strings.Contains(out, "no errors") || strings.Contains(out, "warning") {
		t.Errorf("the example is not in order: %s", out)
	}
	m.Write("/usr/lib/cgi-bin/whoami", whoami, 0o755)
	site(m, "/run/gatehouse/fastcgi.sock")
	if got := get(m, "/cgi-bin/whoami"); !strings.HasPrefix(got, "gatehouse") {
		t.Errorf("the program says %q", got)
	}
	m.Run("sync")
	m.Reboot()
	if got := get(m, "/cgi-bin/whoami"); !strings.HasPrefix(got, "gatehouse") {
		t.Errorf("after a reboot, the program says %q", got)
	}
	if exe := m.Run("readlink", "/proc/"+m.Property("gatehouse.service", "MainPID")+"/exe"); exe != "/usr/local/bin/gatehouse" {
		t.Errorf("the service runs %s", exe)
	}
}
