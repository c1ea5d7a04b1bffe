package script

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
)

// holdTraced starts a traced child and leaves it where its execve stops it, until it
// has been killed.
func holdTraced(tid, stopped chan<- int) {
	runtime.LockOSThread()
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	tid <- unix.Gettid()
	if err != nil {
		stopped <- 0
		return
	}
	var ws syscall.WaitStatus
	wait4(pid, &ws)
	stopped <- pid
	for wait4(pid, &ws) == nil && ws.Stopped() {
	}
	stopped <- int(ws.Signal())
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
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if st, err := readStat(pid); err != nil || st.ended() {
			return
		}
		if time.Now().After(deadline) {
			syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d of %s is left", pid, filepath.Base(file))
		}
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
			if err := syscall.Mkfifo(filepath.Join(f.dir, "fifo"), 0o600); err != nil {
				t.Fatal(err)
			}
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
	if err := syscall.Mkfifo(filepath.Join(f.dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.sh(t, "x", "setsid sh -c 'echo >fifo; exec sleep 1000' &\nread line <fifo\n"+head+"echo ready\nwait")
	f.abort(t, "/x")
	waitIdle(f)
	before := descriptors(t)
	for range 3 {
		f.abort(t, "/x")
		waitIdle(f)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
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

func TestParseStat(t *testing.T) {
	for text, want := range map[string]stat{
		"12 (a) b) (c) S 3 4 5 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7\n": {'S', 3, 4, 100},
		"12 (x) Z 1 12 5 0 -1 4194560 1 2 3 4 0 0 0 0 20\n":                       {'Z', 1, 12, 0},
	} {
		if st, err := parseStat([]byte(text)); err != nil || st != want {
			t.Errorf("%q: %+v, %v; want %+v", text, st, err, want)
		}
	}
	for _, text := range []string{"", ")", "12 (x) S 1", "12 (x) S a 4 5 0 -1 4194560 1 2 3 4 0 0 0 0 20"} {
		if st, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, st)
		}
	}
}
