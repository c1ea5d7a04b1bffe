package deploy_test

import (
	"os"
	"os/exec"
	"testing"
)

const haproxyConfig = "/etc/haproxy/haproxy.cfg"

// startHAProxy starts Debian's HAProxy with the named file appended to Debian's
// configuration, as the file's own comment says.
func startHAProxy(t *testing.T, file string) {
	t.Helper()
	appendTo(t, haproxyConfig, "\n"+string(read(t, file)))
	if err := os.MkdirAll("/run/haproxy", 0o755); err != nil {
		t.Fatal(err)
	}
	// Its warnings are about limits of the machine.
	run(t, "/usr/sbin/haproxy", "-c", "-f", haproxyConfig)
	startServer(t, "haproxy", exec.Command("/usr/sbin/haproxy", "-db", "-f", haproxyConfig), nil, "127.0.0.1:80")
}
