// Package packaging_test tests the units and the packages: on a machine with a systemd of
// its own in "make deb-test", and the rest in "make test", too.
package packaging_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/machine"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// built returns the package called name, as make deb or make rpm built it.
func built(t *testing.T, name, suffix string) string {
	t.Helper()
	pattern := filepath.Join(machine.Run(t), "packages", name+"?[0-9]*"+suffix)
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("there is not one %s: %q, %v", pattern, files, err)
	}
	return files[0]
}

// installed returns a machine with the package gatehouse.
func installed(t *testing.T) *machine.Machine {
	t.Helper()
	m := machine.Boot(t)
	m.Run("dpkg", "-i", m.Copy(built(t, "gatehouse", ".deb"), "/root"))
	return m
}

// onEach runs a test on a machine of each release.
func onEach(t *testing.T, test func(t *testing.T, m *machine.Machine)) {
	for _, release := range []machine.Release{machine.Bookworm, machine.Trixie} {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			test(t, machine.BootRelease(t, release))
		})
	}
}

// onEachInstalled is onEach on machines with the package gatehouse.
func onEachInstalled(t *testing.T, test func(t *testing.T, m *machine.Machine)) {
	onEach(t, func(t *testing.T, m *machine.Machine) {
		m.Run("dpkg", "-i", m.Copy(built(t, "gatehouse", ".deb"), "/root"))
		test(t, m)
	})
}

// site makes nginx pass /cgi-bin/ to a socket.
func site(m *machine.Machine, socket string) {
	m.Write("/etc/nginx/sites-enabled/default", `server {
	listen 80;
	location /cgi-bin/ {
		include fastcgi_params;
		fastcgi_param SCRIPT_FILENAME /usr/lib$fastcgi_script_name;
		fastcgi_pass unix:`+socket+`;
	}
}
`, 0o644)
	m.Run("systemctl", "restart", "nginx")
}

// whoami is a program that tells its user, and what started it.
const whoami = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s %s\\n' \"$(id -un)\" \"$(readlink /proc/$PPID/exe)\"\n"

func get(m *machine.Machine, path string) string {
	return m.Run("curl", "-sS", "http://localhost"+path)
}

// running reports whether a process has this command line, a regular expression.
func running(m *machine.Machine, command string) bool {
	return m.Command("sh", "-c", `for c in /proc/[0-9]*/cmdline; do tr '\0' ' ' 2>/dev/null <$c | grep -q "^$1 " && exit; done; exit 1`, "sh", command).Run() == nil
}

// TestInstall: what is installed runs nothing until the socket is enabled, and then from
// the first request on, also after a reboot. Removed, it leaves its configuration; purged,
// nothing.
func TestInstall(t *testing.T) {
	t.Parallel()
	m := machine.Boot(t)
	before := files(m)
	deb := m.Copy(built(t, "gatehouse", ".deb"), "/root")
	m.Run("dpkg", "-i", deb)
	for _, unit := range []string{"gatehouse.socket", "gatehouse.service"} {
		if state := m.Property(unit, "UnitFileState") + " " + m.Property(unit, "ActiveState"); state != "disabled inactive" {
			t.Errorf("%s is %s after the installation", unit, state)
		}
	}
	if out := m.Run("gatehouse", "check"); !strings.Contains(out, "no errors") || strings.Contains(out, "warning") {
		t.Errorf("the example is not in order: %s", out)
	}
	if got := m.Shell("stat -c '%U %G %a' /run/gatehouse; getent passwd gatehouse | cut -d: -f 6,7"); got != "root root 755\n/:/usr/sbin/nologin" {
		t.Errorf("the directory of the sockets, and the home and shell of user gatehouse are %s", got)
	}
	m.Run("cp", "/etc/gatehouse/gatehouse.toml", "/etc/gatehouse/a.toml")
	if out := m.Run("systemd-analyze", "verify", "--man=no", "gatehouse.service", "gatehouse.socket", "gatehouse@a.service", "gatehouse@a.socket", "gatehouse@git.service"); strings.Contains(out, "gatehouse") {
		t.Errorf("systemd says of the units:\n%s", out)
	}
	m.Run("rm", "/etc/gatehouse/a.toml")

	m.Write("/usr/lib/cgi-bin/whoami", whoami, 0o755)
	site(m, "/run/gatehouse/fastcgi.sock")
	m.Run("systemctl", "enable", "--now", "gatehouse.socket")
	if state := m.Property("gatehouse.service", "ActiveState"); state != "inactive" {
		t.Errorf("the service is %s before the first request", state)
	}
	const want = "gatehouse" // that the program sees no other process is part of the sandbox
	if got := get(m, "/cgi-bin/whoami"); !strings.HasPrefix(got, want) {
		t.Errorf("the program says %q; want %q", got, want)
	}
	// Root sees what it does, and the user of the programs does not.
	if got := m.Run("gatehouse", "status"); !strings.HasPrefix(got, "gatehouse OK: 0 in flight, 0 waiting, 1 ended, 0 failed") {
		t.Errorf("status says %s", got)
	}
	if got := m.Shell("setpriv --reuid=gatehouse --regid=gatehouse --clear-groups gatehouse status 2>&1 || echo $?"); !strings.Contains(got, "may not connect") || !strings.HasSuffix(got, "\n3") {
		t.Errorf("user gatehouse gets %s", got)
	}
	m.Run("sync")
	m.Reboot()
	if got := get(m, "/cgi-bin/whoami"); !strings.HasPrefix(got, want) {
		t.Errorf("after a reboot, the program says %q; want %q", got, want)
	}

	m.Run("rm", "/usr/lib/cgi-bin/whoami")
	m.Run("dpkg", "--remove", "gatehouse")
	if out := m.Run("systemctl", "list-units", "--no-legend", "gatehouse*"); out != "" {
		t.Errorf("units are active after the removal:\n%s", out)
	}
	if !m.Exists("/etc/gatehouse/gatehouse.toml") {
		t.Error("removing removes the configuration")
	}
	m.Run("dpkg", "--purge", "gatehouse")
	if out := m.Run("systemctl", "list-units", "--all", "--no-legend", "gatehouse*"); out != "" {
		t.Errorf("units are left after purging:\n%s", out)
	}
	if left := files(m); left != before {
		t.Errorf("the purged package leaves\n%s", difference(left, before))
	}
	if failed := m.Run("systemctl", "--failed", "--no-legend"); failed != "" {
		t.Errorf("units have failed:\n%s", failed)
	}
}

// files returns the files outside of what changes by itself, one on a line.
func files(m *machine.Machine) string {
	return m.Shell(`find /etc /usr /var/log /var/lib/systemd/deb-systemd-helper* /run/gatehouse ! -path '*/journal/*' ! -name '*.pyc' 2>/dev/null |
		grep -v -e '^/etc/passwd-\?$' -e '^/etc/g\?shadow-\?$' -e '^/etc/group-\?$' -e '^/var/log/' -e '/\.updated$' -e '^/etc/nginx/' -e '^/etc/machine-id' -e '^/etc/\.pwd.lock' | sort`)
}

// difference returns the lines of a that b does not have.
func difference(a, b string) string {
	var lines []string
	for line := range strings.Lines(a) {
		if !strings.Contains("\n"+b+"\n", "\n"+strings.TrimSpace(line)+"\n") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}

// TestReload: systemctl reload returns once the new configuration serves. A bad one is refused with
// the reason, the old one serves on, and the service is not stuck in "reloading".
func TestReload(t *testing.T) {
	t.Parallel()
	m := installed(t)
	m.Write("/usr/lib/cgi-bin/whoami", whoami, 0o755)
	site(m, "/run/gatehouse/fastcgi.sock")
	m.Run("systemctl", "enable", "--now", "gatehouse.socket")
	get(m, "/cgi-bin/whoami")
	good := m.Run("cat", "/etc/gatehouse/gatehouse.toml") + "\n"
	m.Write("/etc/gatehouse/gatehouse.toml", good+"colour = 1\n", 0o644)
	refused := func(how string) {
		t.Helper()
		if state := m.Property("gatehouse.service", "ActiveState") + " " + m.Property("gatehouse.service", "SubState"); state != "active running" {
			t.Errorf("after %s that failed, the service is %s", how, state)
		}
	}
	m.Fails("systemctl", "reload", "gatehouse.service")
	refused("a reload")
	// systemctl cannot say it itself, and names two commands that do.
	m.Until("the reason is in the journal", func() bool { return strings.Contains(m.Journal("gatehouse.service"), "colour") })
	if out := m.Run("systemctl", "status", "--no-pager", "--full", "gatehouse.service"); !strings.Contains(out, "gatehouse.toml:") || !strings.Contains(out, "colour") {
		t.Errorf("after a reload that failed, systemctl status says\n%s", out)
	}
	if out := m.Fails("gatehouse", "reload", "--pid", m.Property("gatehouse.service", "MainPID")); !strings.Contains(out, "colour") {
		t.Errorf("gatehouse reload says %s", out)
	}
	refused("gatehouse reload")
	logged := strings.Count(m.Journal("gatehouse.service"), "colour")
	m.Run("systemctl", "kill", "--kill-who=main", "--signal=HUP", "gatehouse.service")
	m.Until("the reason is in the journal again", func() bool { return strings.Count(m.Journal("gatehouse.service"), "colour") > logged })
	m.Until("the service is not reloading", func() bool { return m.Property("gatehouse.service", "SubState") == "running" })
	if got := get(m, "/cgi-bin/whoami"); !strings.HasPrefix(got, "gatehouse") {
		t.Errorf("after a reload that failed, the program says %q", got)
	}
	// systemctl returns when the new configuration serves, and not before: here, an application
	// takes its time to start.
	const app = `import os, time

while %s and not os.path.exists("/srv/released"):
    time.sleep(0.05)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%s"]
`
	m.Write("/srv/app/app.py", fmt.Sprintf(app, "False", "old"), 0o644)
	m.Write("/etc/gatehouse/gatehouse.toml", "fastcgi = \"systemd:fastcgi\"\nprefix = \"/cgi-bin\"\nwsgi = \"app:app\"\ndirectory = \"/srv/app\"\nready = \"10m\"\n", 0o644)
	m.Run("systemctl", "reload", "gatehouse.service")
	serves := func(want string) {
		t.Helper()
		if got := get(m, "/cgi-bin/x"); got != want {
			t.Errorf("the application says %q; want %q", got, want)
		}
	}
	serves("old")
	m.Write("/srv/app/app.py", fmt.Sprintf(app, "True", "new"), 0o644)
	reload := make(chan error, 1)
	systemctl := m.Command("systemctl", "reload", "gatehouse.service")
	go func() { reload <- systemctl.Run() }()
	m.Until("the service reloads", func() bool { return m.Property("gatehouse.service", "ActiveState") == "reloading" })
	for range 3 {
		serves("old")
		if state := m.Property("gatehouse.service", "ActiveState"); state != "reloading" {
			t.Errorf("while the application starts, the service is %s", state)
		}
	}
	select {
	case err := <-reload:
		t.Fatalf("systemctl reload returns while the application starts: %v", err)
	default:
	}
	m.Write("/srv/released", "", 0o644)
	if err := <-reload; err != nil {
		t.Errorf("systemctl reload: %v", err)
	}
	serves("new")

	// The example is in order where there is no web server, and no git.
	m.Run("systemctl", "stop", "nginx")
	m.Shell("apt-get purge -y -q --autoremove 'nginx*' git; rm -rf /etc/nginx")
	m.Write("/etc/gatehouse/gatehouse.toml", good, 0o644)
	if out := m.Run("gatehouse", "check"); !strings.Contains(out, "no errors") || strings.Contains(out, "warning") {
		t.Errorf("the example is not in order: %s", out)
	}
}
