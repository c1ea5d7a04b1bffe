package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestReaper is run in a process of its own, since a Reaper takes all children.
func TestReaper(t *testing.T) {
	const inside = "SCRIPT_TEST_REAPER"
	if os.Getenv(inside) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestReaper$", "-test.count=1", "-test.timeout=60s", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestReaper") {
			t.Fatalf("in a process of its own: %v\n%s", err, out)
		}
		return
	}
	reaper, err := NewReaper()
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.Reaper = reaper
	f.Limits.OpenFiles = 200 // starts that are stopped, and the probe, are no orphans
	if err := syscall.Mkfifo(filepath.Join(f.dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.sh(t, "orphan", "(setsid sh -c 'echo $$ >pid; read x <fifo; exit 3' </dev/null >/dev/null 2>&1 &)\n"+head+"sleep 0\necho done")
	f.sh(t, "status", head+"exit 7")
	f.sh(t, "slow", head+"echo ready\nsleep 1000 & wait")
	s, res := f.serve(request("/orphan"))
	checkOK(t, s, res, "done\n")
	var pid int
	for pid == 0 {
		text, _ := os.ReadFile(filepath.Join(f.dir, "pid"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	for {
		st, err := readStat(pid)
		if err != nil {
			t.Fatal(err)
		}
		if st.parent == os.Getpid() {
			break
		}
	}
	if left := reaper.reap(); left != 1 {
		t.Errorf("%d orphans; want one", left)
	}
	// A child of a start that is under way is nobody's yet.
	start := reaper.begin()
	young, err := syscall.ForkExec("/bin/true", []string{"true"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var si unix.Siginfo
	if err := unix.Waitid(unix.P_PID, young, &si, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if left := reaper.reap(); left != 2 {
			t.Errorf("%d may be orphans; want two", left)
		}
	}
	reaper.end(start, nil)
	if left := reaper.reap(); left != 1 {
		t.Errorf("%d may be orphans; want one", left)
	}
	// Programs keep their statuses, and those that are being ended, too.
	stop := make(chan struct{})
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		for {
			select {
			case <-stop:
				return
			default:
				reaper.reap()
			}
		}
	}()
	for range 50 {
		s, res := f.serve(request("/status"))
		checkOK(t, s, res, "")
		if res.ExitStatus != 7 {
			t.Fatalf("exit status %d; want 7", res.ExitStatus)
		}
	}
	f.abort(t, "/slow")
	writeFifo(t, filepath.Join(f.dir, "fifo"))
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := readStat(pid); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the orphan is not reaped")
		}
	}
	close(stop)
	<-looked
	f.Close()
	if len(reaper.known)+len(reaper.starts) > 0 {
		t.Errorf("known: %v, starts: %v", reaper.known, reaper.starts)
	}
	if err := reaper.Close(); err != nil {
		t.Error(err)
	}
	if err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("children are left: %v", err)
	}
}

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
	reaper, err := NewReaper()
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
