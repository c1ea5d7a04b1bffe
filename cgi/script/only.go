package script

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// permitted reports whether the program at name, an absolute path, is one of App.Only.
func (a *App) permitted(name string) bool {
	if len(a.Only) == 0 {
		return true
	}
	for _, pattern := range a.Only {
		if !strings.Contains(pattern, "/") {
			if ok, _ := path.Match(pattern, filepath.Base(name)); ok {
				return true
			}
			continue
		}
		for _, root := range a.Roots {
			if rel, in := below(root, name); in {
				if ok, _ := path.Match(pattern, filepath.ToSlash(rel)); ok {
					return true
				}
			}
		}
	}
	return false
}

// only is find with what App.Only forbids left out, and notes whether the program is a root.
func (a *App) only(t *target, tr *trace) (*target, error) {
	if t.root = a.isRoot(t.path); t.root || a.permitted(t.path) {
		return t, nil
	}
	f := lookupFinding(t.path, errAllowed)
	f.Remedy = fmt.Sprintf("add a pattern for it to only, such as %q", filepath.Base(t.path))
	tr.add("only", t.path, errAllowed, "")
	return nil, f.status()
}

// isRoot reports whether name is a root, which is then a program itself.
func (a *App) isRoot(name string) bool {
	for _, root := range a.Roots {
		if filepath.Clean(root) == name {
			return true
		}
	}
	return false
}

// checkPatterns returns what is wrong with the patterns of App.NPH and App.Only.
func (a *App) checkPatterns() error {
	var errs []error
	for field, patterns := range map[string][]string{"NPH": a.NPH, "Only": a.Only} {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil {
				errs = append(errs, fmt.Errorf("script: %s: %q: %w", field, p, err))
			}
		}
	}
	return errors.Join(errs...)
}
