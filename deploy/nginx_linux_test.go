package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// startNginx starts Debian's nginx on port 80 with Debian's nginx.conf and, as its
// only site, the named file.
func startNginx(t *testing.T, file string) {
	t.Helper()
	empty(t, "/etc/nginx/sites-enabled")
	empty(t, "/etc/nginx/conf.d")
	install(t, file, filepath.Join("/etc/nginx/conf.d", filepath.Base(file)), 0o644)
	const log = "/var/log/nginx/error.log"
	if err := os.RemoveAll(log); err != nil {
		t.Fatal(err)
	}
	startServer(t, "nginx", exec.Command("/usr/sbin/nginx", "-g", "daemon off;"), []string{log}, "127.0.0.1:80")
}

// empty removes everything from a directory.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
}
