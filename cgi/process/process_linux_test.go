package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newLauncher(t *testing.T, r Rules, reaper *Reaper) *Launcher {
	t.Helper()
	l, err := NewLauncher(r, reaper, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// writeProgram writes a shell script that may run.
func writeProgram(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// startShell starts a shell that runs text in dir, with a pipe for its stdin.
func startShell(t *testing.T, l Starter, dir, text string) *Process {
	t.Helper()
	p, err := l.Start(&Command{Path: "/bin/sh", Args: []string{"sh", "-c", text}, Dir: dir, Env: []string{"PATH=/bin:/usr/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// output runs text to its end and returns what it wrote to stdout.
func output(t *testing.T, l Starter, dir, text string) (string, Status) {
	t.Helper()
	p := startShell(t, l, dir, text)
	defer p.closePipes()
	p.Stdin.Close()
	go p.Wait()
	out, err := io.ReadAll(p.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	return string(out), p.Status()
}

func TestStatus(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	for text, want := range map[string]string{
		"exit 0":      "exit status 0",
		"exit 3":      "exit status 3",
		"kill -9 $$":  "ended by signal: killed",
		"kill -15 $$": "ended by signal: terminated",
	} {
		if _, s := output(t, l, "", text); s.String() != want {
			t.Errorf("%s: %v; want %s", text, s, want)
		}
	}
}

// TestOutputOfTheDead: what a program wrote before its end is read, and a child that
// holds its pipes open does not hold the reader.
func TestOutputOfTheDead(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	p := startShell(t, l, "", "echo pid; echo why >&2; sleep 1000 & echo $! >&2; exit 4")
	defer p.closePipes()
	p.Stderr.Open()
	p.Wait()
	out, err := io.ReadAll(p.Stdout)
	if string(out) != "pid\n" || err != nil {
		t.Errorf("stdout %q, %v", out, err)
	}
	diagnostics, err := io.ReadAll(p.Stderr)
	why, child, _ := strings.Cut(string(diagnostics), "\n")
	if why != "why" || err != nil {
		t.Errorf("stderr %q, %v", diagnostics, err)
	}
	if n := number(strings.TrimSpace(child)); syscall.Kill(int(n), syscall.SIGKILL) != nil {
		t.Errorf("the child %q is gone", child)
	}
	if s := p.Status(); s.Code != 4 {
		t.Errorf("%v; want status 4", s)
	}
}

// TestOutputIsReadInPlace: what is there, but is to be left there, is reported.
func TestOutputIsReadInPlace(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	p := startShell(t, l, "", "echo 0123456789; read x")
	defer p.closePipes()
	b := make([]byte, 100)
	if n, ready, err := p.Stdout.ReadOr(b, 11); n != 0 || ready != 11 || err != nil {
		t.Errorf("%d, %d ready, %v; want 11 ready", n, ready, err)
	}
	if n, ready, err := p.Stdout.ReadOr(b, 12); n != 11 || ready != 0 || err != nil {
		t.Errorf("%d, %d ready, %v; want 11 read", n, ready, err)
	}
	p.Stdin.Close()
	p.Wait()
}

func TestInterrupt(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	p := startShell(t, l, "", "read x; echo late")
	defer p.closePipes()
	b := make([]byte, 100)
	p.Stdout.SetReadDeadline(time.Unix(1, 0))
	if _, err := p.Stdout.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v; want a deadline", err)
	}
	p.Stdout.SetReadDeadline(time.Time{})
	read := make(chan error)
	go func() {
		_, err := p.Stdout.Read(b)
		read <- err
	}()
	p.Stdout.Interrupt()
	if err := <-read; err != ErrInterrupted {
		t.Errorf("%v; want %v", err, ErrInterrupted)
	}
	p.Stdout.SetReadDeadline(time.Time{})
	if _, err := p.Stdout.Read(b); err != ErrInterrupted {
		t.Errorf("%v; want %v", err, ErrInterrupted)
	}
	p.Terminate(0)
	p.Wait()
}

// TestUsage: what a program takes, and a child that it waits for, however it is reaped.
func TestUsage(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	for name, reap := range map[string]func(*Process){
		"Wait": (*Process).Wait,
		"TryWait": func(p *Process) {
			for !p.TryWait() {
				time.Sleep(time.Millisecond)
			}
		},
	} {
		p := startShell(t, l, "", "(i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done); exit 0")
		reap(p)
		p.closePipes()
		if u := p.Usage(); u.User+u.System <= 0 || u.PeakMemory < 100<<10 || u.PeakMemory > 100<<20 {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

// TestTerminate: TERM, then KILL for those who are deaf to it, and nothing is left of the
// group when Wait returns.
func TestTerminate(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	p := startShell(t, l, "", "trap '' TERM; sleep 1000 & echo ready; wait; wait")
	defer p.closePipes()
	if _, err := p.Stdout.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if p.TryWait() {
		t.Fatal("reaped a program that lives")
	}
	if !p.Terminate(50*time.Millisecond) || p.Terminate(0) {
		t.Error("not terminated once")
	}
	p.Wait()
	if !p.HasExited() || p.Status().Signal != "killed" {
		t.Errorf("%v; want killed", p.Status())
	}
	if p.othersAlive() {
		t.Error("some of the group live")
	}
	if p.Terminate(0) {
		t.Error("terminated after its end")
	}
}

func TestTryWait(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	p := startShell(t, l, "", "exit 5")
	defer p.closePipes()
	if _, err := p.Stdout.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	for !p.TryWait() {
	}
	if s := p.Status(); s.Code != 5 {
		t.Errorf("%v; want status 5", s)
	}
}

// TestStartErrors: what failed is told apart, and no descriptor is left.
func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	writeProgram(t, dir+"/loose", "echo no")
	if err := os.Chmod(dir+"/loose", 0o777); err != nil {
		t.Fatal(err)
	}
	plain := newLauncher(t, Rules{}, nil)
	checked := newLauncher(t, Rules{Roots: []string{dir}, Confinement: Confinement{CheckMode: true}}, nil)
	for _, c := range []struct {
		l    *Launcher
		path string
		op   Op
		is   error
	}{
		{plain, dir + "/none", OpStart, fs.ErrNotExist},
		{plain, dir, OpStart, fs.ErrPermission},
		{checked, dir + "/loose", OpCheck, nil},
		{checked, "/bin/sh", OpCheck, ErrOutside},
		{checked, dir, OpCheck, nil},
	} {
		_, err := c.l.Start(&Command{Path: c.path, Args: []string{"x"}})
		var pe *Error
		if !errors.As(err, &pe) || pe.Op != c.op || pe.Path != c.path || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v; want %s, %v", c.path, err, c.op, c.is)
		}
		if !strings.HasPrefix(err.Error(), c.path+": ") {
			t.Errorf("%q does not name the program", err)
		}
	}
}

func TestSignalsAreAtTheirDefaults(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	out, _ := output(t, l, "", "exec grep -E '^Sig(Blk|Ign):' /proc/self/status")
	var blocked, ignored uint64
	if _, err := fmt.Sscanf(out, "SigBlk:\t%x\nSigIgn:\t%x\n", &blocked, &ignored); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if ignored &^= internalSignals; blocked != 0 || ignored != 0 {
		t.Errorf("blocked %x, ignored %x; want none", blocked, ignored)
	}
}
