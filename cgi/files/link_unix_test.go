//go:build unix

package files

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestSymlinks(t *testing.T) {
	app := newTree(t, "in.html", "in", "sub/in.html", "sub in", "sub/index.html", "sub", "other/", "")
	above := filepath.Dir(app.Dir)
	write(t, filepath.Join(above, "out/secret.html"), false, "secret")
	write(t, filepath.Join(above, "out/index.html"), false, "secret")
	for name, target := range map[string]string{
		"inside.html":       "in.html",
		"sub/up.html":       "../in.html",
		"sub/round.html":    "../../public/in.html", // leaves the directory on its way
		"dir":               "sub",
		"chain.html":        "inside.html",
		"page.txt":          "in.html",
		".to-sub":           "sub",
		"outside.html":      "../out/secret.html",
		"outside":           "../out",
		"far":               "../../../../../../../../etc",
		"absolute.html":     filepath.Join(above, "out/secret.html"),
		"absolute-in.html":  filepath.Join(app.Dir, "in.html"),
		"absolute":          "/etc",
		"chain-out.html":    "outside.html",
		"through.html":      "outside/secret.html",
		"dangling.html":     "none.html",
		"dangling-out.html": "../none.html",
		"loop":              "loop",
		"self":              ".",
		"other/index.html":  "../../out/index.html",
	} {
		link(t, target, filepath.Join(app.Dir, name))
	}
	for _, c := range []struct {
		path string
		code int
		body string
	}{
		{"/inside.html", 200, "in"},
		{"/sub/up.html", 200, "in"},
		{"/dir/in.html", 200, "sub in"},
		{"/dir/", 200, "sub"},
		{"/dir", 301, ""},
		{"/chain.html", 200, "in"},
		{"/self/self/in.html", 200, "in"},
		{"/.to-sub/in.html", 404, ""},
		{"/outside.html", 403, ""},
		{"/outside", 403, ""},
		{"/outside/", 403, ""},
		{"/outside/secret.html", 403, ""},
		{"/outside/none.html", 403, ""},
		{"/sub/round.html", 403, ""},
		{"/far/passwd", 403, ""},
		{"/absolute.html", 403, ""},
		{"/absolute-in.html", 403, ""},
		{"/absolute/passwd", 403, ""},
		{"/chain-out.html", 403, ""},
		{"/through.html", 403, ""},
		{"/other/", 403, ""},
		{"/dangling.html", 404, ""},
		{"/dangling-out.html", 403, ""},
		{"/loop", 404, ""},
		{"/loop/x", 404, ""},
		{strings.Repeat("/self", 300) + "/in.html", 404, ""},
	} {
		a := get(app, c.path)
		a.want(t, c.path, c.code, c.body)
		if c.code == 403 && !strings.Contains(a.log.String(), "leaves the directory") {
			t.Errorf("%s: the log has %q", c.path, a.log.String())
		}
	}
	if got := get(app, "/page.txt").Field("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("the type of a link: %q", got)
	}

	// The directory itself may be reached by links, and be replaced.
	current := filepath.Join(above, "current")
	link(t, app.Dir, current)
	app = &App{Dir: current}
	get(app, "/in.html").want(t, "the first directory", 200, "in")
	if err := os.Remove(current); err != nil {
		t.Fatal(err)
	}
	link(t, filepath.Join(above, "out"), current)
	get(app, "/secret.html").want(t, "the second directory", 200, "secret")
}

// What is no regular file is not opened, since that may block.
func TestIrregularFiles(t *testing.T) {
	app := newTree(t, "a.html", "a")
	if err := syscall.Mkfifo(filepath.Join(app.Dir, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	// A socket has a short path.
	dir, err := os.MkdirTemp("", "files")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		app  *App
		path string
		code int
	}{
		{app, "/fifo", 403}, {app, "/fifo/", 404}, {&App{Dir: dir}, "/socket", 403},
	} {
		get(c.app, c.path).want(t, c.path, c.code, "")
	}
	get(&App{Dir: filepath.Join(app.Dir, "fifo")}, "/").want(t, "a FIFO for a directory", 500, "")

	// One that takes the place of a file after it was looked at is not waited for.
	root, err := app.openRoot()
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	info, err := root.Stat("a.html")
	if err != nil {
		t.Fatal(err)
	}
	if f, err := app.openFile(root, "fifo", info); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("a FIFO was opened: %v, %v", f, err)
	}
}
