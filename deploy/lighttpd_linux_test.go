package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// startLighttpd starts Debian's lighttpd on port 80 with Debian's configuration and
// the named file, installed as the file's own comment says.
func startLighttpd(t *testing.T, file string) {
	t.Helper()
	empty(t, "/etc/lighttpd/conf-enabled")
	follow(t, file)
	for _, dir := range []string{"/run/lighttpd", "/var/log/lighttpd"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		credential := webUser(t)
		if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join("/var/log/lighttpd", "error.log")
	if err := os.RemoveAll(log); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/lighttpd", "-D", "-f", "/etc/lighttpd/lighttpd.conf")
	startServer(t, "lighttpd", cmd, []string{log}, "127.0.0.1:80")
}
