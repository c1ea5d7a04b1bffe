package packaging_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/machine"
)

// stub is the description of a package of rpm that has one file, and provides what it is said to.
const stub = `Name: %[1]s
Version: 1
Release: 1
Summary: in the place of the real one
License: none
BuildArch: noarch
Provides: %[2]s
%%description
%%install
mkdir -p %%{buildroot}$(dirname %[3]s) && echo >%%{buildroot}%[3]s
%%files
%[3]s
`

// stubRPM builds such a package in the machine, and returns its path.
func stubRPM(m *machine.Machine, name, provides, file string) string {
	m.Write("/root/"+name+".spec", fmt.Sprintf(stub, name, provides, file), 0o644)
	m.Run("rpmbuild", "-bb", "--quiet", "/root/"+name+".spec")
	return "/root/rpmbuild/RPMS/noarch/" + name + "-1-1.noarch.rpm"
}

// TestRPMInstalled: rpm itself installs, upgrades and removes the rpms, whose scripts run under
// systemd. The machine is a Debian, whose rpm knows of no other package: one stands for what all
// systems with rpm have, and another for their fcgiwrap.
func TestRPMInstalled(t *testing.T) {
	t.Parallel()
	m := machine.Boot(t)
	rpm := m.Copy(built(t, "gatehouse", ".rpm"), "/root")
	wrap := m.Copy(built(t, "gatehouse-fcgiwrap", ".rpm"), "/root")
	m.Run("rpm", "--checksig", "--nosignature", rpm, wrap)
	install := func(args ...string) {
		t.Helper()
		if out := m.Run("rpm", append([]string{"--force-debian"}, args...)...); strings.Contains(out, "scriptlet failed") {
			t.Errorf("rpm %q:\n%s", args, out)
		}
	}
	if out := m.Fails("rpm", "--force-debian", "--install", wrap, rpm); !strings.Contains(out, "systemd is needed by gatehouse-") {
		t.Errorf("without systemd, rpm says %s", out)
	}
	install("--install", stubRPM(m, "base", "systemd", "/usr/share/base"), stubRPM(m, "fcgiwrap", "httpd-cgi", "/usr/sbin/fcgiwrap"))
	if out := m.Fails("rpm", "--force-debian", "--upgrade", wrap); !strings.Contains(out, "gatehouse >= ") {
		t.Errorf("without gatehouse, rpm says %s", out)
	}
	install("--install", rpm)
	if changed := m.Run("rpm", "--verify", "gatehouse"); changed != "" {
		t.Errorf("what is installed is not what is in the package:\n%s", changed)
	}
	if user := m.Shell("getent passwd gatehouse; getent group www-data; stat -c '%U %a' /run/gatehouse"); !strings.HasSuffix(user, "root 755") {
		t.Errorf("the user, the group of sockets and their directory: %s", user)
	}
	for _, unit := range []string{"gatehouse.socket", "gatehouse.service"} {
		if state := m.Property(unit, "UnitFileState") + " " + m.Property(unit, "ActiveState"); state != "disabled inactive" {
			t.Errorf("%s is %s after the installation", unit, state)
		}
	}
	m.Write("/usr/lib/cgi-bin/whoami", whoami, 0o755)
	site(m, "/run/gatehouse/fastcgi.sock")
	m.Run("systemctl", "enable", "--now", "gatehouse.socket")
	served := func(when string) {
		t.Helper()
		if got := get(m, "/cgi-bin/whoami"); !strings.HasPrefix(got, "gatehouse") {
			t.Errorf("%s, the program says %q", when, got)
		}
	}
	served("installed")

	// Another installation is an upgrade: the service is restarted, the socket is not.
	socket, service := m.Property("gatehouse.socket", "InvocationID"), m.Property("gatehouse.service", "InvocationID")
	m.Shell("echo '# mine' >>/etc/gatehouse/gatehouse.toml")
	install("--upgrade", "--force", rpm)
	served("upgraded")
	if m.Property("gatehouse.socket", "InvocationID") != socket || m.Property("gatehouse.service", "InvocationID") == service {
		t.Error("after an upgrade, the socket is another one, or the service the same")
	}
	if last := m.Run("tail", "-n", "1", "/etc/gatehouse/gatehouse.toml"); last != "# mine" {
		t.Errorf("after an upgrade, the configuration ends in %q", last)
	}

	// What is stopped, disabled or masked stays so.
	states := func() string {
		var list []string
		for _, unit := range []string{"gatehouse.socket", "gatehouse.service"} {
			list = append(list, unit, m.Property(unit, "UnitFileState"), m.Property(unit, "ActiveState"), m.Property(unit, "InvocationID"))
		}
		return strings.Join(list, " ")
	}
	for _, prepare := range []string{
		"systemctl stop gatehouse.socket gatehouse.service",
		"systemctl disable gatehouse.socket",
		"systemctl mask gatehouse.socket gatehouse.service",
	} {
		m.Shell(prepare)
		before := states()
		install("--upgrade", "--force", rpm)
		if after := states(); after != before {
			t.Errorf("after %s and an upgrade, the units are\n%s\nwant\n%s", prepare, after, before)
		}
	}
	m.Shell("systemctl unmask gatehouse.socket gatehouse.service; systemctl enable --now gatehouse.socket")
	served("unmasked")

	// It takes the place of the other fcgiwrap.
	install("--upgrade", wrap)
	if out := m.Fails("rpm", "--query", "fcgiwrap"); !strings.Contains(out, "not installed") {
		t.Errorf("of fcgiwrap, rpm says %s", out)
	}
	if link := m.Run("readlink", "/usr/sbin/fcgiwrap"); link != "../bin/gatehouse" {
		t.Errorf("/usr/sbin/fcgiwrap leads to %s", link)
	}
	m.Run("systemctl", "enable", "--now", "gatehouse-fcgiwrap.socket")
	site(m, "/run/fcgiwrap.socket")
	if got := get(m, "/cgi-bin/whoami"); !strings.HasPrefix(got, "www-data") {
		t.Errorf("as fcgiwrap, the program says %q", got)
	}

	install("--erase", "gatehouse-fcgiwrap", "gatehouse")
	if units := m.Run("systemctl", "list-units", "--no-legend", "gatehouse*"); units != "" {
		t.Errorf("units are active after the removal:\n%s", units)
	}
	if m.Exists("/usr/bin/gatehouse") || m.Exists("/usr/sbin/fcgiwrap") || !m.Exists("/etc/gatehouse/gatehouse.toml.rpmsave") {
		t.Error("after the removal, programs are left, or the changed configuration is not")
	}
	if failed := m.Run("systemctl", "--failed", "--no-legend"); failed != "" {
		t.Errorf("units have failed:\n%s", failed)
	}
}
