package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// build puts the gatehouse command into dir.
func build(dir string) error {
	cmd := exec.Command("go", "build", "-o", dir, "gatehouse/daemon/gatehouse")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build gatehouse/daemon/gatehouse: %w\n%s", err, out)
	}
	return nil
}

// startGateway starts the gateway with gatehouse.toml as its configuration.
func startGateway(t *testing.T) {
	t.Helper()
	install(t, "gatehouse.toml", "/etc/gatehouse/gatehouse.toml", 0o644)
	serve(t, "gatehouse", "--config", "/etc/gatehouse/gatehouse.toml")
}

// startApplication starts a Go handler behind the sockets that the
// go-application files name.
func startApplication(t *testing.T) {
	t.Helper()
	serve(t, "application",
		"--fastcgi", "unix:/run/application/fastcgi.sock",
		"--scgi", "unix:/run/application/scgi.sock",
		"--app", "/=hello",
		"--app", "/demo=demo")
}

// serve runs gatehouse serve as the web servers' user, with a directory called
// name in /run for its sockets fastcgi.sock and scgi.sock.
func serve(t *testing.T, name string, args ...string) {
	t.Helper()
	credential := webUser(t)
	dir := filepath.Join("/run", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(workspace, "gatehouse"), append([]string{"serve"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.Dir = "/"
	startServer(t, name, cmd, nil, filepath.Join(dir, "fastcgi.sock"), filepath.Join(dir, "scgi.sock"))
}
