package packaging_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestRotation: logrotate with the package's file, under load: each request is served, and has
// one line in one of the logs. An instance is told as well, and what is stopped stays so.
func TestRotation(t *testing.T) {
	t.Parallel()
	m := installed(t)
	m.Write("/usr/lib/cgi-bin/whoami", whoami, 0o755)
	site(m, "/run/gatehouse/fastcgi.sock")
	config := m.Run("cat", "/etc/gatehouse/gatehouse.toml")
	m.Write("/etc/gatehouse/gatehouse.toml", "access_log = \"/var/log/gatehouse/access.log\"\n"+config, 0o644)
	m.Write("/etc/gatehouse/a.toml", "access_log = \"/var/log/gatehouse@a/a.log\"\n"+config, 0o644)
	m.Run("systemctl", "enable", "--now", "gatehouse.socket", "gatehouse@a.service")
	rotate := func() { m.Run("logrotate", "--force", "/etc/logrotate.d/gatehouse") }

	const clients, rotations = 2, 5
	done := make(chan error, clients)
	for i := range clients {
		// The file has the URL of each request, and its status.
		cmd := m.Command("sh", "-c", fmt.Sprintf(`n=0; while [ ! -e /tmp/stop ]; do n=$((n + 1))
			curl -sS -o /dev/null -w '%%{url_effective} %%{http_code}\n' "http://localhost/cgi-bin/whoami?%d-$n-[1-20]"; done >/root/client%[1]d 2>&1`, i))
		go func() { done <- cmd.Run() }()
	}
	logged := func() bool {
		return m.Command("sh", "-c", "[ $(wc -l </var/log/gatehouse/access.log) -ge 50 ]").Run() == nil
	}
	m.Until("requests before the first rotation", logged)
	service := m.Property("gatehouse.service", "InvocationID")
	for range rotations {
		rotate()
		m.Until("lines in the new file", logged)
	}
	m.Write("/tmp/stop", "", 0o644)
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if now := m.Property("gatehouse.service", "InvocationID"); now != service {
		t.Error("the service was restarted")
	}
	m.Run("systemctl", "stop", "gatehouse.socket", "gatehouse.service") // what is held is written
	sent := strings.Split(m.Shell("sed 's|^http://localhost||' /root/client* | sort"), "\n")
	lines := strings.Split(m.Shell(`zcat -f /var/log/gatehouse/access.log* | sed -E 's/.*"GET ([^ ]*) [^"]*" ([0-9]+) .*/\1 \2/' | sort`), "\n")
	if !slices.Equal(sent, lines) {
		t.Errorf("%d requests, %d lines; requests without a line:\n%s\nlines without a request, or twice:\n%s", len(sent), len(lines),
			difference(strings.Join(sent, "\n"), strings.Join(lines, "\n")), difference(strings.Join(lines, "\n"), strings.Join(sent, "\n")))
	}
	for _, line := range sent {
		if !strings.HasSuffix(line, " 200") {
			t.Errorf("a request failed: %s", line)
		}
	}
	ids := strings.Split(m.Shell(`zcat -f /var/log/gatehouse/access.log* | sed 's/.* \(id=[^ ]*\) .*/\1/' | sort | uniq -d`), "\n")
	if files := m.Shell("ls /var/log/gatehouse/access.log*"); len(strings.Fields(files)) != rotations+1 || ids[0] != "" {
		t.Errorf("the logs are\n%s\nwith these ids twice: %q", files, ids)
	}
	t.Logf("%d requests in %d rotations", len(sent), rotations)

	// The service is stopped, and its instance runs.
	logs := []string{"/var/log/gatehouse/access.log", "/var/log/gatehouse@a/a.log"}
	m.Shell("for log in " + strings.Join(logs, " ") + "; do echo line >>$log; done")
	rotate()
	for unit, want := range map[string]string{"gatehouse.service": "inactive", "gatehouse.socket": "inactive", "gatehouse@a.service": "active"} {
		if state := m.Property(unit, "ActiveState"); state != want {
			t.Errorf("after a rotation, %s is %s; want %s", unit, state, want)
		}
	}
	for _, log := range logs {
		if got := m.Shell("tail -n 1 " + log + ".1"); got != "line" {
			t.Errorf("%s is not rotated: its last line is %q", log, got)
		}
	}
	open := "ls -l /proc/" + m.Property("gatehouse@a.service", "MainPID") + "/fd | sed -n 's|.* -> \\(/var/log/.*\\)|\\1|p'"
	m.Until("the instance writes to the new file", func() bool { return m.Shell(open) == logs[1] })
	m.Run("systemctl", "stop", "gatehouse@a.socket", "gatehouse@a.service")
	rotate()
	if active := m.Run("systemctl", "list-units", "--no-legend", "--state=active", "gatehouse*"); active != "" {
		t.Errorf("after a rotation, units are active that were stopped:\n%s", active)
	}
}
