package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/testkit"
)

// A screen keeps what is written to it.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestWineInterrupt presses Ctrl-C in the console of gatehouse.exe, which drains then. It is
// run by "make test WINE=1".
func TestWineInterrupt(t *testing.T) {
	if os.Getenv("GATEHOUSE_WINE") == "" && os.Getenv("WINE") != "1" {
		t.Skip("this is for make test WINE=1")
	}
	dir := t.TempDir()
	wine, program := filepath.Join(dir, "wine"), filepath.Join(dir, "gatehouse.exe")
	for _, build := range []*exec.Cmd{
		exec.Command("go", "build", "-o", wine, "gatehouse/internal/wine"),
		exec.Command("go", "build", "-o", program, "."),
	} {
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if strings.HasSuffix(build.Args[3], ".exe") {
			build.Env = append(build.Env, "GOOS=windows", "GOARCH=amd64")
		}
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build.Args, err, out)
		}
	}
	// script(1) has a terminal, of which wine makes the console. Its shell must be gone: Ctrl-C
	// would end it, too, with its own status.
	cmd := exec.Command("script", "-qec", "exec "+wine+" "+program+" serve --http 127.0.0.1:0", "/dev/null")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := new(screen)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	testkit.Until(t, "gatehouse listens", func() bool { return strings.Contains(out.String(), "listening") })
	io.WriteString(keys, "\x03")
	err = <-ended
	keys.Close()
	if err != nil || !strings.Contains(out.String(), "signal=interrupt") {
		t.Errorf("%v; want exit status 0 after draining\n%s", err, out)
	}
}
