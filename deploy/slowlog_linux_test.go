package deploy_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// TestSlowLog: what the log says while requests from nginx still run: of a Perl program of
// another user with its child's child, of php-cgi that is kept, and of php-fpm at its address.
func TestSlowLog(t *testing.T) {
	const (
		config = "/etc/gatehouse/slowlog.toml"
		dir    = "/srv/slowlog"
		fifo   = dir + "/fifo"
		socket = "/run/messages/fastcgi.sock"
	)
	writeProgram(t, dir+"/bin/report", "#!/usr/bin/perl\nprint \"Content-Type: text/plain\\n\\n\"; $| = 1; print 'x'; system('cat "+fifo+"; true');\n", 0o755)
	writeProgram(t, dir+"/www/page.php", "<?php readfile('"+fifo+"');", 0o644)
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	startPHP(t)
	writeProgram(t, config, fmt.Sprintf(`fastcgi = "unix:%s,mode=0666"
slow = "500ms"
slow_interval = "off"
[[app]]
prefix = "/bin"
scripts = "%s/bin"
user = "www-data"
[[app]]
prefix = "/kept"
fastcgi_exec = "php-cgi"
user = "www-data"
root = "%[2]s/www"
[[app]]
prefix = "/fpm"
fastcgi = "unix:/run/php/fpm.sock"
root = "%[2]s/www"
`, socket, dir), 0o644)
	t.Cleanup(func() { os.Remove(config) })
	log := startLogged(t, "slowlog", `exec gatehouse serve --config `+config+` 2>"$LOG"`, nil, socket)
	startNginx(t, "testdata/slow/nginx.conf")
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/bin/report", []string{`"app":"/bin"`, `"program":"` + dir + `/bin/report"`, "waiting for the rest of the response",
			"/usr/bin/perl " + dir + "/bin/report: sleeping (S)", "sh -c cat " + fifo, `\n    `, "cat " + fifo + ": sleeping (S)", "waits for a child", "waits for a file to open"}},
		{"/kept/page.php", []string{`"app":"/kept"`, `"program":"/usr/bin/php-cgi`, "waiting for the application to respond", "php-cgi: sleeping (S)", "waits for a file to open"}},
		{"/fpm/page.php", []string{`"app":"/fpm"`, `"address":"unix:/run/php/fpm.sock"`, "waiting for the application to respond"}},
	} {
		t.Run(tt.path, func(t *testing.T) {
			found := func() bool {
				for line := range strings.Lines(log()) {
					if containsAll(line, append(tt.want, `"level":"WARN"`, `"request is slow"`, tt.path)) {
						return true
					}
				}
				return false
			}
			// On a busy machine the first may not have come so far when its line is due.
			for i := 0; i < 10 && !found(); i++ {
				before := strings.Count(log(), "is slow")
				ended := make(chan page, 1)
				go func() { ended <- getURL(t, tt.path) }()
				testkit.Until(t, "a line about "+tt.path, func() bool { return strings.Count(log(), "is slow") > before })
				releaseFIFO(t, fifo)
				if got := <-ended; got.status != 200 || !strings.HasSuffix(got.body, "released") {
					t.Errorf("status %d, %q", got.status, got.body)
				}
			}
			if !found() {
				t.Errorf("no line with %q:\n%s", tt.want, log())
			}
		})
	}
}

// releaseFIFO writes to a FIFO, as soon as somebody reads it.
func releaseFIFO(t *testing.T, fifo string) {
	t.Helper()
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("released"); err != nil {
		t.Fatal(err)
	}
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}
