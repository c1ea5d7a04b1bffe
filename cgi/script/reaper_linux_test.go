package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi/process"
)

// TestReaperLooks: an orphan is reaped without anybody's asking.
func TestReaperLooks(t *testing.T) {
	const inside = "SCRIPT_TEST_REAPER"
	if os.Getenv(inside) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestReaperLooks$", "-test.count=1", "-test.timeout=60s", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestReaperLooks") {
			t.Fatalf("in a process of its own: %v\n%s", err, out)
		}
		return
	}
	reaper, err := process.NewReaper()
	if err != nil {
		t.Fatal(err)
	}
	defer reaper.Close()
	f := newFixture(t)
	f.Reaper = reaper
	f.sh(t, "orphan", "(sh -c 'echo $$ >pid; sleep 0.1' </dev/null >/dev/null 2>&1 &)\n"+head+"sleep 0.05")
	if _, res := f.serve(request("/orphan")); res.Err != nil {
		t.Fatal(res.Err)
	}
	checkGone(t, filepath.Join(f.dir, "pid"))
	text, _ := os.ReadFile(filepath.Join(f.dir, "pid"))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat("/proc/" + strings.TrimSpace(string(text))); err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the orphan is a zombie")
		}
	}
}
