package testkit

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Alone runs a test again, in a process of its own with these attributes, which may be
// nil, and reports whether this is that process. It begins a test that changes its
// process, such as
//
//	if !testkit.Alone(t, nil) {
//		return
//	}
//
// The test fails if it fails there or takes longer than three times [Patience], so that what
// waits for something there is the first to say so. It is no subtest.
func Alone(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	const inside = "GATEHOUSE_TEST_ALONE"
	if os.Getenv(inside) == t.Name() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.timeout="+(3*Patience).String(), "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = attr
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in a process of its own: %v\n%s", err, out)
	}
	return false
}
