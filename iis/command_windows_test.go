package iis_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCommand is "gatehouse request --iis" with "gatehouse serve" as the program. The binary
// is that of GATEHOUSE_EXE, which "make wine" sets.
func TestCommand(t *testing.T) {
	gatehouse := os.Getenv("GATEHOUSE_EXE")
	if gatehouse == "" {
		t.Skip("GATEHOUSE_EXE names no gatehouse.exe")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program, path  string
		status         int
		stdout, stderr string
	}{
		{gatehouse + "|serve --app hello", "/x", 0, "Status: 200 OK\n", ""},
		{gatehouse + "|serve --app demo", "/x", 0, "\nSERVER_SOFTWARE = 'Microsoft-IIS/10.0'\n", ""},
		{gatehouse + "|serve --app nonsense", "/x", 1, "", "the program exited with status 2"},
		{gatehouse + "|serve --app nonsense", "/x", 1, "", `unknown kind of application "nonsense"`},
		{gatehouse + "|version", "/x", 1, "", "closed the connection without a response"},
		{gatehouse + ".not", "/x", 1, "", "gatehouse.exe.not: "},
		{self, "/hello", 0, "hello\n", ""},
		{self, "/crash", 1, "", "panic: a deliberate crash"},
		{self, "/crash", 1, "", "the program exited with status 2"},
		{self, "/panic", 5, "", "a deliberate panic"},
	} {
		cmd := exec.Command(gatehouse, "request", "--iis", c.program, "-i", "http://localhost"+c.path)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		cmd.Env = append(os.Environ(), childVariable+"=iis")
		err := cmd.Run()
		status := cmd.ProcessState.ExitCode()
		var failed *exec.ExitError
		if err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		if status != c.status || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%s %s: status %d, stdout %q, stderr %q; want %d, %q, %q", c.program, c.path, status, stdout.String(), stderr.String(), c.status, c.stdout, c.stderr)
		}
	}
}
