package deploy_test

import (
	"bytes"
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

// startGateway starts the gateway with gatehouse.toml as its configuration, with what needs
// gitweb and cgit, the address that the file for HAProxy asks for, and more lines.
func startGateway(t *testing.T, lines ...string) {
	t.Helper()
	const config = "/etc/gatehouse/gatehouse.toml"
	install(t, "gatehouse.toml", config, 0o644)
	content := read(t, config)
	const list = "\nfastcgi = ["
	more := bytes.Replace(content, []byte(list), []byte(list+`"127.0.0.1:9000", `), 1)
	more = commentedOut.ReplaceAll(more, []byte("$1$2"))
	for _, line := range lines {
		more = append(more, line...)
	}
	if err := os.WriteFile(config, more, 0o644); err != nil {
		t.Fatal(err)
	}
	serve(t, "gatehouse", "--config", config)
}

// startApplication starts a Go handler behind the addresses that the
// go-application files name.
func startApplication(t *testing.T) {
	t.Helper()
	serve(t, "application",
		"--fastcgi", "unix:/run/application/fastcgi.sock",
		"--fastcgi", "127.0.0.1:9000",
		"--scgi", "unix:/run/application/scgi.sock",
		"--http", "127.0.0.1:8080",
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
