package backend

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCheckFile: of what an application passes on, only a regular file that can be read is sent.
func TestCheckFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		path  string
		flags int
		fails bool
	}{
		{"to read", name, os.O_RDONLY, false},
		{"to read and write", name, os.O_RDWR, false},
		{"to write", name, os.O_WRONLY, true},
		{"a path only", name, pathOnly, true},
		{"a directory", dir, os.O_RDONLY, true},
		{"a pipe", pipe, os.O_RDWR, true},
		{"a device", os.DevNull, os.O_RDONLY, true},
	} {
		f, err := os.OpenFile(tt.path, tt.flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := checkFile(f); (err != nil) != tt.fails {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
