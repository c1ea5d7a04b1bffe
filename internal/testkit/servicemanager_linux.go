package testkit

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A ServiceManager receives notifications (sd_notify(3)).
type ServiceManager struct {
	Path string // NOTIFY_SOCKET
	conn *net.UnixConn
}

// NewServiceManager returns a ServiceManager at path, or in a directory of its own if path
// is empty, until the test ends.
func NewServiceManager(t testing.TB, path string) *ServiceManager {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "notify")
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &ServiceManager{path, c}
}

// Drop throws away what has come.
func (m *ServiceManager) Drop() {
	m.conn.SetReadDeadline(time.Now())
	for err := error(nil); err == nil; {
		_, err = m.conn.Read(make([]byte, 1))
	}
}

// Receive returns a message, and the descriptors that came with it.
func (m *ServiceManager) Receive(t testing.TB) (string, []*os.File) {
	t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(Patience))
	b, oob := make([]byte, 4096), make([]byte, 4096)
	n, oobn, _, _, err := m.conn.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range messages {
		fds, err := unix.ParseUnixRights(&c)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			f := os.NewFile(uintptr(fd), "received")
			t.Cleanup(func() { f.Close() })
			files = append(files, f)
		}
	}
	return string(b[:n]), files
}
