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
	split       bool // the path was split as fcgiwrap does
}

// find returns the program for r. The error is that of a [Finding].
//
// A SCRIPT_FILENAME that names a file in a root decides, and the path is told as
// the web server sent it; one that names a file elsewhere is refused. One that
// names nothing, or is no file name (Apache's "proxy:" forms), leaves it to the
// walk: down the path from each root to the first regular file.
func (a *App) find(r *cgi.Request, tr *trace) (*target, error) {
	switch a.Manner {
	case Fcgiwrap:
		return a.findAsFcgiwrap(r, tr)
	case Slowcgi:
		return a.findAsSlowcgi(r, tr)
	}
	if name := r.Env.Get("SCRIPT_FILENAME"); filepath.IsAbs(name) && strings.IndexByte(name, 0) < 0 {
		t, err := a.findNamed(r, filepath.Clean(name), tr)
		switch {
		case err != nil:
			return nil, err
		case t != nil:
			return a.only(t, tr)
		}
	} else if name != "" {
		tr.add(fromScriptFilename, name, errNoName, "the path of the request decides")
	}
	prefix, rest, ok := r.Mounted()
	if !ok {
		rest = r.FullPath()
	}
	if strings.IndexByte(rest, 0) >= 0 {
		return nil, errNUL("path", rest)
	}
	t, err := a.walk(r, prefix, rest, tr)
	if err != nil {
		return nil, err
	}
	return a.only(t, tr)
}

// errNUL refuses what no file can be called.
func errNUL(what, value string) error {
	f := &Finding{Check: CheckRequest, Detail: fmt.Sprintf("NUL byte in the %s %.200q", what, value), Code: http.StatusBadRequest}
	return f.status()
}

// findNamed finds the program that SCRIPT_FILENAME names, or returns nothing if
// the name leaves it to the walk.
func (a *App) findNamed(r *cgi.Request, name string, tr *trace) (*target, error) {
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
		tr.add(fromScriptFilename, name, nil, "")
		t := &target{path: name, asSent: true}
		t.scriptName, t.pathInfo, t.hasPathInfo = r.SentPath()
		return t, nil
	case errors.Is(err, errMissing):
		tr.add(fromScriptFilename, name, err, "the path of the request decides")
		return nil, nil
	case errors.Is(err, errDirectory), isDirectory(name):
		// nginx sends one for a location that it maps to no file; lighttpd, its own
		// document root where it cuts nothing off the path (fix-root-scriptname).
		tr.add(fromScriptFilename, name, errDirectory, "the path of the request decides")
		return nil, nil
	}
	tr.add(fromScriptFilename, name, err, "")
	f := lookupFinding(name, err)
	f.Named = fromScriptFilename
	return nil, f.status()
}

const fromScriptFilename = "SCRIPT_FILENAME"

// A failure is a file that failed a check on the walk.
type failure struct {
	path string
	err  error
}

func (e *failure) Error() string { return e.path + ": " + e.err.Error() }
func (e *failure) Unwrap() error { return e.err }

// walk goes down the path from each root to the first regular file; the rest of
// the path becomes PATH_INFO.
func (a *App) walk(r *cgi.Request, prefix, path string, tr *trace) (*target, error) {
	var failed *failure
	for _, root := range a.Roots {
		used, err := a.descend(root, path, tr)
		if err == nil {
			t := &target{path: filepath.Join(root, filepath.FromSlash(path[:used]))}
			t.scriptName, t.pathInfo = prefix+path[:used], path[used:]
			t.hasPathInfo = t.pathInfo != ""
			_, sent, has := r.SentPath()
			t.asSent = has && sent == t.pathInfo
			return t, nil
		}
		// What is there and may not run tells more than what is not there.
		if failed == nil || errors.Is(failed, errMissing) && !errors.Is(err, errMissing) {
			failed = err
		}
	}
	if failed == nil {
		failed = &failure{path, errNoRoot}
	}
	return nil, lookupFinding(failed.path, failed.err).status()
}

// descend returns how much of path names the first regular file below root.
func (a *App) descend(root, path string, tr *trace) (used int, failed *failure) {
	if isProgram(root) {
		tr.add(root, root, nil, "the root is a program, which answers for every path")
		return 0, nil
	}
	fail := func(file string, err error) (int, *failure) {
		tr.add(root, file, err, "")
		return 0, &failure{file, err}
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
			return fail(at(start)+"/"+segment, errDotDot)
		}
		rel := strings.TrimLeft(path[:end], "/")
		switch err := a.check(root, filepath.FromSlash(rel)); {
		case err == nil:
			tr.add(root, at(end), nil, "")
			return end, nil
		case !errors.Is(err, errDirectory):
			return fail(at(end), err)
		}
		tr.add(root, at(end), errDirectory, "the path goes on below it")
	}
	return fail(at(len(path)), errDirectory)
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
