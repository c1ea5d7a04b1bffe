package script

import (
	"errors"
	"fmt"
	"path/filepath"

	"gatehouse/cgi"
)

// checkDir returns what is wrong with Dir, in a line that begins with its key.
func (a *App) checkDir() error {
	c := &a.Confinement
	switch {
	case a.Dir == "":
		return nil
	case !filepath.IsAbs(a.Dir):
		return fmt.Errorf("directory: %q is not an absolute path", a.Dir)
	case a.RunAs.Owner || c.CheckOwner || c.CheckMode:
		return errors.New("directory: run_as, check_owner and check_mode run each program in its own directory: remove it, or them")
	}
	if f := inspectDir(a.outsideChroot(a.Dir)); f != nil {
		err := fmt.Errorf("directory: %w", f)
		if c.Chroot != "" {
			err = fmt.Errorf("%w: programs see it as %s (chroot)", err, a.Dir)
		}
		return err
	}
	return nil
}

// outsideChroot returns the path of a directory that programs see as dir.
func (a *App) outsideChroot(dir string) string {
	if a.Confinement.Chroot == "" || dir == "" {
		return dir
	}
	return filepath.Join(a.Confinement.Chroot, dir)
}

// startDir returns the directory that the program starts in, "" for that of this process.
func (a *App) startDir(r *cgi.Request, t *target) string {
	if dir, chosen := a.Manner.finder().dir(r, t); chosen || a.Dir == "" {
		return dir
	}
	return a.Dir
}
