package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// TestReaper is run in a process of its own, since a Reaper takes all children.
func TestReaper(t *testing.T) {
	if !testkit.Alone(t, nil) {
		return
	}
	reaper, err := NewReaper()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// Starts that are stopped, and the probe, are no orphans.
	l := newLauncher(t, Rules{Limits: Limits{OpenFiles: 200}}, reaper)
	if out, s := output(t, l, dir, "(setsid sh -c 'echo $$ >pid; read x <fifo; exit 3' </dev/null >/dev/null 2>&1 &)\necho done"); out != "done\n" || s != (Status{}) {
		t.Fatalf("%q, %v", out, s)
	}
	var pid int
	for pid == 0 {
		text, _ := os.ReadFile(filepath.Join(dir, "pid"))
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
	start := reaper.startBegins()
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
	reaper.startFailed(start)
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
		if _, s := output(t, l, dir, "exit 7"); s.Code != 7 {
			t.Fatalf("%v; want status 7", s)
		}
	}
	p := startShell(t, l, dir, "echo ready\nsleep 1000 & wait")
	if _, err := p.Stdout.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	p.Terminate(0)
	p.Wait()
	p.closePipes()
	if err := os.WriteFile(fifo, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the reaping of the orphan", func() bool { _, err := readStat(pid); return err != nil })
	close(stop)
	<-looked
	l.Close()
	if len(reaper.known)+len(reaper.starts) > 0 {
		t.Errorf("known: %v, starts: %v", reaper.known, reaper.starts)
	}
	testkit.Until(t, "the end of what was killed", func() bool {
		reaper.reap()
		return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil) == unix.ECHILD
	})
	if err := reaper.Close(); err != nil {
		t.Error(err)
	}
}

// TestReaperKeepsThreads: the threads that a Launcher ends have started no program that
// runs.
func TestReaperKeepsThreads(t *testing.T) {
	if !testkit.Alone(t, nil) {
		return
	}
	reaper, err := NewReaper()
	if err != nil {
		t.Fatal(err)
	}
	defer reaper.Close()
	l := newLauncher(t, Rules{}, reaper)
	var started []*Process
	for range 20 {
		started = append(started, startShell(t, l, "", "read x"))
		other, err := NewLauncher(Rules{Confinement: Confinement{Umask: 0o27}}, reaper, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range started {
		p.Stdin.Close()
		p.Wait()
		if s := p.Status(); s.Code != 1 {
			t.Errorf("%v; want that of read at the end", s)
		}
		p.closePipes()
	}
}

// TestReaperSpares a child that is no program: who started it waits for it.
func TestReaperSpares(t *testing.T) {
	reaper, err := NewReaper()
	if err != nil {
		t.Fatal(err)
	}
	defer reaper.Close()
	var child int
	forget, err := reaper.Spare(func() (pid int, err error) {
		child, err = syscall.ForkExec("/bin/true", []string{"true"}, nil)
		return child, err
	})
	if err != nil {
		t.Fatal(err)
	}
	var si unix.Siginfo
	if err := unix.Waitid(unix.P_PID, child, &si, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		reaper.reap()
	}
	if got, err := unix.Wait4(child, nil, 0, nil); got != child || err != nil {
		t.Errorf("Wait4 returned %d, %v; want %d", got, err, child)
	}
	forget()
	if len(reaper.known) > 0 {
		t.Error("it is not forgotten")
	}
	if _, err := reaper.Spare(func() (int, error) { return 0, unix.ENOENT }); err != unix.ENOENT {
		t.Errorf("Spare returned %v", err)
	}
	if len(reaper.starts)+len(reaper.known) > 0 {
		t.Error("a start that failed is not forgotten")
	}
}
