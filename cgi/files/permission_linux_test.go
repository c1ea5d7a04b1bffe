package files

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody calls f on a thread that has no rights to files but everybody's, which
// root otherwise has to all.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Setfsuid(65534)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestPermissions(t *testing.T) {
	app := newTree(t, "a.html", "a", "secret.html", "s", "locked/a.html", "a", "unlisted/a.html", "a", "page/index.html", "p")
	for dir := app.Dir; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"secret.html": 0, "page/index.html": 0, "locked": 0o600, "unlisted": 0o711} {
		if err := os.Chmod(filepath.Join(app.Dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	// Nobody could remove what is in there.
	defer os.Chmod(filepath.Join(app.Dir, "locked"), 0o755)
	asNobody(t, func() {
		for _, c := range []struct {
			path string
			code int
		}{
			{"/a.html", 200}, {"/secret.html", 403}, {"/locked/a.html", 403}, {"/locked/none.html", 403}, {"/locked/", 403}, {"/page/", 403},
		} {
			a := get(app, c.path)
			a.want(t, c.path, c.code, "")
			if c.code == 403 && !strings.Contains(a.log.String(), "may not be read") {
				t.Errorf("%s: the log has %q", c.path, a.log.String())
			}
		}
		if err := app.Check(); err != nil {
			t.Errorf("a directory that can be read: %v", err)
		}
	})
	for mode, allowed := range map[os.FileMode]bool{0o755: true, 0o700: false, 0o711: false, 0o744: false} {
		if os.Geteuid() != 0 {
			mode, allowed = mode<<6, mode == 0o755 // its last digit, for the owner
		}
		if err := os.Chmod(app.Dir, mode&0o777); err != nil {
			t.Fatal(err)
		}
		asNobody(t, func() {
			err := app.Check()
			if (err == nil) != allowed || err != nil && err.Error() != "directory "+app.Dir+": permission denied" {
				t.Errorf("mode %#o: %v", mode, err)
			}
			if a := get(app, "/a.html"); (a.Code == 200) != allowed {
				t.Errorf("mode %#o: %d", mode, a.Code)
			}
		})
	}
	if err := os.Chmod(app.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// A name is bytes.
func TestNamesAreBytes(t *testing.T) {
	app := newTree(t)
	name := "caf\xe9.html"
	write(t, filepath.Join(app.Dir, name), false, "latin")
	get(app, "/"+name).want(t, "Latin-1", 200, "latin")
	ask(app, "REQUEST_URI=/caf%e9.html").want(t, "Latin-1, encoded", 200, "latin")
}
