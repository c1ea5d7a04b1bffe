package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gatehouse/cgi/spool"
	"gatehouse/systemd/sandbox"
)

// checkDirectory returns an error if dir is not a directory that can be used. The error
// names the first missing parent.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	if hidden := errHidden(dir, err); hidden != nil {
		return hidden
	}
	switch {
	case os.IsNotExist(err):
		return fmt.Errorf("directory %s does not exist: create it, or write another one", firstMissing(dir))
	case errors.Is(err, fs.ErrPermission):
		return errUnreachable(dir)
	case err != nil:
		return fmt.Errorf("directory %s cannot be used: %w: write another one", dir, bare(err))
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory: write the path of one", dir)
	}
	return nil
}

// errHidden returns an error that names the setting of the systemd unit because of which path
// cannot be looked up, or nil. err is what the system said.
func errHidden(path string, err error) error {
	if err == nil {
		return nil
	}
	if r := sandbox.Self().Hides(path, err); r != nil {
		return fmt.Errorf("%s cannot be reached: %v", path, r)
	}
	return nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkSearch is checkDirectory for a directory in which this process looks up files.
func checkSearch(dir string) error {
	if err := checkDirectory(dir); err != nil {
		return err
	}
	if err := maySearch(dir); err != nil {
		return fmt.Errorf("directory %s cannot be searched by %s: %w: give it the x bit for that user (chmod), or start gatehouse as another user",
			dir, thisUser(), bare(err))
	}
	return nil
}

// checkCreate is checkDirectory for a directory in which this process creates files.
func checkCreate(dir string) error {
	if err := checkDirectory(dir); err != nil {
		return err
	}
	if err := mayCreate(dir); err != nil {
		return errCreate(dir, err)
	}
	return nil
}

func errCreate(dir string, err error) error {
	if r := readOnly(filepath.Join(dir, "file"), err); r != nil {
		return fmt.Errorf("no file can be created in %s: %v", dir, r)
	}
	return fmt.Errorf("no file can be created in %s: %w: let %s write there, or choose another directory", dir, bare(err), thisUser())
}

// readOnly returns the setting of the systemd unit because of which path cannot be written, or
// nil. err is what the system said.
func readOnly(path string, err error) *sandbox.Reason {
	if !errors.Is(err, syscall.EROFS) {
		return nil
	}
	return sandbox.Self().ReadOnly(path)
}

// checkAbsolute rejects relative paths, which depend on where gatehouse was started.
func checkAbsolute(path string) error {
	if path != "" && !filepath.IsAbs(path) {
		return fmt.Errorf("%q is not an absolute path: in a file, write the whole path", path)
	}
	return nil
}

// absolute returns set for a path in a configuration file, which must be absolute.
func absolute(set func(string) error) func(string) error {
	return func(path string) error {
		if err := checkAbsolute(path); err != nil {
			return err
		}
		return set(path)
	}
}

// checkSpool creates an unnamed file where bodies are kept.
func checkSpool(dir string) error {
	dir = spool.Limits{Dir: dir}.WithDefaults().Dir
	if err := checkDirectory(dir); err != nil {
		return err
	}
	s := spool.New(spool.Limits{Dir: dir, Memory: 1})
	_, err := s.Write([]byte("in a file"))
	if err = errors.Join(err, s.Close()); err != nil {
		return errCreate(dir, err)
	}
	return nil
}

// firstMissing returns the highest directory on the way to path that does not exist.
func firstMissing(path string) string { return first(path, os.IsNotExist) }

// errUnreachable returns an error that names the directory on the way to path that this
// process may not search.
func errUnreachable(path string) error {
	denied := first(path, func(err error) bool { return errors.Is(err, fs.ErrPermission) })
	return fmt.Errorf("%s cannot be reached: %s may not search %s: give that the x bit for the user (chmod), or write another path",
		path, thisUser(), filepath.Dir(denied))
}

// first returns the highest file on the way to path that cannot be looked up for the
// given reason, which is known to apply to path.
func first(path string, reason func(error) bool) string {
	for {
		parent := filepath.Dir(path)
		if parent == path {
			return path
		}
		if _, err := os.Lstat(parent); !reason(err) {
			return path
		}
		path = parent
	}
}

// examined holds the paths that were checked while parsing, so that preparing the
// application does not check them again.
type examined map[string]bool

func (e *examined) add(path string) {
	if *e == nil {
		*e = make(examined)
	}
	(*e)[path] = true
}

// remove removes a path and reports whether it was there. It is trusted only once, since
// it may have changed later.
func (e examined) remove(path string) bool {
	had := e[path]
	delete(e, path)
	return had
}
