package packaging_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/machine"
)

// newer returns a package of a later version than the one that was built, whose binary
// and units differ.
func newer(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	script := `dpkg-deb -R "$1" "$2" && cd "$2" &&
		sed -i 's/^Version: .*/&+newer/' DEBIAN/control &&
		printf 'newer' >>usr/bin/gatehouse &&
		for unit in usr/lib/systemd/system/gatehouse*.*; do [ -d $unit ] || echo '# newer' >>$unit; done &&
		find etc usr -type f | LC_ALL=C sort | xargs md5sum >DEBIAN/md5sums && dpkg-deb -Zgzip -z1 -b "$2" "$2-newer.deb"`
	if out, err := exec.Command("sh", "-ec", script, "sh", built(t, "gatehouse", ".deb"), dir).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	return dir + "-newer.deb"
}

// holds is a program that ends when somebody writes to /srv/hold.
const holds = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; read word </srv/hold; printf '%s\\n' \"$word\"\n"

// TestUpgradeUnderLoad: no request fails while the package is upgraded, not even one that began
// before and ends after the service is told to stop; the new binary runs; the socket unit stays
// as it is; systemd knows the new unit files.
func TestUpgradeUnderLoad(t *testing.T) { onEachInstalled(t, upgradeUnderLoad) }

func upgradeUnderLoad(t *testing.T, m *machine.Machine) {
	m.Write("/usr/lib/cgi-bin/whoami", whoami, 0o755)
	m.Write("/usr/lib/cgi-bin/holds", holds, 0o755)
	m.Run("mkfifo", "/srv/hold")
	site(m, "/run/gatehouse/fastcgi.sock")
	// Nothing depends on how fast the machine is.
	m.Write("/etc/gatehouse/gatehouse.toml", "drain = \"10m\"\n"+m.Run("cat", "/etc/gatehouse/gatehouse.toml")+"\n", 0o644)
	m.Write("/etc/systemd/system/gatehouse.service.d/slow.conf", "[Service]\nTimeoutStopSec=11min\n", 0o644)
	m.Run("systemctl", "daemon-reload")
	m.Run("systemctl", "enable", "--now", "gatehouse.socket")
	get(m, "/cgi-bin/whoami")
	socket, service := m.Property("gatehouse.socket", "InvocationID"), m.Property("gatehouse.service", "InvocationID")

	const clients = 2
	done := make(chan error, clients)
	for i := range clients {
		cmd := m.Command("sh", "-c", fmt.Sprintf(`while [ ! -e /tmp/stop ]; do
			curl -sS -o /dev/null -w '%%{http_code}\n' http://localhost/cgi-bin/whoami; done >/root/client%d 2>&1`, i))
		go func() { done <- cmd.Run() }()
	}
	loaded := func(n int) func() bool {
		return func() bool {
			out, _ := m.Command("sh", "-c", "cat /root/client* | wc -l").Output()
			var count int
			fmt.Sscan(string(out), &count)
			return count >= n
		}
	}
	m.Until("requests before the upgrade", loaded(10))
	type result struct {
		out []byte
		err error
	}
	begin := func(name string, args ...string) chan result {
		c := make(chan result, 1)
		cmd := m.Command(name, args...)
		go func() {
			out, err := cmd.CombinedOutput()
			c <- result{out, err}
		}()
		return c
	}
	deb := m.Copy(newer(t), "/root")
	held := begin("curl", "-sS", "http://localhost/cgi-bin/holds")
	m.Until("the program that holds", func() bool { return running(m, "/bin/sh /usr/lib/cgi-bin/holds") })
	upgrade := begin("dpkg", "-i", deb)
	m.Until("the service is told to stop", func() bool { return m.Property("gatehouse.service", "ActiveState") == "deactivating" })
	m.Shell("echo held >/srv/hold")
	if r := <-held; r.err != nil || string(r.out) != "held\n" {
		t.Errorf("the program that began before the upgrade says %q, %v", r.out, r.err)
	}
	if r := <-upgrade; r.err != nil || strings.Contains(string(r.out), "changed on disk") || strings.Contains(string(r.out), "Warning") {
		t.Errorf("dpkg: %v\n%s", r.err, r.out)
	}
	count := m.Run("sh", "-c", "cat /root/client* | wc -l")
	var before int
	fmt.Sscan(count, &before)
	m.Until("requests after the upgrade", loaded(before+10))
	m.Write("/tmp/stop", "", 0o644)
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	statuses := m.Shell("cat /root/client* | sort | uniq -c")
	t.Logf("status codes under load:\n%s", statuses)
	if lines := strings.Split(statuses, "\n"); len(lines) != 1 || !strings.HasSuffix(lines[0], " 200") {
		t.Errorf("requests failed; counts of status codes:\n%s", statuses)
	}

	if now := m.Property("gatehouse.socket", "InvocationID"); now != socket {
		t.Error("the socket unit was restarted")
	}
	if now := m.Property("gatehouse.service", "InvocationID"); now == service {
		t.Error("the service was not restarted")
	}
	m.Run("cmp", "/usr/bin/gatehouse", "/proc/"+m.Property("gatehouse.service", "MainPID")+"/exe")
	for _, unit := range []string{"gatehouse.socket", "gatehouse.service"} {
		if m.Property(unit, "NeedDaemonReload") != "no" {
			t.Errorf("%s has changed on disk, and systemd does not know", unit)
		}
	}
}

// TestUpgradeKeepsStates: what was stopped, disabled or masked stays so, and nothing is
// restarted where policy-rc.d forbids it.
func TestUpgradeKeepsStates(t *testing.T) {
	t.Parallel()
	m := installed(t)
	deb := m.Copy(newer(t), "/root")
	downgrade := built(t, "gatehouse", ".deb")
	states := func() string {
		var list []string
		for _, unit := range []string{"gatehouse.socket", "gatehouse.service", "gatehouse@a.socket", "gatehouse@a.service"} {
			list = append(list, unit, m.Property(unit, "UnitFileState"), m.Property(unit, "ActiveState"), m.Property(unit, "InvocationID"))
		}
		return strings.Join(list, " ")
	}
	m.Run("cp", "/etc/gatehouse/gatehouse.toml", "/etc/gatehouse/a.toml")
	for _, c := range []struct{ name, prepare, undo string }{
		{"never enabled", "", ""},
		{"stopped", "systemctl enable --now gatehouse.socket gatehouse@a.socket; systemctl stop gatehouse.socket gatehouse@a.socket", ""},
		{"disabled", "systemctl disable gatehouse.socket", ""},
		{"masked", "systemctl mask gatehouse.service gatehouse.socket", "systemctl unmask gatehouse.service gatehouse.socket"},
		{"policy", "printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; systemctl enable --now gatehouse.socket gatehouse.service gatehouse@a.service",
			"rm /usr/sbin/policy-rc.d"},
	} {
		m.Shell(c.prepare)
		before := states()
		m.Run("dpkg", "-i", deb)
		if after := states(); after != before {
			t.Errorf("%s: before\n%s\nafter\n%s", c.name, before, after)
		}
		m.Run("dpkg", "-i", m.Copy(downgrade, "/root"))
		if after := states(); after != before {
			t.Errorf("%s: before\n%s\nafter another version\n%s", c.name, before, after)
		}
		m.Shell(c.undo)
	}
	// Where nothing forbids it, instances are restarted, too.
	before := m.Property("gatehouse@a.service", "InvocationID")
	m.Run("dpkg", "-i", deb)
	if after := m.Property("gatehouse@a.service", "InvocationID"); after == before || m.Property("gatehouse@a.service", "ActiveState") != "active" {
		t.Error("an instance still runs the old binary")
	}
	if failed := m.Run("systemctl", "--failed", "--no-legend"); failed != "" {
		t.Errorf("units have failed:\n%s", failed)
	}
}
