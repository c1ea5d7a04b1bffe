package python

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// Oldest is the oldest Python that workers run on.
const Oldest = "3.8"

// An Interpreter is a Python, as it is found without being run.
type Interpreter struct {
	Path string // of the program, absolute

	// Venv is the directory of the virtual environment that it belongs to, or "".
	Venv string

	// Base is the program that Path leads to by symbolic links: of a virtual environment, the
	// Python that it was made with. It is empty if that cannot be told.
	Base string

	// Version is such as "3.11". It is empty if neither the virtual environment nor the name
	// of a file tells it.
	Version string

	// From says what has chosen it: "python", "directory" or "PATH".
	From string
}

// venvNames are the directories in which virtual environments of a project usually are.
var venvNames = []string{".venv", "venv"}

// FindInterpreter finds the Python of a project: the program or virtual environment that is
// written (python), or else the virtual environment .venv or venv in the project's directory, or
// else python3 in PATH. A name without a slash is looked up in PATH. With root, a chroot, dir and PATH are
// in it, and python is a path outside that leads into it, such as /srv/jail/usr/bin/python3.
//
// The error says what is wrong, and what to do, as far as that can be told without running
// anything: a virtual environment that is unreadable, that has lost the Python it was made with, or
// for which that has become another version, and a Python older than [Oldest].
func FindInterpreter(python, dir, root string) (*Interpreter, error) {
	if python != "" {
		return written(python, root)
	}
	for _, name := range venvNames {
		venv := filepath.Join(root, dir, name)
		if dir == "" {
			break
		}
		switch _, err := os.Stat(filepath.Join(venv, "pyvenv.cfg")); {
		case err == nil:
			return inVenv(venv, root, "directory")
		case errors.Is(err, fs.ErrPermission):
			return nil, unreadable(venv, err)
		}
	}
	path, err := inPath("python3", root)
	if err != nil {
		return nil, err
	}
	return program(path, root, "PATH")
}

// written finds what is written as python.
func written(python, root string) (*Interpreter, error) {
	if !strings.ContainsRune(python, filepath.Separator) {
		path, err := inPath(python, root)
		if err != nil {
			return nil, err
		}
		return program(path, root, "python")
	}
	if !filepath.IsAbs(python) {
		return nil, fmt.Errorf("%q is not an absolute path: write the whole path, or a name to look up in PATH", python)
	}
	info, err := os.Stat(python)
	if err != nil || !info.IsDir() {
		return program(filepath.Clean(python), root, "python")
	}
	if _, err := os.Stat(filepath.Join(python, "pyvenv.cfg")); err == nil || errors.Is(err, fs.ErrPermission) {
		return inVenv(filepath.Clean(python), root, "python")
	}
	for _, name := range []string{"bin/python3", "bin/python"} { // of Conda, or an installation
		if path := filepath.Join(python, name); isFile(path) {
			return program(path, root, "python")
		}
	}
	return nil, fmt.Errorf("%s is a directory, but no virtual environment (it has no pyvenv.cfg): "+
		"make one (python3 -m venv %[1]s), or write the path of a Python", python)
}

// inPath returns the absolute path of a program, which with root is the path in it.
func inPath(name, root string) (string, error) {
	if root == "" {
		path, err := exec.LookPath(name)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err == nil {
			return path, nil
		}
	} else {
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			if path := filepath.Join(root, dir, name); filepath.IsAbs(dir) && isFile(path) {
				return path, nil
			}
		}
	}
	where := ""
	if root != "" {
		where = " below " + root
	}
	return "", fmt.Errorf("there is no %s in PATH (%s)%s: install it, or write the path of a Python, or of a virtual environment, as python",
		name, os.Getenv("PATH"), where)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// inVenv returns the Python of a virtual environment.
func inVenv(venv, root, from string) (*Interpreter, error) {
	path := filepath.Join(venv, "bin", "python3")
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(venv, "bin", "python")
	}
	return program(path, root, from)
}

// program returns a Python by its path.
func program(path, root, from string) (*Interpreter, error) {
	i := &Interpreter{Path: path, From: from}
	venv := filepath.Dir(filepath.Dir(path))
	config, err := readVenv(filepath.Join(venv, "pyvenv.cfg"))
	switch {
	case err == nil:
		i.Venv, i.Version = venv, config.version
	case errors.Is(err, fs.ErrPermission):
		return nil, unreadable(venv, err)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%s: %w", venv, err)
	}
	if root != "" { // where links lead elsewhere
		if _, err := os.Lstat(path); err != nil {
			return nil, i.missing(err)
		}
		return i, i.tooOld()
	}
	if i.Base, err = filepath.EvalSymlinks(path); err != nil {
		return nil, i.missing(err)
	}
	if info, err := os.Stat(i.Base); err == nil && (info.IsDir() || info.Mode()&0o111 == 0) {
		return nil, fmt.Errorf("%s is not a program: write the path of a Python, or of a virtual environment", path)
	}
	own := versionOf(i.Base)
	switch {
	case i.Venv == "":
		i.Version = own
	case config.home != "" && missing(config.home):
		return nil, fmt.Errorf("%s was made with the Python in %s, which is gone: %s", i.Venv, config.home, i.again())
	case own != "" && i.Version != "" && own != i.Version:
		return nil, fmt.Errorf("%s was made for Python %s, and its Python is now %s (%s), which finds none of its packages: %s",
			i.Venv, i.Version, own, i.Base, i.again())
	case i.Version == "":
		i.Version = own
	}
	return i, i.tooOld()
}

// missing returns the error for a Python that cannot be looked up.
func (i *Interpreter) missing(err error) error {
	target, linkErr := os.Readlink(i.Path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unreadable(i.Path, err)
	case errors.Is(err, fs.ErrNotExist) && linkErr == nil && i.Venv != "":
		for range maxLinks { // to where they end
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(i.Path), target)
			}
			next, err := os.Readlink(target)
			if err != nil {
				break
			}
			if !filepath.IsAbs(next) {
				next = filepath.Join(filepath.Dir(target), next)
			}
			target = next
		}
		return fmt.Errorf("%s was made with %s, which is gone: %s", i.Venv, target, i.again())
	case errors.Is(err, fs.ErrNotExist) && linkErr == nil:
		return fmt.Errorf("%s leads to %s, which does not exist: install that Python, or write another one", i.Path, target)
	case errors.Is(err, fs.ErrNotExist) && i.Venv != "":
		return fmt.Errorf("%s has no bin/python3: %s", i.Venv, i.again())
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: write the path of a Python, or of a virtual environment", i.Path)
	}
	return fmt.Errorf("%s: %w", i.Path, reason(err))
}

// maxLinks is how many symbolic links the system follows.
const maxLinks = 40

// again says how to make the virtual environment anew.
func (i *Interpreter) again() string {
	return fmt.Sprintf("make it anew (python3 -m venv --clear %s), and install its packages", i.Venv)
}

func unreadable(path string, err error) error {
	return fmt.Errorf("%s cannot be read by user ID %d: %w: give that user r and x there and on the way to it (chmod), or start gatehouse as another user",
		path, os.Geteuid(), reason(err))
}

// reason returns what the system said, without the path.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// tooOld returns an error for a Python older than Oldest.
func (i *Interpreter) tooOld() error {
	if i.Version == "" || !older(i.Version, Oldest) {
		return nil
	}
	return fmt.Errorf("%s is Python %s: workers need Python %s or newer: install one, and write its path as python", i.Path, i.Version, Oldest)
}

// older reports whether a version comes before another one.
func older(a, b string) bool {
	majorA, minorA, _ := strings.Cut(a, ".")
	majorB, minorB, _ := strings.Cut(b, ".")
	number := func(s string) int {
		n, _ := strconv.Atoi(s)
		return n
	}
	if number(majorA) != number(majorB) {
		return number(majorA) < number(majorB)
	}
	return number(minorA) < number(minorB)
}

// inName is how the name of a Python, and a directory of an installation, tell its version.
var inName = regexp.MustCompile(`(?:^python|/python|/versions/)([23]\.[0-9]+)(?:\.[0-9]+)?(?:$|/)`)

// versionOf returns the version of the Python at a path without links, or "" if no name in the
// path tells it.
func versionOf(path string) string {
	if m := inName.FindAllStringSubmatch(filepath.ToSlash(path), -1); m != nil {
		return m[len(m)-1][1]
	}
	return ""
}

// A venvConfig is what pyvenv.cfg says.
type venvConfig struct{ home, version string }

// maxVenvConfig bounds pyvenv.cfg, in bytes. Usual ones have 200.
const maxVenvConfig = 64 << 10

// readVenv reads pyvenv.cfg, as venv, virtualenv and uv write it.
func readVenv(file string) (c venvConfig, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return c, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxVenvConfig {
		return c, errors.New("its pyvenv.cfg is not that of a virtual environment: make it anew")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "home":
			c.home = value
		case "version", "version_info":
			if parts := strings.SplitN(value, ".", 3); len(parts) >= 2 {
				c.version = parts[0] + "." + parts[1]
			}
		}
	}
	return c, nil
}
