package packaging_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/machine"
)

// TestReasons: where the sandbox of the unit hides or stops a program, the log names the
// setting, and explain --unit does; and it is not named where it has nothing to do with it.
func TestReasons(t *testing.T) { onEachInstalled(t, reasons) }

func reasons(t *testing.T, m *machine.Machine) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("journal:\n%s", m.Journal("gatehouse.service"))
		}
	})
	m.Shell("mkdir -p /home/me /srv/data /srv/noexec; chmod 777 /srv/data /srv/noexec /home/me; ln -s /home/me/linked.cgi /usr/lib/cgi-bin/linked")
	const page = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\npage'\n"
	for name, text := range map[string]string{
		"/home/me/own.cgi":               page,
		"/home/me/linked.cgi":            page,
		"/tmp/temporary.cgi":             page,
		"/srv/noexec/some.cgi":           page,
		"/home/me/sh":                    "#!/bin/sh\n",
		"/usr/lib/cgi-bin/interpreter":   "#!/home/me/sh\n",
		"/usr/lib/cgi-bin/readonly":      page + "echo data >/srv/data/file\n",
		"/usr/lib/cgi-bin/readhome":      page + "cat /home/me/own.cgi >/dev/null\n",
		"/usr/lib/cgi-bin/readtmp":       page + "cat /tmp/temporary.cgi\n",
		"/usr/lib/cgi-bin/meminfo":       page + "cat /proc/meminfo\n",
		"/usr/lib/cgi-bin/netlink":       "#!/usr/bin/perl\nprint \"Content-Type: text/plain\\n\\npage\"; socket(S, 16, 3, 0) or die $!;\n",
		"/usr/lib/cgi-bin/sudo":          page + "echo 'sudo: effective uid is not 0, is sudo installed setuid root?' >&2\n",
		"/usr/lib/cgi-bin/chown":         "#!/usr/bin/perl\nchown 0, 0, '/tmp';\nprint \"Content-Type: text/plain\\n\\npage\";\n",
		"/usr/lib/cgi-bin/compiler":      "#!/bin/sh\nkill -SEGV $$\n",
		"/usr/lib/cgi-bin/missing":       page + "cat /usr/lib/nothing\n",
		"/usr/lib/cgi-bin/nointerpreter": "#!/usr/lib/nothing\n",
	} {
		m.Write(name, text, 0o755)
	}
	m.Shell("cp /usr/bin/false /usr/lib/cgi-bin/setuid; chmod 4755 /usr/lib/cgi-bin/setuid")
	m.Write("/etc/nginx/sites-enabled/default", `server {
	listen 80;
	location /cgi-bin/ { include fastcgi_params; fastcgi_param SCRIPT_FILENAME /usr/lib$fastcgi_script_name; fastcgi_pass unix:/run/gatehouse/fastcgi.sock; }
	location / { include fastcgi_params; fastcgi_param SCRIPT_FILENAME $fastcgi_script_name; fastcgi_pass unix:/run/gatehouse/fastcgi.sock; }
}
`, 0o644)
	m.Run("systemctl", "restart", "nginx")
	// As the file itself says.
	config := strings.Replace(m.Run("cat", "/etc/gatehouse/gatehouse.toml"), "\nprefix ", "\n[[app]]\nprefix ", 1) + "\n[[app]]\nprefix = \"/\"\nscripts = \"/srv/noexec\"\n"
	m.Write("/etc/gatehouse/gatehouse.toml", config, 0o644)
	m.Run("systemctl", "enable", "--now", "gatehouse.socket")

	// ask asserts the status of a request, and what one line of the log has.
	ask := func(path, status string, line ...string) {
		t.Helper()
		since := len(m.Journal("gatehouse.service"))
		if got := m.Run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://localhost"+path); got != status {
			t.Errorf("%s: status %s; want %s", path, got, status)
		}
		m.Until(fmt.Sprintf("%s: a line of the log has %q", path, line), func() bool {
			for l := range strings.Lines(m.Journal("gatehouse.service")[since:]) {
				if !slices.ContainsFunc(line, func(part string) bool { return !strings.Contains(l, part) }) {
					return true
				}
			}
			return false
		})
	}
	const unit = " of gatehouse.service "
	ask("/home/me/own.cgi", "403", "/home/me/own.cgi: ProtectHome=yes"+unit+"hides /home: write ProtectHome=read-only (systemctl edit gatehouse.service")
	ask("/tmp/temporary.cgi", "404", "/tmp/temporary.cgi: PrivateTmp=yes"+unit+"gives it a /tmp of its own")
	ask("/cgi-bin/linked", "403", "ProtectHome=yes"+unit+"hides /home")
	ask("/cgi-bin/interpreter", "403", "it needs /home/me/sh: ProtectHome=yes"+unit+"hides /home")
	ask("/cgi-bin/readonly", "200", "Read-only file system", "ProtectSystem=strict"+unit, "write ReadWritePaths=/srv/data ")
	ask("/cgi-bin/readhome", "200", "Permission denied", "ProtectHome=yes"+unit+"hides /home")
	ask("/cgi-bin/readtmp", "200", "No such file", "PrivateTmp=yes"+unit)
	ask("/cgi-bin/meminfo", "200", "No such file", "ProcSubset=pid"+unit)
	ask("/cgi-bin/netlink", "200", "Address family", "RestrictAddressFamilies="+unit)
	ask("/cgi-bin/sudo", "200", "effective uid", "NoNewPrivileges=yes"+unit)
	ask("/cgi-bin/setuid", "502", "exit status 1", "NoNewPrivileges=yes"+unit)

	// These have nothing to do with the unit.
	blamed := strings.Count(m.Journal("gatehouse.service"), unit)
	ask("/cgi-bin/missing", "200", "No such file")
	ask("/cgi-bin/nothing", "404", "/usr/lib/cgi-bin/nothing")
	ask("/cgi-bin/nointerpreter", "502", "/usr/lib/nothing")
	ask("/cgi-bin/compiler", "502", "segmentation fault")
	if now := strings.Count(m.Journal("gatehouse.service"), unit); now != blamed {
		t.Errorf("the unit is blamed without a reason:\n%s", m.Journal("gatehouse.service"))
	}

	// A shell has another sandbox than the unit.
	explain := func(want string, args ...string) {
		t.Helper()
		out, _ := m.Command("gatehouse", append([]string{"explain", "--param", "SCRIPT_FILENAME=" + args[0]}, args[1:]...)...).CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("explain %q says\n%s\nwant %q", args, out, want)
		}
	}
	explain("explain --unit gatehouse.service", "/usr/lib/cgi-bin/readonly", "/cgi-bin/readonly")
	explain("it would run as user gatehouse", "/usr/lib/cgi-bin/readonly", "--unit", "gatehouse.service", "/cgi-bin/readonly")
	explain("it needs /home/me/sh: ProtectHome=yes"+unit+"hides /home", "/usr/lib/cgi-bin/interpreter", "--unit", "gatehouse.service", "/cgi-bin/interpreter")
	explain("NoNewPrivileges=yes"+unit, "/usr/lib/cgi-bin/setuid", "--unit", "gatehouse.service", "/cgi-bin/setuid")
	explain("is not running", "/x", "--unit", "gatehouse@none.service", "/x")

	// Settings that are not in the profile.
	m.Write("/etc/systemd/system/gatehouse.service.d/more.conf", "[Service]\nSystemCallErrorNumber=kill\nMemoryDenyWriteExecute=yes\nNoExecPaths=/srv/noexec\n", 0o644)
	m.Shell("systemctl daemon-reload; systemctl restart gatehouse.service")
	ask("/cgi-bin/chown", "502", "bad system call", "SystemCallFilter=", unit)
	ask("/cgi-bin/compiler", "502", "segmentation fault", "MemoryDenyWriteExecute=yes"+unit)
	ask("/srv/noexec/some.cgi", "403", "/srv/noexec/some.cgi: NoExecPaths=/srv/noexec"+unit)

	// What hides a directory of programs, or a log, keeps the service from starting.
	for change, want := range map[string]string{
		config + "[[app]]\nprefix = \"/me\"\nscripts = \"/home/me\"\n": "/home/me cannot be reached: ProtectHome=yes" + unit + "hides /home",
		"access_log = \"/srv/data/access.log\"\n" + config:             "no file can be created in /srv/data: ProtectSystem=strict" + unit + "makes /srv/data read-only: write ReadWritePaths=/srv/data ",
	} {
		m.Write("/etc/gatehouse/gatehouse.toml", change, 0o644)
		m.Fails("systemctl", "restart", "gatehouse.service")
		m.Until("the journal has "+want, func() bool { return strings.Contains(m.Journal("gatehouse.service"), want) })
	}
}
