// Package scale_test runs several gateways on machines of their own, which are network
// namespaces, behind one web server with the files of the folder deploy, and takes them away
// one by one while requests come.
package scale_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gatehouse/internal/testkit"
)

// binaryVariable names the gatehouse command for the processes that tests run in.
const binaryVariable = "GATEHOUSE_SCALE_BINARY"

// needed are the programs that the tests run, with their Debian packages.
var needed = map[string]string{"/usr/sbin/haproxy": "haproxy", "/usr/sbin/nginx": "nginx-light", "/usr/sbin/ip": "iproute2"}

func TestMain(m *testing.M) {
	if os.Getenv(binaryVariable) != "" {
		testkit.Main(m)
	}
	code, err := build(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale tests:", err)
		code = 1
	}
	os.Exit(code)
}

// build builds the command, and runs the tests.
func build(m *testing.M) (int, error) {
	for path, name := range needed {
		if _, err := os.Stat(path); err != nil {
			return 0, fmt.Errorf("not installed; run: apt-get install --no-install-recommends %s", name)
		}
	}
	dir, err := os.MkdirTemp("", "gatehouse-scale-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	cmd := exec.Command("go", "build", "-o", dir, "gatehouse/daemon/gatehouse")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := os.Setenv(binaryVariable, filepath.Join(dir, "gatehouse")); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
