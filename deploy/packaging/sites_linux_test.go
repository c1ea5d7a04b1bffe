package packaging_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// TestSites follows docs/systemd.md: a site of its own, with a user of its own. Each has its
// logs, which both keep over restarts and rotations.
func TestSites(t *testing.T) {
	t.Parallel()
	m := installed(t)
	m.Run("useradd", "--system", "blog")
	m.Write("/usr/lib/cgi-bin/whoami", whoami, 0o755)
	const main, blog = "/var/log/gatehouse/access.log", "/var/log/gatehouse@blog/access.log"
	logTo := func(log, config string) {
		m.Write(config, fmt.Sprintf("access_log = %q\n%s\n", log, m.Run("cat", config)), 0o644)
		m.Run("gatehouse", "check", "--config", config)
	}

	var output, snippet string
	for _, b := range testkit.CodeBlocks(t, "../../docs/systemd.md") {
		if b.Section != "Sites of their own" || !strings.Contains(b.Text, "blog") {
			continue
		}
		for line := range strings.Lines(b.Text) {
			switch {
			case strings.HasPrefix(line, "systemctl edit gatehouse@blog.service"):
				m.Write("/etc/systemd/system/gatehouse@blog.service.d/override.conf", "[Service]\nUser=blog\nGroup=blog\n", 0o644)
				m.Run("systemctl", "daemon-reload")
			case strings.HasPrefix(line, "gatehouse snippet nginx"):
				snippet = m.Shell(line) + "\n"
			case strings.HasPrefix(line, "gatehouse status"):
				// As the snippet says. Port 81 is for the other gateway.
				m.Run("rm", "/etc/nginx/sites-enabled/default")
				m.Write("/etc/nginx/conf.d/gatehouse.conf", snippet, 0o644)
				m.Write("/etc/nginx/conf.d/other.conf", "server { listen 81; location / { include fastcgi_params; fastcgi_pass unix:/run/gatehouse/fastcgi.sock; } }\n", 0o644)
				m.Run("nginx", "-t")
				m.Run("systemctl", "restart", "nginx")
				get(m, "/cgi-bin/whoami")
				// The response is there before it counts as ended.
				m.Until("the request has ended", func() bool {
					output = m.Shell(line)
					return strings.Contains(output, " 1 ended")
				})
			default:
				m.Shell(line)
			}
		}
	}
	if !strings.HasPrefix(output, "gatehouse OK: 0 in flight, 0 waiting, 1 ended") {
		t.Errorf("status of the site says %q", output)
	}

	logTo(main, "/etc/gatehouse/gatehouse.toml")
	logTo(blog, "/etc/gatehouse/blog.toml")
	m.Run("systemctl", "enable", "--now", "gatehouse.socket", "gatehouse.service")
	m.Run("systemctl", "reload", "gatehouse@blog.service")

	// The other one writes to its own as before, and so do both after restarts and rotations, in
	// whatever order.
	for i, change := range []string{
		"true",
		"systemctl restart gatehouse.service",
		"systemctl restart gatehouse@blog.service",
		"logrotate --force /etc/logrotate.d/gatehouse",
		"systemctl restart gatehouse.service gatehouse@blog.service",
		"logrotate --force /etc/logrotate.d/gatehouse",
	} {
		m.Shell(change)
		for port, log := range map[string]string{"81": main, "80": blog} {
			target := fmt.Sprintf("/cgi-bin/whoami?%d", i)
			if got, want := m.Run("curl", "-sS", "http://localhost:"+port+target), map[string]string{main: "gatehouse ", blog: "blog "}[log]; !strings.HasPrefix(got+" ", want) {
				t.Errorf("after %s, the program says %q; want %q", change, got, want)
			}
			m.Until(fmt.Sprintf("after %s, %s has the request", change, log), func() bool {
				return m.Command("grep", "-qF", target+" ", log).Run() == nil
			})
		}
	}
	for log, want := range map[string]string{main: "gatehouse gatehouse 640", blog: "blog blog 640"} {
		if got := m.Run("stat", "-c", "%U %G %a", log); got != want {
			t.Errorf("%s is of %s; want %s", log, got, want)
		}
	}
	m.Run("dpkg", "--purge", "gatehouse")
	if units := m.Run("systemctl", "list-units", "--all", "--no-legend", "gatehouse*"); units != "" {
		t.Errorf("units are left after purging:\n%s", units)
	}
	if left := m.Shell("ls /etc/systemd/system/*.wants | grep gatehouse || true"); left != "" {
		t.Errorf("links to units are left after purging: %s", left)
	}
	if left := m.Shell("ls -d /var/log/gatehouse* /run/gatehouse* 2>/dev/null || true"); left != "" {
		t.Errorf("purging leaves %s", left)
	}
}
