package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"gatehouse/cgi"
	"gatehouse/cgi/files"
)

// A filesKind serves the files in a directory.
type filesKind struct {
	app      *files.App
	examined examined
}

// Files returns the kind of an application that serves the files in a directory. It
// keeps a.
func Files(a *files.App) Kind { return &filesKind{app: a} }

func (*filesKind) traits() traits {
	return traits{name: "files", target: "DIR", noun: "directory", without: "serves no files"}
}

func (k *filesKind) keys() []Key {
	return []Key{
		row("files", `"/srv/static"`, "instead of scripts: serve the files in a directory", text(absolute(k.parse))),
		row("hidden", `false`, "with files, true: also serve files whose names begin with a dot", flag(&k.app.Hidden)).unless(false, ""),
	}
}

// parse sets the directory, which this process must be able to read.
func (k *filesKind) parse(target string) error {
	if target == "" {
		return errors.New("empty path: write the directory of the files")
	}
	path, err := filepath.Abs(target)
	if err != nil {
		return err
	}
	k.app.Dir = path
	k.examined.add(path)
	return k.check()
}

// check returns what is wrong with the directory.
func (k *filesKind) check() error {
	if err := checkDirectory(k.app.Dir); err != nil {
		return err
	}
	err := k.app.Check()
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: the user that runs gatehouse needs r and x there", err)
	}
	return err
}

func (k *filesKind) prepare(preparation) (cgi.App, func() error, error) {
	closeApp := func() error { return nil }
	if k.examined.remove(k.app.Dir) {
		return k.app, closeApp, nil
	}
	return k.app, closeApp, errors.Join(checkAbsolute(k.app.Dir), k.check())
}

func (k *filesKind) configured() string { return fmt.Sprintf("files = %q", k.app.Dir) }
