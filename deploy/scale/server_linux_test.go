package scale_test

import (
	"os/exec"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// A server is a process that the test has started, with what it logs.
type server struct {
	name string
	cmd  *exec.Cmd
	log  testkit.Log
	done chan struct{} // closed when the process has been waited for
	err  error         // how it ended; read after done
}

// start starts a server, which the end of the test kills if it is still there.
func start(t *testing.T, name string, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{name: name, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-s.done
		if t.Failed() {
			t.Logf("%s:\n%s", name, s.log.String())
		}
	})
	return s
}

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
}

// ends waits for the end of the server, with status 0.
func (s *server) ends(t *testing.T) {
	t.Helper()
	testkit.Receive(t, "the end of "+s.name, s.done)
	if s.err != nil {
		t.Errorf("%s: %v", s.name, s.err)
	}
}
