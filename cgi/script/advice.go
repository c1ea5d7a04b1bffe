package script

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/cgi"
)

// Advice is followed by people in a hurry, so it opens no more than what the request asked
// for: one program, and never the directory that it lies in.

// outside completes a finding about a program outside of the roots: where it is, and what
// would let it run, and nothing else.
func (a *App) outside(f *Finding, r *cgi.Request) *Finding {
	if f.Check != CheckOutside {
		return f
	}
	realPath, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		return f
	}
	linked := slices.ContainsFunc(a.Roots, func(root string) bool {
		_, in := below(root, f.Path)
		return in
	})
	followed := slices.ContainsFunc(a.Follow, func(dir string) bool {
		_, in := below(dir, realPath)
		return in
	})
	switch {
	case linked:
		f.Remedy = fmt.Sprintf("it leads to %s", realPath)
		switch {
		case followed || isSystemDirectory(realPath):
		case isInterpreter(realPath):
			f.Remedy += ", an interpreter, which would run what clients send: put a script there instead"
		case len(a.Follow) == 0:
			f.Remedy += fmt.Sprintf("; to let that run, write follow = [%q]", realPath)
		default:
			f.Remedy += fmt.Sprintf("; to let that run, add %q to follow", realPath)
		}
	case checkFile(f.Path) != nil:
	case isInterpreter(f.Path):
		f.Remedy = "it is an interpreter, which would run what clients send: name the script in its place"
	default:
		prefix := "with a prefix of its own"
		if p := a.ownPrefix(r, f.Path); p != "" {
			prefix = fmt.Sprintf("prefix = %q", p)
		}
		f.Remedy = fmt.Sprintf("to let it run, write an [[app]] for it alone: %s, scripts = %q", prefix, f.Path)
	}
	return f
}

// ownPrefix returns the prefix of an application that is one program: the part of the path
// that stands for it, as far as the web server tells, or "".
func (a *App) ownPrefix(r *cgi.Request, program string) string {
	prefix, info, _ := r.SentPath()
	name := "/" + filepath.Base(program)
	if at := strings.Index(prefix+"/", name+"/"); at >= 0 {
		prefix = prefix[:at+len(name)]
	} else if info != "" {
		prefix = strings.TrimSuffix(prefix, info) // nginx has the whole path there
	}
	prefix = strings.TrimRight(prefix, "/")
	mounted, _, _ := r.Mounted() // which has an application already
	if len(prefix) > 200 || path.Clean(prefix) != prefix || !strings.HasPrefix(prefix, mounted+"/") || !strings.HasPrefix(r.FullPath()+"/", prefix+"/") {
		return ""
	}
	return prefix
}

// Warnings returns what the configuration allows and nobody may have meant: roots with
// programs that clients should not run. Each is one line, and names the key.
func (a *App) Warnings() (lines []string) {
	if a.Manner != Gatehouse {
		return nil // there the roots are single programs
	}
	warn := func(format string, args ...any) { lines = append(lines, "scripts: "+fmt.Sprintf(format, args...)) }
	for _, root := range a.Roots {
		switch {
		case isProgram(root):
			// Without REDIRECT_STATUS, php-cgi runs nothing for clients.
			if isInterpreter(root) && !strings.HasPrefix(filepath.Base(root), "php-cgi") {
				warn("%s is an interpreter, and would run what clients send: write the path of a script that begins with #!%[1]s", root)
			}
		case isSystemDirectory(root) && len(a.Only) == 0:
			warn("%s is a directory of the system, and clients could run every program in it: "+
				"write an [[app]] for each that is meant, with a prefix of its own and scripts = %q", root, filepath.Join(root, "PROGRAM"))
		default:
			if found := a.interpreterIn(root); found != "" {
				warn("%s is an interpreter, and clients could run it: move it out of %s, or name the programs that may run, such as only = [\"*.cgi\"]", found, root)
			}
		}
	}
	return lines
}
