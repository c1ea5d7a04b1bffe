package fault_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/fault"
	"gatehouse/internal/testkit"
)

// roleVariable makes this test binary play a role instead of running tests.
const roleVariable = "GATEHOUSE_FAULT_ROLE"

// play uses up what the role names, and prints how much it got, and why there is no more.
func play(role string) int {
	var n int
	var err error
	switch role {
	case "files":
		for err == nil {
			if _, err = unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
				n++
			}
		}
	case "memory":
		for err == nil && n < 1<<20 {
			if _, err = unix.Mmap(-1, 0, 1<<20, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS); err == nil {
				n++
			}
		}
	case "disk":
		var f *os.File
		for f, err = os.Create(os.Args[1]); err == nil; {
			var k int
			k, err = f.Write(make([]byte, 4096))
			n += k
		}
	case "stderr":
		_, err = os.Stderr.Write(bytes.Repeat([]byte("x"), 1<<20))
	}
	var errno syscall.Errno
	errors.As(err, &errno)
	fmt.Printf("%d %d %d %v\n", n, int(errno), os.Getuid(), err)
	return 0
}

// role returns a command that plays a role, and is called with these arguments.
func role(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+name)
	return cmd
}

// TestChild: what is scarce runs out where it should, with the error that it should, and
// only there.
func TestChild(t *testing.T) {
	// Another user's test binary has to be readable.
	const uid = 61234
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(disk, "with blank")
	user := &syscall.Credential{Uid: uid, Gid: uid}
	for _, tt := range []struct {
		role     string
		child    fault.Child
		min, max int
		err      error
	}{
		{"files", fault.Child{Files: 64}, 40, 64, unix.EMFILE},
		{"memory", fault.Child{Memory: 2 << 30}, 0, 2 << 10, unix.ENOMEM},
		{"disk", fault.Child{Disk: disk, DiskBytes: 64 << 10}, 64 << 10, 64 << 10, unix.ENOSPC},
		{"disk", fault.Child{Disk: disk, DiskBytes: 64 << 10, User: user, Files: 20}, 64 << 10, 64 << 10, unix.ENOSPC},
	} {
		cmd := role(t, tt.role, file)
		tt.child.Apply(cmd)
		out, err := cmd.CombinedOutput()
		var n, errno, who int
		if _, scanErr := fmt.Sscan(string(out), &n, &errno, &who); err != nil || scanErr != nil {
			t.Errorf("%+v: %v, %q", tt.child, err, out)
			continue
		}
		if n < tt.min || n > tt.max || syscall.Errno(errno) != tt.err || who != 0 && tt.child.User == nil || who == 0 && tt.child.User != nil {
			t.Errorf("%+v: %q; want %d to %d, then %v", tt.child, out, tt.min, tt.max, tt.err)
		}
	}
	if left, err := os.ReadDir(disk); err != nil || len(left) > 0 {
		t.Errorf("the disk is visible outside: %v, %v", left, err)
	}
}

// TestChildProcesses: a shell, which has one thread, cannot fork.
func TestChildProcesses(t *testing.T) {
	cmd := exec.Command("sh", "-c", "id -u; id -u; exit 0")
	fault.Child{Processes: 1, User: &syscall.Credential{Uid: 61235, Gid: 61235}}.Apply(cmd)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Cannot fork") {
		t.Errorf("%v, %q; want that it cannot fork", err, out)
	}
}

// TestSqueeze: a process that runs, as another user, gets no more descriptors, and later does
// again.
func TestSqueeze(t *testing.T) {
	cmd := exec.Command("sh", "-c", "while read line; do if true </dev/null; then echo open; else echo closed; fi; done 2>/dev/null")
	fault.Child{User: &syscall.Credential{Uid: 61236, Gid: 61236}}.Apply(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(out)
	ask := func(want string) {
		t.Helper()
		io.WriteString(in, "\n")
		if line, err := answers.ReadString('\n'); strings.TrimSpace(line) != want || err != nil {
			t.Errorf("%q, %v; want %s", line, err, want)
		}
	}
	ask("open") // it has changed its user, and is the shell
	release, err := fault.Squeeze(cmd.Process.Pid, "nofile", 3)
	if err != nil {
		t.Fatal(err)
	}
	ask("closed")
	if err := release(); err != nil {
		t.Fatal(err)
	}
	ask("open")
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestStderr: a command blocks while nobody reads, and nothing of what it says is lost.
func TestStderr(t *testing.T) {
	var got bytes.Buffer
	s, err := fault.NewStderr(&got)
	if err != nil {
		t.Fatal(err)
	}
	s.Block()
	cmd := role(t, "stderr")
	cmd.Stderr = s.W
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.W.Close()
	testkit.Until(t, "a process that is blocked", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", cmd.Process.Pid))
		return err == nil && slices.ContainsFunc(threads, func(name string) bool {
			call, err := os.ReadFile(name)
			return err == nil && strings.HasPrefix(string(call), fmt.Sprintf("%d 0x2 ", unix.SYS_WRITE))
		})
	})
	s.Unblock()
	if err := errors.Join(cmd.Wait(), s.Wait()); err != nil {
		t.Fatal(err)
	}
	if got.Len() != 1<<20 {
		t.Errorf("%d bytes; want %d", got.Len(), 1<<20)
	}
}
