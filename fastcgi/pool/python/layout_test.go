package python

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// layOut makes files and links in a directory: "PATH=CONTENT" a file, "PATH->TARGET" a link,
// "PATH/" a directory. Files in bin are executable.
func layOut(t *testing.T, dir string, entries ...string) {
	t.Helper()
	for _, e := range entries {
		var err error
		path, content, isFile := strings.Cut(e, "=")
		link, target, isLink := strings.Cut(e, "->")
		switch {
		case isLink:
			link = filepath.Join(dir, link)
			if err = os.MkdirAll(filepath.Dir(link), 0o755); err == nil {
				err = os.Symlink(strings.ReplaceAll(target, "$", dir), link)
			}
		case isFile:
			path = filepath.Join(dir, path)
			mode := os.FileMode(0o644)
			if filepath.Base(filepath.Dir(path)) == "bin" {
				mode = 0o755
			}
			if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
				err = os.WriteFile(path, []byte(strings.ReplaceAll(content, "$", dir)), mode)
			}
		default:
			err = os.MkdirAll(filepath.Join(dir, e), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
