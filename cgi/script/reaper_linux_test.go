package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi/process"
	"gatehouse/internal/testkit"
)

// TestReaperLooks: an orphan is reaped without anybody's asking.
func TestReaperLooks(t *testing.T) {
	if !testkit.Alone(t, nil) {
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
	testkit.Until(t, "the end of the orphan as a zombie", func() bool {
		_, err := os.Stat("/proc/" + strings.TrimSpace(string(text)))
		return err != nil
	})
}
