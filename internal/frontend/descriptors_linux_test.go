package frontend

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A counter tells when accepting failed.
type counter struct {
	net.Listener
	failed chan time.Time
}

func (c *counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if errors.Is(err, syscall.EMFILE) {
		c.failed <- time.Now()
	}
	return conn, err
}

// TestNoDescriptors has a process run out of descriptors: accepting is tried again in
// growing intervals, with one log line, and goes on when there are some.
func TestNoDescriptors(t *testing.T) {
	if os.Getenv("FRONTEND_NO_DESCRIPTORS") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoDescriptors$", "-test.timeout=60s")
		cmd.Env = append(os.Environ(), "FRONTEND_NO_DESCRIPTORS=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	l := &counter{failed: make(chan time.Time, 100)}
	g := open(t, new(Acceptor), func(tcp net.Listener) net.Listener {
		l.Listener = tcp
		return l
	})
	// The client's socket is made before there are no more.
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	addr := netip.MustParseAddrPort(g.addr)
	if err := unix.Connect(client, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	last := <-l.failed
	for _, pause := range []time.Duration{5, 10, 20, 40} {
		now := <-l.failed
		if waited := now.Sub(last); waited < pause*time.Millisecond {
			t.Errorf("tried again after %v, want %d ms", waited, pause)
		}
		last = now
	}
	for _, f := range files {
		f.Close()
	}
	file := os.NewFile(uintptr(client), "client")
	talk(t, file)
	other := g.dial(t)
	talk(t, other)
	other.Close()
	file.Close()
	g.close(t)
	if log := g.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "accept failed, trying again") || !strings.Contains(log, "too many open files") {
		t.Errorf("log %q, want one line", log)
	}
}
