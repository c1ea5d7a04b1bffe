// Package supervised_test runs the gateway under a systemd of its own, in "make deb-test".
package supervised_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/machine"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// service is the unit of the gateway. %s is WatchdogSec=.
const service = `[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
ExecStart=/usr/local/bin/gatehouse serve --config /etc/gw.toml
WatchdogSec=%s
Restart=on-failure
RestartSec=10ms
KillMode=mixed
User=www-data
`

// socket is a unit for a socket of the service. %[1]s is its protocol.
const socket = `[Unit]
StartLimitIntervalSec=0
[Socket]
ListenStream=/run/gw-%[1]s.sock
SocketUser=www-data
FileDescriptorName=%[1]s
Service=gw.service
TriggerLimitIntervalSec=0
`

// config is the configuration. %s is more of it.
const config = `fastcgi = "systemd:fastcgi"
http = "systemd:http"
%s
[[app]]
prefix = "/cgi-bin"
scripts = "/srv/cgi"

[[app]]
prefix = "/hello"
hello = true
`

// supervised returns a machine with the gateway, and nginx in front of it.
func supervised(t *testing.T, watchdog time.Duration, more string) *machine.Machine {
	t.Helper()
	machine.Run(t) // skips the test
	binary := filepath.Join(t.TempDir(), "gatehouse")
	build := exec.Command("go", "build", "-o", binary, "gatehouse/daemon/gatehouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	m := machine.Boot(t)
	m.Copy(binary, "/usr/local/bin")
	m.Write("/etc/systemd/system/gw.service", fmt.Sprintf(service, watchdog), 0o644)
	for _, protocol := range []string{"fastcgi", "http"} {
		m.Write("/etc/systemd/system/gw-"+protocol+".socket", fmt.Sprintf(socket, protocol), 0o644)
	}
	m.Write("/etc/gw.toml", fmt.Sprintf(config, more), 0o644)
	m.Write("/srv/cgi/date", "#!/bin/sh\nsleep 0.02\nprintf 'Content-Type: text/plain\\n\\ndone\\n'\n", 0o755)
	m.Write("/srv/cgi/slow", "#!/bin/sh\nexec sleep 600\n", 0o755)
	m.Write("/etc/nginx/sites-enabled/default", `server {
	listen 80;
	location / { include fastcgi_params; fastcgi_pass unix:/run/gw-fastcgi.sock; }
}
`, 0o644)
	m.Run("systemctl", "restart", "nginx")
	m.Run("systemctl", "daemon-reload")
	m.Run("systemctl", "start", "gw-fastcgi.socket", "gw-http.socket")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("journal:\n%s", m.Journal("gw.service"))
		}
	})
	return m
}

// get asserts that a path is served, through nginx and directly.
func get(m *machine.Machine, t *testing.T, path, want string) {
	t.Helper()
	for _, from := range [][]string{{"http://localhost" + path}, {"--unix-socket", "/run/gw-http.sock", "http://localhost" + path}} {
		if got := m.Run("curl", append([]string{"-sS", "--max-time", "60"}, from...)...); got != want {
			t.Errorf("%v: got %q", from, got)
		}
	}
}

// TestFirstRequest: it starts the gateway, which says how it is; and so does one after the
// gateway has ended because there was none.
func TestFirstRequest(t *testing.T) {
	t.Parallel()
	m := supervised(t, time.Minute, `idle_exit = "1s"`)
	for range 2 {
		m.Until("no gateway", func() bool { return m.Property("gw.service", "ActiveState") == "inactive" })
		get(m, t, "/hello", "hello world")
		if status := m.Property("gw.service", "StatusText"); !regexp.MustCompile(`^(draining: )?\d+ connections, \d+ requests in flight, \d+ served, \d+/s$`).MatchString(status) {
			t.Errorf("status %q", status)
		}
	}
	m.Until("its end", func() bool { return m.Property("gw.service", "ActiveState") == "inactive" })
	if got := m.Property("gw.service", "Result") + " " + m.Property("gw.service", "NRestarts"); got != "success 0" {
		t.Errorf("result and restarts: %s", got)
	}
}

// TestIdleExitUnderLoad: requests that come about when the gateway ends are all served.
func TestIdleExitUnderLoad(t *testing.T) {
	t.Parallel()
	m := supervised(t, time.Minute, `idle_exit = "1s"`)
	for _, pause := range []string{"0.98", "0.995", "1", "1.005", "1.02"} {
		get(m, t, "/cgi-bin/date", "done")
		m.Run("sleep", pause)
	}
}

// TestWatchdogFull: a gateway that can serve nobody is not restarted in three times
// WatchdogSec=.
func TestWatchdogFull(t *testing.T) {
	t.Parallel()
	testkit.Longer(t, time.Second, func(t *testing.T, watchdog time.Duration) (early bool) {
		m := supervised(t, watchdog, "max_connections = 2\nprograms = 1\nqueue = 1\nqueue_wait = \"off\"\nfirst_byte = \"off\"\nallow_users = [\"daemon\"]")
		// nginx is not on the list, root is not, and daemon uses all that there is.
		m.Shell("chmod 666 /run/gw-*.sock")
		for _, x := range []string{"0", "1", "2", "3", "4", "5"} {
			m.Run("systemd-run", "--quiet", "--unit=load"+x, "--uid=daemon", "curl", "-s", "--unix-socket", "/run/gw-http.sock", "http://localhost/cgi-bin/slow")
		}
		m.Until("no place for a connection", func() bool {
			return strings.HasPrefix(m.Property("gw.service", "StatusText"), "2 connections, 2 requests in flight")
		})
		m.Until("a program", func() bool { return m.Command("sh", "-c", "cat /proc/[0-9]*/comm | grep -qx sleep").Run() == nil })
		begun := alive(m, t)
		m.Until("three times the limit", func() bool {
			early = m.Property("gw.service", "NRestarts") != "0"
			return early || alive(m, t)-begun >= 3*watchdog
		})
		return early
	})
}

// alive returns when the watchdog was put off.
func alive(m *machine.Machine, t *testing.T) time.Duration {
	t.Helper()
	usec, err := strconv.ParseInt(m.Property("gw.service", "WatchdogTimestampMonotonic"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(usec) * time.Microsecond
}

// TestWatchdogHung: a gateway that does nothing is restarted, and what has come meanwhile
// is served.
func TestWatchdogHung(t *testing.T) {
	t.Parallel()
	m := supervised(t, 5*time.Second, "")
	get(m, t, "/hello", "hello world")
	m.Run("systemctl", "kill", "--kill-who=main", "--signal=SIGSTOP", "gw.service")
	get(m, t, "/hello", "hello world")
	if n := m.Property("gw.service", "NRestarts"); n == "0" {
		t.Error("no restart")
	}
	if journal := m.Journal("gw.service"); !strings.Contains(journal, "Watchdog timeout") {
		t.Errorf("no watchdog in the journal:\n%s", journal)
	}
}

// TestRestartUnderLoad: the socket stays, and no request fails.
func TestRestartUnderLoad(t *testing.T) {
	t.Parallel()
	m := supervised(t, time.Minute, "")
	loads := []string{"http://localhost/cgi-bin/date", "http://localhost/hello?[1-40]",
		"--unix-socket /run/gw-http.sock http://localhost/cgi-bin/date", "--unix-socket /run/gw-http.sock http://localhost/hello?[1-40]"}
	for i, from := range loads {
		m.Write(fmt.Sprintf("/srv/load%d", i), fmt.Sprintf(`#!/bin/sh
until [ -e /tmp/stop ]; do
	curl -sS --max-time 60 -o /dev/null -w '%%{http_code}\n' %s >>/tmp/load%d 2>&1
done
`, from, i), 0o755)
		m.Run("systemd-run", "--quiet", fmt.Sprintf("--unit=load%d", i), fmt.Sprintf("/srv/load%d", i))
	}
	for n := range 5 {
		m.Until("load", func() bool {
			return m.Command("sh", "-c", fmt.Sprintf(`for f in 0 1 2 3; do [ "$(wc -l </tmp/load$f)" -gt %d ] || exit 1; done`, 3*n)).Run() == nil
		})
		m.Run("systemctl", "restart", "gw.service")
	}
	m.Shell("touch /tmp/stop")
	m.Until("the end of the load", func() bool { return m.Run("systemctl", "list-units", "--no-legend", "--state=running", "load*") == "" })
	total := m.Shell("cat /tmp/load? | wc -l")
	if failed := m.Shell("cat /tmp/load? | grep -v '^200$' | sort | uniq -c || true"); failed != "" {
		t.Errorf("of %s requests failed:\n%s", total, failed)
	}
	t.Logf("%s requests", total)
}
