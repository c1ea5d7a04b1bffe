package backend

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestBacklog: a unix socket with a full backlog is waited for as long as the queue allows,
// and is used again once it has room.
func TestBacklog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	l, err := net.FileListener(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := New([]string{"unix:" + path}, Limits{QueueWait: 30 * time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	first := connect(t, p) // takes the only place
	defer first.Leave()

	second, err := p.Enter(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	err = second.Connect(t.Context())
	second.Leave()
	var se *cgi.StatusError
	if !errors.As(err, &se) || se.Code != http.StatusServiceUnavailable || se.RetryAfter <= 0 || !strings.Contains(err.Error(), "unix:"+path+": its backlog is full") {
		t.Errorf("error %v", err)
	}
	if p.targets[0].failures != 0 {
		t.Error("a full backlog counts as a failure")
	}

	p.Limits.QueueWait = testkit.Patience
	connected := make(chan error)
	third, err := p.Enter(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer third.Leave()
	go func() { connected <- third.Connect(t.Context()) }()
	for range 2 { // of the first and the third
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := testkit.Receive(t, "the connection", connected); err != nil {
		t.Error(err)
	}
}
