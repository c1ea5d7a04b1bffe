package script

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"gatehouse/cgi"
)

// A target is the program for a request, and the path as it is told.
type target struct {
	path        string // absolute; names the file, whose symlinks are not resolved
	scriptName  string
	pathInfo    string
	hasPathInfo bool
	asSent      bool // pathInfo is what the web server sent
}

// What can be wrong with a file. The text is the check that failed.
var (
	errMissing   = errors.New("no such file")
	errDirectory = errors.New("is a directory, not a program")
	errIrregular = errors.New("is not a regular file")
	errMode      = errors.New("is not executable (no x bit)")
	errOutside   = errors.New("lies outside the roots and the follow directories")
	errDotDot    = errors.New(`has a ".." segment`)
)

// A lookupError says which file failed which check.
type lookupError struct {
	path  string
	check error
}

func (e *lookupError) Error() string { return fmt.Sprintf("%s: %v", e.path, e.check) }
func (e *lookupError) Unwrap() error { return e.check }

// refusal makes the answer of a failed lookup: 404 for what is not there, 403 for
// what may not run.
func refusal(path string, check error) error {
	code := http.StatusForbidden
	if errors.Is(check, errMissing) {
		code = http.StatusNotFound
	}
	return &cgi.StatusError{Code: code, Err: &lookupError{path, check}}
}

// find returns the program for r.
//
// A SCRIPT_FILENAME that names a file in a root decides, and the path is told as
// the web server sent it; one that names a file elsewhere is refused. One that
// names nothing, or is no file name (Apache's "proxy:" forms), leaves it to the
// walk: down the path from each root to the first regular file.
func (a *App) find(r *cgi.Request) (*target, error) {
	if name := r.Env.Get("SCRIPT_FILENAME"); filepath.IsAbs(name) && strings.IndexByte(name, 0) < 0 {
		t, err := a.findNamed(r, filepath.Clean(name))
		if t != nil || err != nil {
			return t, err
		}
	}
	prefix, rest, ok := r.Mounted()
	if !ok {
		rest = r.FullPath()
	}
	if strings.IndexByte(rest, 0) >= 0 {
		return nil, &cgi.StatusError{Code: http.StatusBadRequest, Err: fmt.Errorf("NUL byte in the path %.200q", rest)}
	}
	return a.walk(r, prefix, rest)
}

// findNamed finds the program that SCRIPT_FILENAME names, or returns nothing if
// the name leaves it to the walk.
func (a *App) findNamed(r *cgi.Request, name string) (*target, error) {
	err := errOutside
	for _, root := range a.Roots {
		if rel, in := below(root, name); in {
			if err = a.check(root, rel); err == nil || !errors.Is(err, errOutside) {
				break
			}
		}
	}
	if errors.Is(err, errOutside) {
		// The name may lead into a root by another way.
		err = a.checkReal(name, a.Roots)
	}
	switch {
	case err == nil:
		t := &target{path: name, asSent: true}
		t.scriptName, t.pathInfo, t.hasPathInfo = r.SentPath()
		return t, nil
	case errors.Is(err, errMissing):
		return nil, nil
	case errors.Is(err, errDirectory), isDirectory(name):
		// nginx sends one for a location that it maps to no file; lighttpd, its own
		// document root where it cuts nothing off the path (fix-root-scriptname).
		return nil, nil
	}
	return nil, refusal("SCRIPT_FILENAME "+name, err)
}

// walk goes down the path from each root to the first regular file; the rest of
// the path becomes PATH_INFO.
func (a *App) walk(r *cgi.Request, prefix, path string) (*target, error) {
	var failed *lookupError
	for _, root := range a.Roots {
		used, err := a.descend(root, path)
		if err == nil {
			t := &target{path: filepath.Join(root, filepath.FromSlash(path[:used]))}
			t.scriptName, t.pathInfo = prefix+path[:used], path[used:]
			t.hasPathInfo = t.pathInfo != ""
			_, sent, has := r.SentPath()
			t.asSent = has && sent == t.pathInfo
			return t, nil
		}
		// What is there and may not run tells more than what is not there.
		var le *lookupError
		if errors.As(err, &le) && (failed == nil || errors.Is(failed, errMissing) && !errors.Is(le, errMissing)) {
			failed = le
		}
	}
	if failed == nil {
		failed = &lookupError{path, errors.New("the application has no root")}
	}
	return nil, refusal(failed.path, failed.check)
}

// descend returns how much of path names the first regular file below root. Its
// error is a *lookupError.
func (a *App) descend(root, path string) (used int, err error) {
	if isProgram(root) {
		return 0, nil
	}
	at := func(n int) string { return filepath.Join(root, filepath.FromSlash(path[:n])) }
	for end := 0; end < len(path); {
		start := end
		for start < len(path) && path[start] == '/' {
			start++
		}
		for end = start; end < len(path) && path[end] != '/'; {
			end++
		}
		segment := path[start:end]
		if segment == "" || segment == "." {
			continue
		}
		if segment == ".." || filepath.Separator != '/' && strings.ContainsAny(segment, `\:`) {
			return 0, &lookupError{at(start) + "/" + segment, errDotDot}
		}
		rel := strings.TrimLeft(path[:end], "/")
		switch err := a.check(root, filepath.FromSlash(rel)); {
		case err == nil:
			return end, nil
		case !errors.Is(err, errDirectory):
			return 0, &lookupError{at(end), err}
		}
	}
	return 0, &lookupError{at(len(path)), errDirectory}
}

func isDirectory(name string) bool {
	fi, err := os.Stat(name)
	return err == nil && fi.IsDir()
}

// isProgram reports whether a root is a program itself. Whoever configured it
// meant the file that it names, wherever its symlinks lead.
func isProgram(root string) bool {
	fi, err := os.Stat(root)
	return err == nil && checkMode(fi.Mode()) == nil
}

// check says whether the file rel below root may run: nil, or one of the errors
// above, or one of the system.
func (a *App) check(root, rel string) error {
	if rel == "." && isProgram(root) {
		return nil
	}
	mode, err := statBeneath(root, rel)
	if errors.Is(err, errOutside) {
		return a.checkReal(filepath.Join(root, rel), a.Roots, a.Follow)
	}
	if err != nil {
		return classify(err)
	}
	return checkMode(mode)
}

// checkReal says whether the file path, with its symlinks resolved, lies in one of
// the directories of dirs and may run.
func (a *App) checkReal(path string, dirs ...[]string) error {
	realPath, err := filepath.EvalSymlinks(path)
	if err != nil {
		return classify(err)
	}
	for _, list := range dirs {
		for _, dir := range list {
			realDir, err := filepath.EvalSymlinks(dir)
			if err != nil {
				continue
			}
			if _, in := below(realDir, realPath); !in {
				continue
			}
			fi, err := os.Lstat(realPath)
			if err != nil {
				return classify(err)
			}
			return checkMode(fi.Mode())
		}
	}
	return errOutside
}

func checkMode(mode fs.FileMode) error {
	switch {
	case mode.IsDir():
		return errDirectory
	case !mode.IsRegular():
		return errIrregular
	case mode&0o111 == 0 && runtime.GOOS != "windows":
		return errMode
	}
	return nil
}

// classify makes errMissing of what says that there is no such file.
func classify(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) {
		return errMissing
	}
	return err
}

// below returns path relative to dir, and whether it lies in dir, by their names
// alone. Both are absolute; path is clean.
func below(dir, path string) (rel string, in bool) {
	dir = filepath.Clean(dir)
	if path == dir {
		return ".", true
	}
	if !strings.HasSuffix(dir, string(filepath.Separator)) {
		dir += string(filepath.Separator)
	}
	return strings.CutPrefix(path, dir)
}
