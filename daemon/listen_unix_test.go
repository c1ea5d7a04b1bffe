//go:build unix

package daemon

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// stale leaves a socket behind that nobody listens on.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
}

func open(t *testing.T, path string, mode fs.FileMode) net.Listener {
	t.Helper()
	l, err := listenUnix(Address{Kind: AddressUnix, Path: path, Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestListenUnixReplacesStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale(t, path)
	l := open(t, path, 0o660)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	l.Close()
	if exists(path) {
		t.Error("the socket is left behind")
	}
}

func TestListenUnixNeverTakesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first := open(t, path, 0o660)
	_, err := listenUnix(Address{Kind: AddressUnix, Path: path, Mode: 0o660})
	checkError(t, err, "unix:"+path+" is in use by another process: stop it, or choose another path")
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := first.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.Close() // the connection of the second's probe
}

func TestListenUnixKeepsOtherFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		_, err := listenUnix(Address{Kind: AddressUnix, Path: path, Mode: 0o660})
		checkError(t, err, "unix:"+path+" exists and is not a socket: remove it, or choose another path")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestListenUnixDatagramSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := listenUnix(Address{Kind: AddressUnix, Path: path, Mode: 0o660}); err == nil {
		t.Error("no error")
	}
	if !exists(path) {
		t.Error("the socket was removed")
	}
}

// TestListenUnixMode holds under any umask. It must not run in parallel with other tests:
// the umask is the process's.
func TestListenUnixMode(t *testing.T) {
	dir := t.TempDir()
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		for _, mode := range []fs.FileMode{0o660, 0o600, 0o666} {
			path := filepath.Join(dir, "s")
			old := unix.Umask(umask)
			l := open(t, path, mode)
			unix.Umask(old)
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != mode {
				t.Errorf("umask %03o: got %v, %v; want %v", umask, info.Mode().Perm(), err, mode)
			}
			l.Close()
		}
	}
}

// TestListenUnixRemovesOwnOnly puts another socket in the place of the first
// before that is closed.
func TestListenUnixRemovesOwnOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first := open(t, path, 0o660)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second := open(t, path, 0o660)
	first.Close()
	if !exists(path) {
		t.Fatal("the first removed the second's socket")
	}
	second.Close()
	if exists(path) {
		t.Error("the second left its socket behind")
	}
}

// TestListenUnixAtOnce starts many at once on a stale socket: one wins.
func TestListenUnixAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale(t, path)
	const n = 8
	results := make(chan net.Listener, n)
	for range n {
		go func() {
			l, err := listenUnix(Address{Kind: AddressUnix, Path: path, Mode: 0o660})
			if err != nil {
				l = nil
			}
			results <- l
		}()
	}
	var won []net.Listener
	for range n {
		if l := <-results; l != nil {
			won = append(won, l)
		}
	}
	if len(won) != 1 {
		t.Errorf("%d have the socket; want 1", len(won))
	}
	for _, l := range won {
		l.Close()
	}
}

func TestListenUnixMissingDirectory(t *testing.T) {
	dir := t.TempDir()
	_, err := listenUnix(Address{Kind: AddressUnix, Path: dir + "/a/b/s", Mode: 0o660})
	checkError(t, err, "unix:"+dir+"/a/b/s: directory "+dir+"/a does not exist: create it, or write another one")
}

// TestOwnerError names the one of the two that cannot be set.
func TestOwnerError(t *testing.T) {
	me := os.Geteuid()
	a := Address{Kind: AddressUnix, Path: "/s", Owner: "alice", Group: "web"}
	for _, tt := range []struct {
		uid, gid int
		err      error
		want     string
	}{
		{me + 1, 5, unix.EPERM, "unix:/s: its owner cannot be set to alice by " + thisUser() + ": start gatehouse as root or as that user, or remove owner="},
		{me, 5, unix.EPERM, "unix:/s: its group cannot be set to web: add " + thisUser() + " to that group, or start gatehouse as root"},
		{-1, 5, &fs.PathError{Op: "lchown", Path: "/s", Err: unix.EPERM}, "unix:/s: its group cannot be set to web: add " + thisUser() + " to that group, or start gatehouse as root"},
		{-1, 5, unix.EINVAL, "unix:/s: its owner and group cannot be set: invalid argument: choose others, or another directory"},
	} {
		checkError(t, a.ownerError(tt.uid, tt.gid, tt.err), tt.want)
	}
}

// TestLeftOver is about the socket of another user in a sticky directory.
func TestLeftOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale(t, path)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	owner := "root"
	if os.Geteuid() != 0 {
		owner = thisUser() + " or root"
	}
	checkError(t, errLeftOver(path, info, unix.EPERM), "unix:"+path+" is left over from another process and cannot be removed: operation not permitted: "+
		"remove it as "+owner+", or choose another path")
}
