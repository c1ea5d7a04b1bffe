package packaging_test

import (
	"strings"
	"testing"

	"gatehouse/internal/machine"
)

// TestTakeOver: gatehouse-fcgiwrap takes over from Debian's fcgiwrap, its socket path, user
// and options, without a change to the web server, and fcgiwrap from it.
func TestTakeOver(t *testing.T) { onEach(t, takeOver) }

func takeOver(t *testing.T, m *machine.Machine) {
	m.Shell("dpkg -i " + machine.Debs + "/*.deb")
	m.Write("/usr/lib/cgi-bin/whoami", whoami, 0o755)
	site(m, "/run/fcgiwrap.socket")
	check := func(when, program string) {
		t.Helper()
		got := get(m, "/cgi-bin/whoami")
		if want := "www-data " + program; got != want {
			t.Errorf("%s, the program says %q; want %q", when, got, want)
		}
		if failed := m.Run("systemctl", "--failed", "--no-legend"); failed != "" {
			t.Errorf("%s, units have failed:\n%s", when, failed)
		}
	}
	check("with fcgiwrap", "/usr/sbin/fcgiwrap")

	deb := m.Copy(built(t, "gatehouse", ".deb"), "/root")
	wrap := m.Copy(built(t, "gatehouse-fcgiwrap", ".deb"), "/root")
	m.Write("/etc/default/fcgiwrap", "DAEMON_OPTS=\"-f -c 2\"\n", 0o644)
	m.Run("apt-get", "install", "-y", "-q", deb, wrap)
	if state := m.Run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "fcgiwrap"); strings.HasPrefix(state, "ii") {
		t.Error("fcgiwrap is still installed")
	}
	check("with gatehouse", "/usr/bin/gatehouse")
	if args := m.Shell("tr '\\0' ' ' </proc/$(systemctl show --value -p MainPID fcgiwrap.service)/cmdline"); args != "/usr/sbin/fcgiwrap -f -c 2" {
		t.Errorf("it runs as %q", args)
	}
	m.Run("systemctl", "restart", "fcgiwrap.service")
	check("restarted by the name of fcgiwrap", "/usr/bin/gatehouse")
	m.Run("sync")
	m.Reboot()
	check("after a reboot", "/usr/bin/gatehouse")

	// And back, with options that fcgiwrap takes as well.
	m.Run("rm", "/etc/default/fcgiwrap")
	m.Shell("apt-get install -y -q " + machine.Debs + "/fcgiwrap_*.deb")
	check("with fcgiwrap again", "/usr/sbin/fcgiwrap")
	m.Run("dpkg", "--purge", "gatehouse-fcgiwrap")
	m.Run("systemctl", "restart", "fcgiwrap.socket")
	check("after purging gatehouse-fcgiwrap", "/usr/sbin/fcgiwrap")
}

// TestWrapKeepsStates: gatehouse-fcgiwrap starts nothing where policy-rc.d forbids it, and its
// upgrades leave alone what was stopped, disabled or masked. What runs is restarted, and not its
// socket, also when the binary is upgraded.
func TestWrapKeepsStates(t *testing.T) {
	t.Parallel()
	m := installed(t)
	wrap := m.Copy(built(t, "gatehouse-fcgiwrap", ".deb"), "/root")
	const forbid, allow = "printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d", "rm /usr/sbin/policy-rc.d"
	property := func(name string) string {
		return m.Property("gatehouse-fcgiwrap.socket", name) + " " + m.Property("gatehouse-fcgiwrap.service", name)
	}
	states := func() string {
		return property("UnitFileState") + " " + property("ActiveState") + " " + property("InvocationID")
	}

	m.Shell(forbid)
	m.Run("dpkg", "-i", wrap)
	if got := property("UnitFileState") + " " + property("ActiveState"); got != "enabled enabled inactive inactive" {
		t.Errorf("installed where policy-rc.d forbids to start, the units are %s", got)
	}
	m.Shell(allow)
	m.Write("/usr/lib/cgi-bin/whoami", whoami, 0o755)
	site(m, "/run/fcgiwrap.socket")
	for _, c := range []struct{ name, prepare, undo string }{
		{"stopped", "", ""},
		{"policy", "systemctl start gatehouse-fcgiwrap.socket gatehouse-fcgiwrap.service; " + forbid, allow},
		{"disabled", "systemctl disable --now gatehouse-fcgiwrap.service gatehouse-fcgiwrap.socket", ""},
		{"masked", "systemctl mask gatehouse-fcgiwrap.service gatehouse-fcgiwrap.socket",
			"systemctl unmask gatehouse-fcgiwrap.service gatehouse-fcgiwrap.socket; systemctl enable --now gatehouse-fcgiwrap.socket gatehouse-fcgiwrap.service"},
	} {
		m.Shell(c.prepare)
		before := states()
		m.Run("dpkg", "-i", wrap)
		if after := states(); after != before {
			t.Errorf("%s: before\n%s\nafter\n%s", c.name, before, after)
		}
		m.Shell(c.undo)
	}
	get(m, "/cgi-bin/whoami")
	socket, service := m.Property("gatehouse-fcgiwrap.socket", "InvocationID"), m.Property("gatehouse-fcgiwrap.service", "InvocationID")
	m.Run("dpkg", "-i", wrap)
	if m.Property("gatehouse-fcgiwrap.socket", "InvocationID") != socket || m.Property("gatehouse-fcgiwrap.service", "InvocationID") == service {
		t.Error("after an upgrade, the socket is another one, or the service the same")
	}
	if got := get(m, "/cgi-bin/whoami"); !strings.HasPrefix(got, "www-data") {
		t.Errorf("after an upgrade, the program says %q", got)
	}
	// The binary is in the other package.
	m.Run("dpkg", "-i", m.Copy(newer(t), "/root"))
	m.Run("cmp", "/usr/bin/gatehouse", "/proc/"+m.Property("gatehouse-fcgiwrap.service", "MainPID")+"/exe")
	if m.Property("gatehouse-fcgiwrap.socket", "InvocationID") != socket {
		t.Error("after an upgrade of gatehouse, the socket is another one")
	}
}
