package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"gatehouse/cgi/script"

	"golang.org/x/sys/unix"
)

// openings returns a function that counts how often path has been opened since its
// last call.
func openings(t *testing.T, path string) func() int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	// With the closings, since events that are alike and follow each other are one.
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN|unix.IN_CLOSE); err != nil {
		t.Fatal(err)
	}
	return func() (opened int) {
		buf := make([]byte, 64<<10)
		for {
			n, err := unix.Read(fd, buf)
			if err == unix.EAGAIN {
				return opened
			}
			if err != nil {
				t.Fatal(err)
			}
			for b := buf[:n]; len(b) > 0; {
				e := (*unix.InotifyEvent)(unsafe.Pointer(&b[0]))
				if e.Len == 0 && e.Mask&unix.IN_OPEN != 0 { // of path itself, not of what is in it
					opened++
				}
				b = b[unix.SizeofInotifyEvent+int(e.Len):]
			}
		}
	}
}

// TestProbedOnce: from the configuration to the first request the directory of files is
// opened once, and the probe of what programs may be limited by runs once, which opens
// this very program.
func TestProbedOnce(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	probes := openings(t, self)
	files := openings(t, dir)
	programs := &script.App{Roots: []string{dir}, Limits: script.Limits{OpenFiles: 100}}
	if err := programs.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := programs.Close(); err != nil {
		t.Error(err)
	}
	one := probes()
	if one == 0 {
		t.Fatal("a probe does not open this program")
	}
	files()

	text := `
http = "127.0.0.1:0"
[[app]]
files = "DIR"
[[app]]
prefix = "/cgi-bin"
scripts = "PROGRAMS"
open_files = 100
`
	file := filepath.Join(t.TempDir(), "g.toml")
	if err := os.WriteFile(file, []byte(strings.NewReplacer("DIR", dir, "PROGRAMS", t.TempDir()).Replace(text)), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(*c, Environment{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if got := probes(); got != one {
		t.Errorf("this program was opened %d times; one probe does so %d times", got, one)
	}
	if got := files(); got != 1 {
		t.Errorf("the directory of files was opened %d times; want once", got)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
