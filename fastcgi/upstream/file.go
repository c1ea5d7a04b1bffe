package upstream

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gatehouse/cgi"
)

// extension is what the names of files end in that the application runs.
const extension = ".php"

// A file is what serves a request.
type file struct {
	root string // DOCUMENT_ROOT, without links
	path string // SCRIPT_FILENAME, without links

	scriptName, pathInfo string
}

// checkPaths returns what is wrong with Root, Follow, Index and Translate.
func (a *App) checkPaths() error {
	var errs []error
	switch {
	case a.Root != "" && !filepath.IsAbs(a.Root):
		errs = append(errs, fmt.Errorf("root: %q is not an absolute path", a.Root))
	case a.Index != "" && a.Root == "":
		errs = append(errs, errors.New("index: it needs root, the directory that it lies in"))
	case a.Index != "" && (!filepath.IsLocal(filepath.FromSlash(a.Index)) || !strings.HasSuffix(a.Index, extension)):
		errs = append(errs, fmt.Errorf("index: %q is not the name of a %s file below root, such as index.php", a.Index, extension))
	}
	for _, path := range a.Follow {
		if !filepath.IsAbs(path) {
			errs = append(errs, fmt.Errorf("follow: %q is not an absolute path", path))
		}
	}
	if len(a.Follow) > 0 && a.Root == "" {
		errs = append(errs, errors.New("follow: it needs root, the directory that the links lie in"))
	}
	for from, to := range a.Translate {
		if !filepath.IsAbs(from) || !strings.HasPrefix(to, "/") {
			errs = append(errs, fmt.Errorf(`translate: %q = %q: both have to be absolute paths`, from, to))
		}
	}
	return errors.Join(errs...)
}

// File returns the file below Root that would serve r. The error is that of ServeCGI.
func (a *App) File(r *cgi.Request) (path string, err error) {
	f, err := a.find(r)
	return f.path, err
}

// find returns the file that serves r.
func (a *App) find(r *cgi.Request) (file, error) {
	prefix, path, mounted := r.Mounted()
	if !mounted {
		path = r.Env.Get("SCRIPT_NAME") + r.Env.Get("PATH_INFO")
	}
	root, err := filepath.EvalSymlinks(a.Root)
	if err != nil {
		return file{}, refusedPath(http.StatusInternalServerError, "root: "+a.Root, err)
	}
	found, rest, linked, err := walk(root, path)
	switch {
	case err == nil && strings.HasSuffix(found, extension):
	case err == nil || errors.Is(err, errNotRun):
		return file{}, refusedPath(http.StatusNotFound, root+path, errNotRun)
	case a.Index == "":
		return file{}, refusedPath(statusOf(err), root+path, err)
	case !errors.Is(err, fs.ErrNotExist):
		return file{}, refusedPath(statusOf(err), root+path, err)
	default:
		if found, linked, err = a.index(root, path); err != nil {
			return file{}, refusedPath(statusOf(err), root+path, err)
		}
		rest = ""
	}
	real := filepath.Join(root, filepath.FromSlash(found))
	if linked {
		if real, err = filepath.EvalSymlinks(real); err != nil {
			return file{}, refusedPath(statusOf(err), root+found, err)
		}
		if !below(root, real) && !a.follows(real) {
			return file{}, refusedPath(http.StatusForbidden, root+found, fmt.Errorf("it leads to %s, outside of root and follow", real))
		}
	}
	return file{root: root, path: real, scriptName: prefix + found, pathInfo: rest}, nil
}

// errNotRun is about a file that is not the application's.
var errNotRun = errors.New("its name does not end in " + extension + ", so it is not run")

// walk follows a path from root to the first that is no directory. The rest begins with a
// slash or is empty. A directory at the end does not exist: index has its file. linked says that
// there are links on the way.
func walk(root, path string) (found, rest string, linked bool, err error) {
	if strings.IndexByte(path, 0) >= 0 || !strings.HasPrefix(path, "/") {
		return "", "", false, fs.ErrNotExist
	}
	for at := 1; at <= len(path); {
		end := len(path)
		if i := strings.IndexByte(path[at:], '/'); i >= 0 {
			end = at + i
		}
		if segment := path[at:end]; segment == ".." || segment == "." || filepath.Separator != '/' && strings.ContainsAny(segment, `\:`) {
			return "", "", false, errNotRun
		}
		name := filepath.Join(root, filepath.FromSlash(path[:end]))
		info, err := os.Lstat(name)
		if err == nil && info.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0 {
			linked = true
			info, err = os.Stat(name)
		}
		switch {
		case errors.Is(err, syscall.ENAMETOOLONG):
			return "", "", false, fs.ErrNotExist // no file can have such a name
		case err != nil:
			return "", "", false, err
		case info.IsDir():
			at = end + 1
			continue
		case !info.Mode().IsRegular() || !strings.HasSuffix(path[:end], extension):
			return "", "", false, errNotRun
		}
		return path[:end], path[end:], linked, nil
	}
	return "", "", false, fs.ErrNotExist
}

// index returns the file for a path that none exists of: that of the directory, if it is
// one, or the one of root.
func (a *App) index(root, path string) (file string, linked bool, err error) {
	directory := strings.TrimRight(path, "/") + "/" + a.Index[strings.LastIndexByte(a.Index, '/')+1:]
	found, rest, linked, err := walk(root, directory)
	if err == nil && rest == "" {
		return found, linked, nil
	}
	if cgi.Exhausted(err) == nil {
		found, _, linked, err = walk(root, "/"+a.Index)
	}
	return found, linked, err
}

// follows reports whether links may lead to a file outside of Root.
func (a *App) follows(real string) bool {
	return slices.ContainsFunc(a.Follow, func(path string) bool {
		path, err := filepath.EvalSymlinks(path)
		return err == nil && (path == real || below(path, real))
	})
}

// below reports whether a path without links lies below a directory.
func below(dir, path string) bool {
	return strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

func statusOf(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return http.StatusForbidden
	}
	return http.StatusNotFound
}

// refusedPath returns the error of a path that is not served: with the code or, if it could not
// be looked up for want of something, 503.
func refusedPath(code int, path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if s := cgi.Exhausted(err); s != nil {
		s.Err = fmt.Errorf("%s: %w", path, s.Err)
		return s
	}
	return &cgi.StatusError{Code: code, Err: fmt.Errorf("%s: %w", path, err)}
}

// translate returns a path as the application sees it.
func (a *App) translate(path string) string {
	best := ""
	for from := range a.Translate {
		from = strings.TrimSuffix(from, "/")
		if len(from) >= len(best) && strings.HasPrefix(path, from) && (len(path) == len(from) || path[len(from)] == '/') {
			best = from
		}
	}
	for from, to := range a.Translate {
		if strings.TrimSuffix(from, "/") == best && strings.HasPrefix(path, best) {
			return strings.TrimSuffix(to, "/") + path[len(best):]
		}
	}
	return path
}
