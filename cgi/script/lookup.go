package script

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"gatehouse/cgi"
)

// A target is the program for a request, and the path that it sees.
type target struct {
	path        string // absolute; names the file, whose symlinks are not resolved
	scriptName  string
	pathInfo    string
	hasPathInfo bool
	asSent      bool // pathInfo is what the web server sent
	split       bool // the path was split as fcgiwrap does
	root        bool // it is a root itself
}

// errNUL refuses what no file can be called.
func errNUL(what, value string) error {
	f := &Finding{Check: CheckRequest, Detail: fmt.Sprintf("NUL byte in the %s %.200q", what, value), Code: http.StatusBadRequest}
	return f.status()
}

const fromScriptFilename = "SCRIPT_FILENAME"

// exactly returns the program that a variable names, with the path as it was sent.
func exactly(a *App, m finder, r *cgi.Request, from, name string, tr *trace) (*target, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return nil, errNUL("path", name)
	}
	if !filepath.IsAbs(name) {
		return nil, notAbsolute(from, name, tr)
	}
	err := checkFile(name)
	if err == nil {
		err = a.allowed(name)
	}
	tr.add(from, name, err, "")
	if err != nil {
		f := m.lookupFailure(lookupFinding(name, err))
		f.Named = from
		return nil, f.status()
	}
	t := &target{path: name, asSent: true}
	t.scriptName, t.pathInfo, t.hasPathInfo = r.SentPath()
	return t, nil
}

// notAbsolute refuses a name that is no absolute path.
func notAbsolute(from, name string, tr *trace) error {
	tr.add(from, name, errNoName, "")
	f := lookupFinding(name, errNoName)
	f.Named = from
	return f.status()
}

// allowed returns an error unless name may run. Names are compared as they are.
func (a *App) allowed(name string) error {
	if len(a.Roots) > 0 && !slices.Contains(a.Roots, name) {
		return errAllowed
	}
	return nil
}

// checkFile says whether there is a program at path, wherever its symlinks lead.
func checkFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return classify(err)
	}
	return checkMode(info.Mode())
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
// alone. Both are absolute.
func below(dir, path string) (rel string, in bool) {
	rel, err := filepath.Rel(dir, path)
	return rel, err == nil && filepath.IsLocal(rel)
}
