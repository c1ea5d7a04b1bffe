package script

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/cgi"
)

// A Manner is whose way of finding programs, and of making their environment, an App
// has. Those of other programs are for configurations of web servers that were
// written for them.
type Manner uint8

const (
	// Gatehouse is the way that ServeCGI documents.
	Gatehouse Manner = iota

	// Fcgiwrap is the way of fcgiwrap 1.1. The program is the file that SCRIPT_FILENAME
	// names, wherever it lies, or without that variable the first file on the way down
	// DOCUMENT_ROOT followed by SCRIPT_NAME, of which the rest becomes PATH_INFO. If
	// there are Roots, they are programs, and no other runs. Programs get the variables
	// as they were sent, and start in their own directory, or in that of FCGI_CHDIR;
	// with "-" there, in that of this process. Of a variable that was sent twice the first
	// counts. What is found to be wrong before a program
	// is started is 403, afterwards 502. SCRIPT_NAME with a ".." segment is refused.
	Fcgiwrap

	// Slowcgi is the way of OpenBSD's slowcgi. The program is what SCRIPT_FILENAME
	// names, or else SCRIPT_NAME, and gets the variables as they were sent.
	Slowcgi
)

// String returns the name of the program that has the manner.
func (m Manner) String() string {
	switch m {
	case Fcgiwrap:
		return "fcgiwrap"
	case Slowcgi:
		return "slowcgi"
	}
	return "gatehouse"
}

// lookup is the finding of a program that was not found, in a status of this manner.
func (m Manner) lookup(f *Finding) *Finding {
	if m == Fcgiwrap && f.Code == http.StatusNotFound {
		f.Code = http.StatusForbidden
	}
	return f
}

// start is the finding of a program that does not start, likewise.
func (m Manner) start(f *Finding) *Finding {
	if m == Fcgiwrap && f.Code == http.StatusForbidden && f.Check != CheckDir {
		f.Code = http.StatusBadGateway
	}
	return f
}

// findAsFcgiwrap finds the program for r as fcgiwrap does.
func (a *App) findAsFcgiwrap(r *cgi.Request, tr *trace) (*target, error) {
	if name, sent := r.Env.First("SCRIPT_FILENAME"); sent {
		return a.exactly(r, fromScriptFilename, name, tr)
	}
	root, hasRoot := r.Env.First("DOCUMENT_ROOT")
	script, hasScript := r.Env.First("SCRIPT_NAME")
	if _, _, mounted := r.Mounted(); mounted {
		script, _, _ = r.SentPath()
		hasScript = script != ""
	}
	if !hasRoot || !hasScript {
		f := &Finding{Check: CheckRequest, Code: http.StatusForbidden,
			Detail: "the web server sent neither SCRIPT_FILENAME nor DOCUMENT_ROOT and SCRIPT_NAME",
			Remedy: "fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;"}
		return nil, f.status()
	}
	const from = "DOCUMENT_ROOT and SCRIPT_NAME"
	whole := root + script
	fail := func(path string, err error) (*target, error) {
		tr.add(from, path, err, "")
		f := a.Manner.lookup(lookupFinding(path, err))
		f.Named = from
		return nil, f.status()
	}
	switch {
	case strings.IndexByte(whole, 0) >= 0:
		return nil, errNUL("path", whole)
	case !filepath.IsAbs(whole):
		return nil, a.notAbsolute(from, whole, tr)
	case slices.Contains(strings.Split(script, "/"), ".."):
		return fail(whole, errDotDot)
	}
	path := whole
	for path != "" {
		err := checkFile(path)
		if err == nil {
			if err := a.allowed(path); err != nil {
				return fail(path, err)
			}
			tr.add(from, path, nil, "")
			t := &target{path: path, scriptName: script, split: true}
			if path != whole {
				t.scriptName = path[min(len(path), len(root)):]
				t.pathInfo, t.hasPathInfo = whole[len(path):], true
			}
			return t, nil
		}
		if err != errMissing {
			return fail(path, err)
		}
		tr.add(from, path, err, "the rest becomes PATH_INFO")
		path = path[:strings.LastIndexByte(path, '/')]
		if len(path) > maxPath { // no file has such a name
			path = path[:1+strings.LastIndexByte(path[:maxPath], '/')]
			path = strings.TrimSuffix(path, "/")
		}
	}
	return fail(whole, errMissing)
}

// maxPath is the longest path that Linux looks up, with the NUL at its end.
const maxPath = 4096

// findAsSlowcgi finds the program for r as slowcgi does.
func (a *App) findAsSlowcgi(r *cgi.Request, tr *trace) (*target, error) {
	if name := r.Env.Get("SCRIPT_FILENAME"); name != "" {
		return a.exactly(r, fromScriptFilename, name, tr)
	}
	script, _, _ := r.SentPath()
	return a.exactly(r, "SCRIPT_NAME", script, tr)
}

// exactly returns the program that a variable names, with the path as it was sent.
func (a *App) exactly(r *cgi.Request, from, name string, tr *trace) (*target, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return nil, errNUL("path", name)
	}
	if !filepath.IsAbs(name) {
		return nil, a.notAbsolute(from, name, tr)
	}
	err := checkFile(name)
	if err == nil {
		err = a.allowed(name)
	}
	tr.add(from, name, err, "")
	if err != nil {
		f := a.Manner.lookup(lookupFinding(name, err))
		f.Named = from
		return nil, f.status()
	}
	t := &target{path: name, asSent: true}
	t.scriptName, t.pathInfo, t.hasPathInfo = r.SentPath()
	return t, nil
}

// notAbsolute refuses a name that is no absolute path.
func (a *App) notAbsolute(from, name string, tr *trace) error {
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

// dir returns where the program starts.
func (a *App) dir(r *cgi.Request, t *target) string {
	if a.Manner == Fcgiwrap {
		dir, set := r.Env.First("FCGI_CHDIR")
		if !set {
			dir, set = os.LookupEnv("FCGI_CHDIR")
		}
		switch {
		case set && dir == "-":
			return ""
		case set && strings.IndexByte(dir, 0) < 0:
			return dir
		}
	}
	return filepath.Dir(t.path)
}
