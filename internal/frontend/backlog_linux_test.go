package frontend

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// TestBacklog counts the connections that nobody has accepted, on listeners of this process and
// on ones that were passed to it, as systemd's are.
func TestBacklog(t *testing.T) {
	for _, address := range [][2]string{{"unix", filepath.Join(t.TempDir(), "s")}, {"unix", "@gatehouse-" + filepath.Base(t.TempDir()) + t.TempDir()}, {"tcp", "127.0.0.1:0"}, {"tcp", "[::1]:0"}} {
		own, err := Listen(address[0], address[1])
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		f, err := own.Listener.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		passed, err := net.FileListener(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer passed.Close()
		const conns = 3
		check := func(want int) {
			t.Helper()
			for name, l := range map[string]net.Listener{"own": own, "passed": passed} {
				testkit.Until(t, "the backlog of "+name+" on "+own.Addr().String(), func() bool { // the end of a handshake may take a moment
					queued, limit, ok := Backlog(l)
					if !ok || limit < conns {
						t.Fatalf("%s: backlog %d of %d, %v", own.Addr(), queued, limit, ok)
					}
					return queued == want
				})
			}
		}
		check(0)
		for range conns {
			c, err := net.Dial(own.Addr().Network(), own.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		check(conns)
		c, err := own.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		check(conns - 1)
	}
}

// TestBacklogUnknown: where nobody tells the backlog it is not 0 but unknown: of what is no
// socket, and of a unix socket of another network namespace.
func TestBacklogUnknown(t *testing.T) {
	if _, _, ok := Backlog(struct{ net.Listener }{}); ok {
		t.Error("what is no socket has a backlog")
	}
	l, err := Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			if queued, _, ok := Backlog(l); ok && queued != 1 {
				t.Errorf("from another network namespace: %d", queued)
			}
		}
		done <- err
	}()
	if err := testkit.Receive(t, "the look", done); err != nil {
		t.Fatalf("this test needs root: %v", err)
	}
}
