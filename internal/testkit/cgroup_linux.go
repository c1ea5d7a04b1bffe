package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Cgroup makes a control group for a test, as a supervisor delegates one. The test leaves
// nothing in it.
func Cgroup(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(hierarchy(t), fmt.Sprintf("gatehouse-test-%d-%s", os.Getpid(), t.Name()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatalf("no control group can be made: run the tests as root, in a container with --privileged: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("something is left in the control group: %v", err)
		}
	})
	return dir
}

// hierarchy returns where the control groups of version 2 are mounted, and mounts them
// where they are not.
func hierarchy(t testing.TB) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 3 && f[2] == "cgroup2" && strings.HasPrefix(f[3], "rw") {
			return f[1]
		}
	}
	dir := t.TempDir()
	if err := unix.Mount("cgroup2", dir, "cgroup2", 0, ""); err != nil {
		t.Fatalf("control groups of version 2 cannot be mounted: run the tests as root, in a container with --privileged: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}
