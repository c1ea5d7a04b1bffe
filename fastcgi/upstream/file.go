package upstream

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

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

// checkPaths returns what is wrong with Root, Index and Translate.
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
		return file{}, &cgi.StatusError{Code: http.StatusInternalServerError, Err: fmt.Errorf("root: %w", err)}
	}
	found, rest, err := walk(root, path)
	switch {
	case err == nil && strings.HasSuffix(found, extension):
	case err == nil || errors.Is(err, errNotRun):
		return file{}, refusedPath(http.StatusNotFound, root+path, errNotRun)
	case a.Index == "":
		return file{}, refusedPath(statusOf(err), root+path, err)
	case !errors.Is(err, fs.ErrNotExist):
		return file{}, refusedPath(statusOf(err), root+path, err)
	default:
		found, rest = a.index(root, path), ""
	}
	real, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(found)))
	if err != nil {
		return file{}, refusedPath(statusOf(err), root+found, err)
	}
	if below := strings.TrimSuffix(root, string(filepath.Separator)) + string(filepath.Separator); !strings.HasPrefix(real, below) {
		return file{}, refusedPath(http.StatusForbidden, root+found, fmt.Errorf("it leads to %s, outside of root", real))
	}
	return file{root: root, path: real, scriptName: prefix + found, pathInfo: rest}, nil
}

// errNotRun is about a file that is not the application's.
var errNotRun = errors.New("its name does not end in " + extension + ", so it is not run")

// walk follows a path from root to the first that is no directory. The rest begins with a
// slash or is empty. A directory at the end does not exist: index has its file.
func walk(root, path string) (found, rest string, err error) {
	if strings.IndexByte(path, 0) >= 0 || !strings.HasPrefix(path, "/") {
		return "", "", fs.ErrNotExist
	}
	for at := 1; at <= len(path); {
		end := len(path)
		if i := strings.IndexByte(path[at:], '/'); i >= 0 {
			end = at + i
		}
		if segment := path[at:end]; segment == ".." || segment == "." || filepath.Separator != '/' && strings.ContainsAny(segment, `\:`) {
			return "", "", errNotRun
		}
		info, err := os.Stat(filepath.Join(root, filepath.FromSlash(path[:end])))
		switch {
		case err != nil:
			return "", "", err
		case info.IsDir():
			at = end + 1
			continue
		case !info.Mode().IsRegular() || !strings.HasSuffix(path[:end], extension):
			return "", "", errNotRun
		}
		return path[:end], path[end:], nil
	}
	return "", "", fs.ErrNotExist
}

// index returns the file for a path that none exists of: that of the directory, if it is
// one, or the one of root.
func (a *App) index(root, path string) string {
	directory := strings.TrimRight(path, "/") + "/" + a.Index[strings.LastIndexByte(a.Index, '/')+1:]
	if found, rest, err := walk(root, directory); err == nil && rest == "" {
		return found
	}
	return "/" + a.Index
}

func statusOf(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return http.StatusForbidden
	}
	return http.StatusNotFound
}

func refusedPath(code int, path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
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
