package process

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCgroupFiles: what is written to the kernel's files.
func TestCgroupFiles(t *testing.T) {
	dir := t.TempDir()
	o := Cgroup{Memory: 64 << 20, Processes: 20, CPU: 1.5}
	if err := o.write(dir); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.max": "67108864", "pids.max": "20", "cpu.max": "150000 100000"} {
		if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v; want %q", file, text, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte("cpuset cpu io memory pids\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := o.enable(dir); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control")); err != nil || string(text) != "+pids" {
		t.Errorf("cgroup.subtree_control: %q, %v", text, err) // the last of three
	}
}

// TestMemoryKill: each kill for want of memory is reported once, and all those of a program
// that has the group to itself together.
func TestMemoryKill(t *testing.T) {
	for _, own := range []bool{false, true} {
		c := &cgroup{dir: t.TempDir(), own: own}
		if c.tookMemoryKill() {
			t.Error("a kill without the controller")
		}
		text := "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"
		if err := os.WriteFile(filepath.Join(c.dir, "memory.events"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if !c.tookMemoryKill() || c.tookMemoryKill() == own || c.tookMemoryKill() {
			t.Errorf("own group: %v: the number of kills is wrong", own)
		}
	}
}
