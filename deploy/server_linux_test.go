package deploy_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// patience is how long anything may take that is expected to happen. It is
// there to end a test that hangs, so it is long.
const patience = testkit.Patience

// server is a process in the foreground that the test started, and ends.
type server struct {
	name string
	cmd  *exec.Cmd
	logs []string      // files, shown when the test fails
	done chan struct{} // closed when the process has been waited for
	err  error         // how it ended; read after done
}

// startServer starts cmd as the server called name and waits until it accepts
// connections at each of the addresses, which are host:port or the absolute
// path of a unix socket. When the test ends it gets a SIGTERM, on which it has
// to end in its own way; see ended.
func startServer(t *testing.T, name string, cmd *exec.Cmd, logs []string, addresses ...string) {
	t.Helper()
	output, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	s := &server{name: name, cmd: cmd, logs: append([]string{output.Name()}, logs...), done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		s.err = cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() { s.stop(t) })
	for _, address := range addresses {
		if err := s.waitFor(address); err != nil {
			t.Fatal(err)
		}
	}
}

// waitFor returns when the server accepts connections at address.
func (s *server) waitFor(address string) error {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	deadline := time.After(patience)
	for {
		conn, err := net.Dial(network, address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.done:
			return fmt.Errorf("%s ended before it listened at %s: %v", s.name, address, s.err)
		case <-deadline:
			return fmt.Errorf("%s does not listen: %w", s.name, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ended reports whether the server ended on a SIGTERM as it should: with status 0.
// SIGTERM ends HAProxy like any signal, and lighttpd sometimes with status 1.
func (s *server) ended() bool {
	state := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch s.name {
	case "haproxy":
		return state.Signaled() && state.Signal() == syscall.SIGTERM
	case "lighttpd":
		return state.Exited() && state.ExitStatus() <= 1
	}
	return s.err == nil
}

func (s *server) stop(t *testing.T) {
	select {
	case <-s.done:
		t.Errorf("%s ended early: %v", s.name, s.err)
	default:
		s.cmd.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-s.done:
		if !s.ended() {
			t.Errorf("%s: %v", s.name, s.err)
		}
	case <-time.After(patience):
		t.Errorf("%s does not end on SIGTERM", s.name)
		s.cmd.Process.Kill()
		<-s.done
	}
	if !t.Failed() {
		return
	}
	for _, log := range s.logs {
		content, err := os.ReadFile(log)
		if err == nil && len(content) > 0 {
			t.Logf("%s:\n%s", log, content)
		}
	}
}
