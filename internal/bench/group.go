//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A group is the control group of a side. It counts the processor time of everything
// that the side has run, including programs that nobody has waited for.
type group string

// newGroup creates a control group below the root of version 2. If there is none, or it
// is not writable, the group is "".
func newGroup(name string) group {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[2] != "cgroup2" {
			continue
		}
		dir := filepath.Join(f[1], fmt.Sprintf("gatehouse-bench-%d-%s", os.Getpid(), name))
		if os.Mkdir(dir, 0o755) == nil {
			return group(dir)
		}
	}
	return ""
}

// used returns the processor time used, user and system.
func (g group) used() (time.Duration, error) {
	b, err := os.ReadFile(filepath.Join(string(g), "cpu.stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(append([]byte("\n"), b...), []byte("\nusage_usec "))
	var microseconds int64
	if _, err := fmt.Sscan(string(rest), &microseconds); err != nil {
		return 0, fmt.Errorf("no usage_usec in cpu.stat: %w", err)
	}
	return time.Duration(microseconds) * time.Microsecond, nil
}

// remove kills what is left in the group, and removes it.
func (g group) remove() {
	if g == "" {
		return
	}
	for range 500 {
		os.WriteFile(filepath.Join(string(g), "cgroup.kill"), []byte("1"), 0)
		if err := unix.Rmdir(string(g)); err != unix.EBUSY {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
