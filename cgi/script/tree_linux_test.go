package script

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// stateOf returns the state of a process as /proc/PID/stat has it, or 0 if there is none.
func stateOf(pid int) byte {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, state, _ := strings.Cut(string(text), ") ")
	if state == "" {
		return 0
	}
	return state[0]
}

// checkGone waits until the process whose number a script wrote into the file has ended.
func checkGone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	ended := func() bool { state := stateOf(pid); return state == 0 || state == 'Z' || state == 'X' }
	if !testkit.Poll(ended) {
		syscall.Kill(pid, syscall.SIGKILL)
		t.Fatalf("process %d of %s is left", pid, filepath.Base(file))
	}
}

// abort runs a program until it has sent "ready", and gives the request up.
func (f *fixture) abort(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(background)
	r := request(path)
	r.SetContext(ctx)
	s := new(recorder)
	s.onFlush = func(body string) {
		if strings.HasSuffix(body, "ready\n") {
			cancel(cgi.ErrAborted)
		}
	}
	if res := f.serveTo(r, s); res.End != cgi.Aborted || !errors.Is(res.Err, cgi.ErrAborted) {
		t.Errorf("%v, %v; want aborted", res.End, res.Err)
	}
}

// TestDescendantsThatLeaveTheGroup are ended with their program, deaf to TERM or not,
// also those whose parents end first.
func TestDescendantsThatLeaveTheGroup(t *testing.T) {
	for name, script := range map[string]string{
		"a session":           `setsid sh -c 'echo $$ >a; echo $$ >b; echo >fifo; exec sleep 1000' &`,
		"deaf":                `setsid sh -c 'trap "" TERM; echo $$ >a; echo $$ >b; echo >fifo; while :; do sleep 1; done' &`,
		"two deep":            `setsid sh -c 'trap "" TERM; echo $$ >a; setsid sh -c "echo \$\$ >b; echo >fifo; sleep 1000" & wait; sleep 1000' &`,
		"starts more at TERM": `setsid sh -c 'trap "setsid sleep 1000 & echo \$! >b" TERM; echo $$ >a; echo >fifo; while :; do sleep 0.05; done' &`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.Limits.Grace = 300 * time.Millisecond
			f.fifo(t, "fifo")
			f.sh(t, "x", script+"\nread line <fifo\n"+head+"echo ready\nwait")
			f.abort(t, "/x")
			f.Close()
			checkGone(t, filepath.Join(f.dir, "a"))
			checkGone(t, filepath.Join(f.dir, "b"))
		})
	}
}

// TestStraysAreForgotten: what was held to signal them is let go.
func TestStraysAreForgotten(t *testing.T) {
	f := newFixture(t)
	f.fifo(t, "fifo")
	f.sh(t, "x", "setsid sh -c 'echo >fifo; exec sleep 1000' &\nread line <fifo\n"+head+"echo ready\nwait")
	f.abort(t, "/x")
	waitIdle(t, f)
	before := testkit.Descriptors(t)
	for range 3 {
		f.abort(t, "/x")
		waitIdle(t, f)
	}
	// The place of a program may be free before its stderr has been closed.
	if !testkit.Poll(func() bool { return testkit.Descriptors(t) <= before }) {
		t.Errorf("%d descriptors before, %d after", before, testkit.Descriptors(t))
	}
}

// TestDaemonsOfAGoodEnd: a program that ends by itself leaves what it likes.
func TestDaemonsOfAGoodEnd(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "x", head+"setsid sleep 1000 >/dev/null 2>&1 &\necho $! >a\necho done")
	s, res := f.serve(request("/x"))
	checkOK(t, s, res, "done\n")
	f.Close()
	text, _ := os.ReadFile(filepath.Join(f.dir, "a"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the daemon: %v", err)
	}
}
