package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

const apacheLog = "/var/log/apache2/error.log"

// startApache starts Debian's Apache on port 80 with Debian's configuration, its
// default site, and the named file, installed as the file's own comment says.
func startApache(t *testing.T, file string) {
	t.Helper()
	startApacheWith(t, file)
}

// startApacheWith does that, with directives of the test's own after the others.
func startApacheWith(t *testing.T, file string, directives ...string) {
	t.Helper()
	for _, dir := range []string{"conf-enabled", "sites-enabled"} {
		empty(t, filepath.Join("/etc/apache2", dir))
	}
	run(t, "/usr/sbin/a2ensite", "000-default")
	// Its package enables this one, and Apache then takes seconds to end.
	run(t, "/usr/sbin/a2dismod", "-f", "fcgid")
	follow(t, file)

	// apache2ctl makes these.
	for _, dir := range []string{"/run/apache2/socks", "/run/lock/apache2"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		credential := webUser(t)
		if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(apacheLog); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `. /etc/apache2/envvars && exec /usr/sbin/apache2 -D FOREGROUND "$@"`, "apache2")
	for _, directive := range directives {
		cmd.Args = append(cmd.Args, "-c", directive)
	}
	startServer(t, "apache2", cmd, []string{apacheLog}, "127.0.0.1:80")
}

var (
	copyLine   = regexp.MustCompile(`(?m)^# Copy to (/etc/[a-z0-9]+/conf-available/[a-z0-9-]+\.conf), then:$`)
	enableLine = regexp.MustCompile(`(?m)^#   (a2enmod|a2enconf|lighty-enable-mod) ([a-z_-]+)$`)
)

// follow does what the comment at the head of a file for Apache or lighttpd tells
// its reader to do.
func follow(t *testing.T, file string) {
	t.Helper()
	head, _, _ := bytes.Cut(read(t, file), []byte("\n\n"))
	place := copyLine.FindSubmatch(head)
	lines := enableLine.FindAllSubmatch(head, -1)
	if place == nil || lines == nil {
		t.Fatalf("%s does not say where to copy it and what to enable", file)
	}
	install(t, file, string(place[1]), 0o644)
	for _, line := range lines {
		run(t, "/usr/sbin/"+string(line[1]), string(line[2]))
		if module := string(line[2]); string(line[1]) == "a2enmod" {
			t.Cleanup(func() { run(t, "/usr/sbin/a2dismod", "-f", module) })
		}
	}
}

// run runs a command that has to succeed and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}
