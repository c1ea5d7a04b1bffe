package files

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

// A file is an open regular file.
type file struct {
	*os.File
	info fs.FileInfo
}

// What can be wrong with a path. The text is the check that failed.
var (
	errMissing      = errors.New("no such file")
	errNUL          = errors.New("has a NUL byte")
	errDotDot       = errors.New(`has a ".." segment`)
	errHidden       = errors.New("has a name that begins with a dot, and hidden files are not served")
	errNotDirectory = errors.New("is a file, not a directory")
	errNoIndex      = errors.New("is a directory without an " + index)
	errIrregular    = errors.New("is not a regular file")
	errOutside      = errors.New("is a symbolic link, or lies behind one, that leaves the directory")
	errUnreadable   = errors.New("may not be read")
)

// refusal makes the error for a file that is not served.
func (a *App) refusal(name string, check error) error {
	code := http.StatusForbidden
	switch check {
	case errMissing, errHidden, errNotDirectory:
		code = http.StatusNotFound
	case errNUL:
		code = http.StatusBadRequest
	}
	return &cgi.StatusError{Code: code, Err: fmt.Errorf("%.200q in %s: %w", name, a.Dir, check)}
}

// fileName returns the name of the file at a path, relative to the directory and with
// slashes; the directory itself is ".".
func (a *App) fileName(p string) (string, error) {
	if strings.IndexByte(p, 0) >= 0 {
		return "", a.refusal(p, errNUL)
	}
	var b strings.Builder
	for segment := range strings.SplitSeq(p, "/") {
		switch {
		case segment == "" || segment == ".":
			continue
		case segment == "..":
			return "", a.refusal(p, errDotDot)
		case segment[0] == '.' && !a.Hidden:
			return "", a.refusal(p, errHidden)
		case runtime.GOOS == "windows" && !isWindowsName(segment, a.Hidden):
			return "", a.refusal(p, errMissing)
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(segment)
	}
	if b.Len() == 0 {
		return ".", nil
	}
	return b.String(), nil
}

// isWindowsName reports whether a segment is the name of one file on Windows. A
// backslash would make it two, and a colon names a stream of a file. A tilde may make
// it the short form of a name that begins with a dot (GIT~1), so it is not taken
// unless those are served.
func isWindowsName(segment string, hidden bool) bool {
	for i := range len(segment) {
		if segment[i] < ' ' {
			return false
		}
	}
	return !strings.ContainsAny(segment, `\:*?"<>|`) && (hidden || !strings.Contains(segment, "~"))
}

// openRoot opens the directory. Its error is for the administrator.
func (a *App) openRoot() (*os.Root, error) {
	if a.Dir == "" {
		return nil, errors.New("no directory is set")
	}
	// Opening what is no directory might block.
	info, err := os.Stat(a.Dir)
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", a.Dir, bare(err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", a.Dir)
	}
	root, err := os.OpenRoot(a.Dir)
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", a.Dir, bare(err))
	}
	return root, nil
}

// open opens the file of that name, or the index of the directory of that name if the
// path had a slash at its end. For a directory without the slash it returns nothing.
func (a *App) open(name string, slash bool) (*file, error) {
	root, err := a.openRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(filepath.FromSlash(name))
	switch {
	case err != nil:
		return nil, a.openError(name, err)
	case !info.IsDir() && slash:
		return nil, a.refusal(name, errNotDirectory)
	case !info.IsDir():
		return a.openFile(root, name, info)
	case !slash:
		return nil, nil
	}
	inside := name + "/" + index
	info, err = root.Stat(filepath.FromSlash(inside))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, a.refusal(name, errNoIndex)
	}
	if err != nil {
		return nil, a.openError(inside, err)
	}
	return a.openFile(root, inside, info)
}

// openFile opens a regular file.
func (a *App) openFile(root *os.Root, name string, info fs.FileInfo) (*file, error) {
	if !info.Mode().IsRegular() {
		return nil, a.refusal(name, errIrregular)
	}
	// It may have become a FIFO since, and opening that would block.
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, a.openError(name, err)
	}
	info, err = f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = a.refusal(name, errIrregular)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{f, info}, nil
}

// openError returns the StatusError for a file that cannot be opened.
func (a *App) openError(name string, err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		return a.refusal(name, errMissing)
	case errors.Is(err, fs.ErrPermission):
		return a.refusal(name, errUnreadable)
	case !errors.As(err, &errno):
		return a.refusal(name, errOutside) // the one thing that os.Root refuses, not the system
	}
	return fmt.Errorf("%.200q in %s: %w", name, a.Dir, bare(err))
}

// bare returns err without the operation and the name in front of it.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
