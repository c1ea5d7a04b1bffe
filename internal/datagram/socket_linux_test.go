package datagram

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// A Socket finds a server that has been restarted, and says that there is none.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := &Socket{Network: "unixgram", Address: path}
	defer s.Close()
	if err := s.Send([]byte("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a server: %v", err)
	}
	for range 2 {
		server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		if n, err := server.Read(b); err != nil || string(b[:n]) != "hello" {
			t.Errorf("%q, %v", b[:n], err)
		}
		if err := s.Send(make([]byte, 8<<20)); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("a long datagram: %v", err)
		}
		server.Close()
		os.Remove(path)
	}
	if err := s.Send([]byte("x")); err == nil {
		t.Error("sent to nobody")
	}
}

// A server that takes nothing is waited for once. When it takes something again, all is as before.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s := &Socket{Network: "unixgram", Address: path}
	defer s.Close()
	sent := 0
	for ; err == nil; sent++ {
		if err = s.Send([]byte("x")); sent > 1<<20 {
			t.Fatal("it is never full")
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) || !s.stalled {
		t.Errorf("%v, stalled %v", err, s.stalled)
	}
	if err := s.Send([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("still full: %v", err)
	}
	for b := make([]byte, 10); sent > 1; sent-- {
		if _, err := server.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Send([]byte("x")); err != nil || s.stalled {
		t.Errorf("%v, stalled %v", err, s.stalled)
	}
}
