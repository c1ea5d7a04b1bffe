package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gatehouse/cgi/files"

	"golang.org/x/sys/unix"
)

// TestFilesOfAnotherUser has one line for a directory that this process may not
// read.
func TestFilesOfAnotherUser(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "public")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for d := filepath.Dir(dir); d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	const want = "directory DIR: permission denied: the user that runs gatehouse needs r and x there"
	done := make(chan [2]error)
	go func() {
		// Root may read everything; what this thread has instead ends with it.
		runtime.LockOSThread()
		if err := unix.Setfsuid(65534); err != nil && os.Geteuid() == 0 {
			done <- [2]error{err, err}
			return
		}
		_, parsed := ParseConfig("g.toml", []byte(fmt.Sprintf("[[app]]\nfiles = %q\n", dir)))
		_, end, prepared := prepare([]App{{Prefix: "/x", Kind: Files(&files.App{Dir: dir})}}, preparation{})
		done <- [2]error{parsed, errors.Join(prepared, end())}
	}()
	errs := <-done
	for i, want := range []string{"g.toml:2:1: files: " + want, want} {
		checkError(t, errs[i], strings.ReplaceAll(want, "DIR", dir))
	}
}
