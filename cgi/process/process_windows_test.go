package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"gatehouse/internal/testkit"
)

const roleVariable = "PROCESS_TEST_ROLE"

func init() {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
}

// play is what this test binary does when it is run as a program.
func play(role string) int {
	switch role {
	case "echo":
		n, err := io.Copy(os.Stdout, os.Stdin)
		fmt.Fprint(os.Stderr, n, err, os.Args[1:], os.Getenv("VALUE"))
		return 3
	case "parent": // has a child that has its own, and prints their numbers
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), roleVariable+"=child")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		fmt.Println(os.Getpid())
		if err := child.Start(); err != nil {
			fmt.Println(err)
		}
		if os.Getenv("VALUE") == "leave" {
			os.Stdin.Read(make([]byte, 1))
			return 0
		}
		time.Sleep(time.Hour)
	case "child":
		fmt.Println(os.Getpid())
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), roleVariable+"=grandchild")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			fmt.Println(err)
		}
		time.Sleep(time.Hour)
	case "grandchild":
		fmt.Println(os.Getpid())
		time.Sleep(time.Hour)
	case "crash":
		var p *int
		*p = 1
	case "exception":
		windows.TerminateProcess(windows.CurrentProcess(), 0xc0000005)
	case "silent":
		time.Sleep(time.Hour)
	}
	return 0
}

func startRole(t *testing.T, role, value string, stdin *os.File) *Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLauncher(Rules{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Start(&Command{Path: self, Args: []string{self, "one two", `"three"`}, Stdin: stdin,
		Env: []string{roleVariable + "=" + role, "VALUE=" + value, "SystemRoot=" + os.Getenv("SystemRoot")}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { p.Wait(); close(done) }()
	t.Cleanup(func() {
		p.Terminate(0)
		<-done
		p.closePipes()
	})
	return p
}

// wait returns how p ended.
func wait(t *testing.T, p *Process) Status {
	t.Helper()
	select {
	case <-p.Exited():
	case <-time.After(testkit.Patience):
		t.Fatal("the program does not end")
	}
	return p.Status()
}

func TestWindowsStart(t *testing.T) {
	p := startRole(t, "echo", "größe", nil)
	body := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	go func() {
		p.Stdin.Write(body)
		p.Stdin.Close()
	}()
	got, err := io.ReadAll(p.Stdout)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("stdout: %d bytes, %v; want the %d of stdin", len(got), err, len(body))
	}
	text, err := io.ReadAll(p.Stderr)
	if want := fmt.Sprint(len(body), error(nil), []string{"one two", `"three"`}, "größe"); err != nil || string(text) != want {
		t.Errorf("stderr %q, %v; want %q", text, err, want)
	}
	if s := wait(t, p); s != (Status{Code: 3}) {
		t.Errorf("%v; want exit status 3", s)
	}
	if p.Terminate(0) {
		t.Error("a program that has ended was terminated")
	}
}

func TestWindowsStdinFile(t *testing.T) {
	f, err := os.CreateTemp("", "") // wine cannot remove a TempDir
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	f.WriteString("from a file")
	f.Seek(5, io.SeekStart)
	p := startRole(t, "echo", "", f)
	got, err := io.ReadAll(p.Stdout)
	if p.Stdin != nil || err != nil || string(got) != "a file" {
		t.Errorf("stdout %q, %v; want the rest of the file", got, err)
	}
	wait(t, p)
}

// numbers reads n numbers of processes that p and its descendants print.
func numbers(t *testing.T, p *Process, n int) (pids []int) {
	t.Helper()
	var text []byte
	b := make([]byte, 1)
	for len(pids) < n {
		if _, err := p.Stdout.Read(b); err != nil {
			t.Fatalf("%v after %q", err, text)
		}
		text = append(text, b...)
		if line, ok := strings.CutSuffix(string(text), "\n"); ok {
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			pids, text = append(pids, pid), nil
		}
	}
	return pids
}

// ended waits until a process has ended.
func ended(t *testing.T, pid int) {
	t.Helper()
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return // there is none
	}
	defer windows.CloseHandle(h)
	if event, err := windows.WaitForSingleObject(h, uint32(testkit.Patience.Milliseconds())); event != windows.WAIT_OBJECT_0 {
		t.Errorf("process %d goes on: %v, %v", pid, event, err)
	}
}

// TestWindowsTree terminates a program, its child and its grandchild, which hold its pipes.
func TestWindowsTree(t *testing.T) {
	p := startRole(t, "parent", "", nil)
	pids := numbers(t, p, 3)
	if !p.othersAlive() {
		t.Error("the job knows no process")
	}
	if !p.Terminate(time.Hour) {
		t.Fatal("it was not terminated")
	}
	if s := wait(t, p); s.Signal == "" {
		t.Errorf("%v; want that it was terminated", s)
	}
	for _, pid := range pids {
		ended(t, pid)
	}
	if rest, err := io.ReadAll(p.Stdout); err != nil || len(rest) > 0 {
		t.Errorf("stdout: %q, %v; want its end", rest, err)
	}
}

// TestWindowsLeftBehind: what a program leaves behind goes on, and does not hold up the end
// of its output.
func TestWindowsLeftBehind(t *testing.T) {
	p := startRole(t, "parent", "leave", nil)
	pids := numbers(t, p, 3)
	p.Stdin.Write([]byte("x"))
	if s := wait(t, p); s != (Status{}) {
		t.Errorf("%v; want exit status 0", s)
	}
	if rest, err := io.ReadAll(p.Stdout); err != nil || len(rest) > 0 {
		t.Errorf("stdout: %q, %v; want its end", rest, err)
	}
	for _, pid := range pids[1:] {
		left, err := os.FindProcess(pid)
		if err != nil {
			t.Errorf("process %d has ended with its parent: %v", pid, err)
			continue
		}
		left.Kill()
		left.Release()
		ended(t, pid)
	}
}

// TestWindowsInterrupt interrupts a read and a write that would wait for the program.
func TestWindowsInterrupt(t *testing.T) {
	p := startRole(t, "silent", "", nil)
	p.Stdout.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := p.Stdout.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v; want a deadline", err)
	}
	p.Stdout.SetReadDeadline(time.Time{})
	go p.Stdout.Interrupt()
	if _, err := p.Stdout.Read(make([]byte, 1)); err != ErrInterrupted {
		t.Errorf("read: %v; want %v", err, ErrInterrupted)
	}
	p.Stdin.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if _, err := p.Stdin.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v; want a deadline", err)
	}
}

func TestWindowsStatus(t *testing.T) {
	for role, want := range map[string]Status{"crash": {Code: 2}, "exception": {Signal: "exception 0xc0000005"}} {
		p := startRole(t, role, "", nil)
		io.ReadAll(p.Stderr)
		if s := wait(t, p); s != want {
			t.Errorf("%s: %v; want %v", role, s, want)
		}
	}
}

func TestWindowsStartFails(t *testing.T) {
	l, _ := NewLauncher(Rules{}, nil, nil)
	_, err := l.Start(&Command{Path: `C:\none\none.exe`, Args: []string{"none"}})
	var e *Error
	if !errors.As(err, &e) || e.Op != OpStart || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v; want that there is no such file", err)
	}
}
