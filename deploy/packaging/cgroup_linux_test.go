package packaging_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/machine"
)

// TestCgroup: with cgroup.conf, each program has a control group of its own below the
// service's, its limits are enforced, and nothing that it leaves outlives it or the service.
// Limits of memory need a machine whose control groups have that controller.
func TestCgroup(t *testing.T) {
	t.Parallel()
	m := machine.BootRelease(t, machine.Trixie)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("journal:\n%s", m.Journal("gatehouse.service"))
		}
	})
	m.Run("dpkg", "-i", m.Copy(built(t, "gatehouse", ".deb"), "/root"))
	memory := slices.Contains(strings.Fields(m.Run("cat", "/sys/fs/cgroup/cgroup.controllers")), "memory")
	t.Logf("control groups limit memory: %v", memory)

	// As cgroup.conf says.
	text, err := os.ReadFile(systemdDir + "cgroup.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := "[[app]]\nprefix = \"/cgi-bin\"\nscripts = \"/usr/lib/cgi-bin\"\ncpu = \"500ms\"\ncgroup_each = true\n"
	var commands []string
	for line := range strings.Lines(string(text)) {
		switch line, ok := strings.CutPrefix(line, "#     "); {
		case !ok || strings.HasPrefix(line, "cgroup_memory") && !memory:
		case strings.HasPrefix(line, "cgroup"):
			config += line
		default:
			commands = append(commands, line)
		}
	}
	m.Write("/etc/gatehouse/gatehouse.toml", "fastcgi = \"systemd:fastcgi\"\ngrace = \"1s\"\ndrain = \"1s\"\n"+config, 0o644)
	m.Shell(strings.Join(commands, ""))
	site(m, "/run/gatehouse/fastcgi.sock")

	const page = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
	m.Write("/usr/lib/cgi-bin/group", page+"sed -n s/^0:://p /proc/self/cgroup\n", 0o755)
	m.Write("/usr/lib/cgi-bin/leaves", page+"setsid sleep 1001 >/dev/null 2>&1 </dev/null &\n", 0o755)
	m.Write("/usr/lib/cgi-bin/busy", "#!/bin/sh\nwhile :; do :; done\n", 0o755)
	m.Write("/usr/lib/cgi-bin/stays", page+"setsid sleep 1002 >/dev/null 2>&1 </dev/null &\nexec sleep 1003\n", 0o755)
	m.Write("/usr/lib/cgi-bin/greedy", "#!/usr/bin/perl\nmy $x = 'x' x (1 << 30);\n", 0o755)
	m.Run("systemctl", "enable", "--now", "gatehouse.socket")
	status := func(path string) string {
		return m.Run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://localhost/cgi-bin/"+path)
	}
	logs := func(what string) {
		t.Helper()
		m.Until("the log has "+what, func() bool { return strings.Contains(m.Journal("gatehouse.service"), what) })
	}

	const service = "/system.slice/gatehouse.service/"
	if group := get(m, "/cgi-bin/group"); !strings.HasPrefix(group, service+"gatehouse.") {
		t.Errorf("a program is in %q; want a group of its own below %s", group, service)
	}
	if group := m.Shell("sed -n s/^0:://p /proc/$(systemctl show --value -p MainPID gatehouse.service)/cgroup"); group != service+"daemon" {
		t.Errorf("gatehouse is in %q; want %sdaemon", group, service)
	}
	if got := status("leaves"); got != "200" {
		t.Errorf("a program that leaves a process behind: status %s", got)
	}
	m.Until("what a program leaves is ended", func() bool { return !running(m, "sleep 1001") })
	if got := status("busy"); got != "504" {
		t.Errorf("a program that computes for more than cpu: status %s; want 504", got)
	}
	logs("cpu of 500ms is over")
	if memory {
		if got := status("greedy"); got != "502" {
			t.Errorf("a program that takes more than cgroup_memory: status %s; want 502", got)
		}
		logs("its control group had no memory left")
	}

	// However the service ends, nothing is left of it.
	for _, end := range []string{"systemctl stop gatehouse.socket gatehouse.service", "systemctl kill --kill-who=main --signal=KILL gatehouse.service"} {
		leavesNothing(t, m, end)
	}
	m.Run("systemctl", "stop", "gatehouse.socket", "gatehouse.service")
	m.Until("the control groups are removed", func() bool { return !m.Exists("/sys/fs/cgroup" + service) })
}
