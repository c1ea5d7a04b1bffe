// Package sources notices that the source files of an application have changed.
//
// It looks at the files, over and over, and asks the system for no notices (inotify and its kin).
// Looking works on every file system, also on those that other machines and containers write to;
// it sees files that are replaced by renaming, as editors do, and needs no watch for each
// directory, of which systems have few. A tree of a thousand files takes a few milliseconds.
package sources

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// MaxFiles bounds the files of a Tree. Those beyond it, in the order of their names, are not
// looked at, and Truncated says so.
const MaxFiles = 10_000

// othersPerFile bounds what is passed over to find the files: for each of MaxFiles, so many files
// of other kinds and directories.
const othersPerFile = 20

// A Tree is the source files below some directories, as they were when they were looked at last.
type Tree struct {
	dirs      []string
	suffix    string
	files     map[string]fs.FileInfo
	truncated bool
	took      time.Duration
	max       int // files; MaxFiles but in tests
}

// Look returns the files below dirs whose names end in suffix. Directories are left out that hold
// no sources of their own: those whose names begin with a dot, __pycache__, node_modules,
// site-packages, and virtual environments. Symbolic links to files are followed, and those to
// directories are not, but for dirs themselves.
func Look(suffix string, dirs ...string) *Tree {
	return look(MaxFiles, suffix, dirs)
}

func look(limit int, suffix string, dirs []string) *Tree {
	t := &Tree{dirs: dirs, suffix: suffix, max: limit}
	t.look()
	return t
}

// Truncated reports whether there are more than MaxFiles.
func (t *Tree) Truncated() bool { return t.truncated }

// Took returns how long the last look has taken.
func (t *Tree) Took() time.Duration { return t.took }

// Changed looks again. It returns the files that have been created, changed or removed since it
// was called last, or else since Look, sorted.
func (t *Tree) Changed() []string {
	before := t.files
	t.look()
	return difference(before, t.files)
}

// Settled is Changed for files that are about to be written: once something has changed, it looks
// again after each pause, and returns when nothing has changed meanwhile, or after patience, or
// when ctx is done.
func (t *Tree) Settled(ctx context.Context, pause, patience time.Duration) []string {
	before := t.files
	deadline := time.Now().Add(patience)
	for len(t.Changed()) > 0 && time.Now().Before(deadline) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
	return difference(before, t.files)
}

// difference returns the names of files that are not the same in both.
func difference(before, after map[string]fs.FileInfo) []string {
	changed := make(map[string]bool)
	for path, info := range after {
		if old := before[path]; old == nil || !same(old, info) {
			changed[path] = true
		}
	}
	for path := range before {
		if after[path] == nil {
			changed[path] = true
		}
	}
	return slices.Sorted(maps.Keys(changed))
}

// same reports whether a file is as it was.
func same(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

// look notes the files as they are.
func (t *Tree) look() {
	begin := time.Now()
	files, truncated := make(map[string]fs.FileInfo, len(t.files)), false
	entries := 0
	for _, dir := range t.dirs {
		// What cannot be read has no sources. A directory that is a link is read, as
		// "dir/." is no link.
		_ = filepath.WalkDir(dir+string(filepath.Separator)+".", func(path string, d fs.DirEntry, err error) error {
			entries++
			switch {
			case entries > othersPerFile*t.max:
				truncated = true
				return fs.SkipAll
			case err != nil && d != nil && d.IsDir():
				return fs.SkipDir
			case err != nil:
				return nil
			case d.IsDir() && path != dir && passedOver(path, d.Name()):
				return fs.SkipDir
			case d.IsDir() || !strings.HasSuffix(d.Name(), t.suffix):
				return nil
			}
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				if len(files) == t.max {
					truncated = true
					return fs.SkipAll
				}
				files[filepath.Clean(path)] = info
			}
			return nil
		})
	}
	t.files, t.truncated, t.took = files, truncated, time.Since(begin)
}

// passedOver reports whether a directory has no sources of its own.
func passedOver(path, name string) bool {
	switch {
	case name == ".":
		return false
	case strings.HasPrefix(name, "."), name == "__pycache__", name == "node_modules", name == "site-packages":
		return true
	}
	_, err := os.Lstat(filepath.Join(path, "pyvenv.cfg"))
	return err == nil
}
