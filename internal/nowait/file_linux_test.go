package nowait

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// pass sends bytes with descriptors.
func pass(t *testing.T, to net.Conn, b string, files ...*os.File) {
	t.Helper()
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	if n, _, err := to.(*net.UnixConn).WriteMsgUnix([]byte(b), unix.UnixRights(fds...), nil); n != len(b) || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
}

func tempFile(t *testing.T, text string) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestReceiveFiles: a descriptor comes along with its bytes, and closes with those who do
// not take it. More than one are an error, and closed.
func TestReceiveFiles(t *testing.T) {
	file := tempFile(t, "content")
	c, far := pair(t, "unix")
	open := testkit.Descriptors(t)
	c.ReceiveFiles()
	read := func(want string) {
		t.Helper()
		b := make([]byte, len(want))
		if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
			t.Fatalf("%q, %v", b, err)
		}
	}
	far.Write([]byte("none"))
	read("none")
	if f, err := c.TakeFile(); f != nil || err != nil {
		t.Errorf("%v, %v", f, err)
	}

	pass(t, far, "one", file)
	read("one")
	f, err := c.TakeFile()
	if f == nil || err != nil {
		t.Fatalf("%v, %v", f, err)
	}
	if b, err := io.ReadAll(f); string(b) != "content" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if flags, _ := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
		t.Error("programs would inherit it")
	}
	f.Close()

	for _, send := range []func(){
		func() { pass(t, far, "two", file, file) },
		func() {
			pass(t, far, "t", file)
			pass(t, far, "wo", file)
		},
	} {
		send()
		read("two")
		if f, err := c.TakeFile(); f != nil || !errors.Is(err, ErrFiles) {
			t.Errorf("%v, %v", f, err)
		}
		if f, err := c.TakeFile(); f != nil || err != nil {
			t.Errorf("%v, %v", f, err)
		}
		if now := testkit.Descriptors(t); now != open {
			t.Errorf("%d descriptors, want %d", now, open)
		}
	}

	pass(t, far, "left", file)
	read("left")
	c.Close()
	far.Close()
	if now := testkit.Descriptors(t); now != open-2 {
		t.Errorf("%d descriptors after Close, want %d", now, open-2)
	}
}

// TestNoFiles: without ReceiveFiles, what is sent along is closed.
func TestNoFiles(t *testing.T) {
	file := tempFile(t, "")
	c, far := pair(t, "unix")
	before := testkit.Descriptors(t)
	pass(t, far, "one", file)
	if n, err := c.Read(make([]byte, 10)); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if f, err := c.TakeFile(); f != nil || err != nil {
		t.Errorf("%v, %v", f, err)
	}
	if now := testkit.Descriptors(t); now != before {
		t.Errorf("%d descriptors, want %d", now, before)
	}
}

// BenchmarkReceiveFiles tells what it costs to be ready for a descriptor.
func BenchmarkReceiveFiles(b *testing.B) {
	for _, receives := range []bool{false, true} {
		name := "no"
		if receives {
			name = "yes"
		}
		b.Run(name, func(b *testing.B) {
			near, far := testkit.Pair(b, "unix")
			c := New(near)
			if receives {
				c.ReceiveFiles()
			}
			p := make([]byte, 64<<10)
			b.ReportAllocs()
			for b.Loop() {
				far.Write(p[:200])
				c.Read(p)
			}
		})
	}
}
