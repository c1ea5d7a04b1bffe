package namedpipe

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

// pair returns the ends of a pipe, and the handle of the server's.
func pair(t *testing.T, flags uint32) (h windows.Handle, client *Conn) {
	t.Helper()
	const name = `\\.\pipe\gatehouse-test`
	p, err := windows.UTF16PtrFromString(name)
	if err != nil {
		t.Fatal(err)
	}
	if h, err = windows.CreateNamedPipe(p, windows.PIPE_ACCESS_DUPLEX|flags, windows.PIPE_TYPE_BYTE, 1, 4096, 4096, 0, nil); err != nil {
		t.Fatal(err)
	}
	if client, err = Dial(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return h, client
}

func TestConn(t *testing.T) {
	h, client := pair(t, windows.FILE_FLAG_OVERLAPPED)
	server, err := NewConn(h, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	b := make([]byte, 10)
	server.SetReadDeadline(time.Unix(1, 0))
	if _, err := server.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline that has passed: %v", err)
	}
	server.SetReadDeadline(time.Time{})
	read := make(chan error)
	go func() {
		_, err := server.Read(b)
		read <- err
	}()
	if _, err := server.Write([]byte("beside a Read")); err != nil {
		t.Error(err)
	}
	server.SetReadDeadline(time.Unix(1, 0))
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline that passes: %v", err)
	}
	if server.LocalAddr().Network() != "npipe" || server.RemoteAddr().String() != "test" {
		t.Errorf("addresses %v, %v", server.LocalAddr(), server.RemoteAddr())
	}
	server.Close()
	if b, err := io.ReadAll(client); string(b) != "beside a Read" || err != nil {
		t.Errorf("after Close the other end has read %q, %v", b, err)
	}
}

func TestDisconnected(t *testing.T) {
	h, client := pair(t, windows.FILE_FLAG_OVERLAPPED)
	defer windows.CloseHandle(h)
	if err := windows.DisconnectNamedPipe(h); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after DisconnectNamedPipe: %v, want EOF", err)
	}
}

// TestDisconnectedRead: a Read that waits ends when the other end disconnects, and reads nothing.
func TestDisconnectedRead(t *testing.T) {
	for range 100 {
		h, client := pair(t, windows.FILE_FLAG_OVERLAPPED)
		type result struct {
			n   int
			err error
		}
		read := make(chan result)
		go func() {
			n, err := client.Read(make([]byte, 100))
			read <- result{n, err}
		}()
		time.Sleep(time.Millisecond) // mostly, it waits by now
		if err := windows.DisconnectNamedPipe(h); err != nil {
			t.Fatal(err)
		}
		if r := <-read; r.n != 0 || r.err != io.EOF {
			t.Fatalf("%d bytes, %v; want EOF", r.n, r.err)
		}
		client.Close()
		windows.CloseHandle(h)
	}
}

func TestNotOverlapped(t *testing.T) {
	h, _ := pair(t, 0)
	if _, err := NewConn(h, "test"); err == nil {
		t.Error("a handle that is not overlapped makes a connection")
	}
}
