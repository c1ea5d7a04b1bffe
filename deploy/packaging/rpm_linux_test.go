package packaging_test

import (
	"strings"
	"testing"

	"gatehouse/internal/machine"
)

// TestRPMInstalled: rpm itself installs, upgrades and removes the rpms, whose scripts run under
// systemd. The machine is a Debian, where rpm knows of no other package, so dependencies are not
// part of it.
func TestRPMInstalled(t *testing.T) {
	t.Parallel()
	m := machine.Boot(t)
	rpm := m.Copy(built(t, "gatehouse", ".rpm"), "/root")
	wrap := m.Copy(built(t, "gatehouse-fcgiwrap", ".rpm"), "/root")
	m.Run("rpm", "--checksig", "--nosignature", rpm, wrap)
	install := func(args ...string) {
		t.Helper()
		if out := m.Run("rpm", append([]string{"--nodeps", "--force-debian"}, args...)...); strings.Contains(out, "scriptlet failed") {
			t.Errorf("rpm %q:\n%s", args, out)
		}
	}
	install("--install", rpm)
	if changed := m.Run("rpm", "--verify", "--nodeps", "gatehouse"); changed != "" {
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

	install("--install", wrap)
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
