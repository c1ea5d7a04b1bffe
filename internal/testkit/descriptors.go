package testkit

import (
	"os"
	"runtime"
	"testing"
)

// Descriptors returns how many descriptors this process has: on Linux, for elsewhere
// it is 0.
func Descriptors(t testing.TB) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
