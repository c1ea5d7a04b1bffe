package machine

import (
	"strings"
	"testing"
)

// TestMachine: process 1 is systemd, nginx runs under it, and what is written survives a
// loss of power, but not in /run.
func TestMachine(t *testing.T) {
	m := Boot(t)
	if name := m.Run("cat", "/proc/1/comm"); name != "systemd" {
		t.Errorf("process 1 is %q", name)
	}
	if page := m.Run("curl", "-s", "http://localhost/"); !strings.Contains(page, "nginx") {
		t.Errorf("nginx responds with %q", page)
	}
	m.Write("/etc/kept", "kept", 0o644)
	m.Write("/run/lost", "lost", 0o644)
	m.Run("sync")
	m.Reboot()
	if !m.Exists("/etc/kept") || m.Exists("/run/lost") {
		t.Errorf("after a loss of power, /etc/kept is there: %v, /run/lost: %v", m.Exists("/etc/kept"), m.Exists("/run/lost"))
	}
	m.Fails("false")
}
