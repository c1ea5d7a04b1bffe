package script

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"gatehouse/cgi"
)

// gatehouse is the manner that ServeCGI documents.
type gatehouse struct{}

// find uses SCRIPT_FILENAME if it names a file in a root; the program then sees the path as
// the web server sent it. A name of a file elsewhere is refused. If it names nothing, or is
// no file name (Apache's "proxy:" forms), find walks down the path from each root to the
// first regular file.
func (gatehouse) find(a *App, r *cgi.Request, tr *trace) (*target, error) {
	name := r.Env.Get("SCRIPT_FILENAME")
	if filepath.IsAbs(name) && strings.IndexByte(name, 0) < 0 {
		t, err := a.findNamed(r, name, tr)
		switch {
		case err != nil:
			return nil, err
		case t != nil:
			return a.only(t, tr)
		}
	} else if name != "" {
		tr.add(fromScriptFilename, name, errNoName, "the path of the request decides")
	}
	prefix, rest, ok := r.Mounted()
	if !ok {
		rest = r.FullPath()
	}
	if strings.IndexByte(rest, 0) >= 0 {
		return nil, errNUL("path", rest)
	}
	t, failed := a.walk(r, prefix, rest, tr)
	if failed != nil {
		return nil, a.walkFinding(r, name, rest, failed).status()
	}
	return a.only(t, tr)
}

// walkFinding says why the walk found no program. If SCRIPT_FILENAME, which was sent as
// name, named none either, that is what somebody wrote, and what is to be mended; the walk
// makes a path of its own of a root and the URL.
func (a *App) walkFinding(r *cgi.Request, name, path string, failed *failure) *Finding {
	nothing := errors.Is(failed, errMissing) || errors.Is(failed, errDirectory)
	switch {
	case nothing && saysNothing(r):
		return variablesFinding(http.StatusInternalServerError)
	case !nothing || name == "" || strings.HasPrefix(name, "proxy:"):
		return a.lookupFinding(failed.path, failed.err)
	}
	err := errNoName
	if filepath.IsAbs(name) {
		if isDirectory(name) {
			return a.lookupFinding(failed.path, failed.err)
		}
		err = errMissing
	}
	f := lookupFinding(name, err)
	f.Named, f.Code = fromScriptFilename, http.StatusNotFound
	if path != "" {
		if f.Remedy != "" {
			f.Remedy = strings.TrimSuffix(f.Remedy, ";") + "; "
		}
		f.Remedy += fmt.Sprintf("the path %s leads to no program in %s either", shortened(path), strings.Join(a.Roots, ", "))
	}
	return f
}

// findNamed finds the program that SCRIPT_FILENAME names, which was sent as given, or
// returns nothing if the name leaves it to the walk.
func (a *App) findNamed(r *cgi.Request, given string, tr *trace) (*target, error) {
	name := filepath.Clean(given)
	err := errOutside
	for _, root := range a.Roots {
		if rel, in := below(root, name); in {
			if err = a.check(root, rel); err == nil || !errors.Is(err, errOutside) {
				break
			}
		}
	}
	if errors.Is(err, errOutside) {
		// The name may lead into a root by another way.
		err = a.checkReal(name, a.Roots)
	}
	switch {
	case err == nil:
		tr.add(fromScriptFilename, name, nil, "")
		t := &target{path: name, asSent: true}
		t.scriptName, t.pathInfo, t.hasPathInfo = r.SentPath()
		return t, nil
	case errors.Is(err, errMissing):
		tr.add(fromScriptFilename, name, err, "the path of the request decides")
		return nil, nil
	case errors.Is(err, errDirectory), isDirectory(name):
		// nginx sends one for a location that it maps to no file; lighttpd, its own
		// document root where it cuts nothing off the path (fix-root-scriptname).
		tr.add(fromScriptFilename, name, errDirectory, "the path of the request decides")
		return nil, nil
	}
	tr.add(fromScriptFilename, name, err, "")
	f := a.lookupFinding(name, err)
	f.Named, f.Path = fromScriptFilename, given
	return nil, f.status()
}

// A failure is a file that failed a check on the walk.
type failure struct {
	path string
	err  error
}

func (e *failure) Error() string { return e.path + ": " + e.err.Error() }
func (e *failure) Unwrap() error { return e.err }

// walk goes down the path from each root to the first regular file; the rest of
// the path becomes PATH_INFO.
func (a *App) walk(r *cgi.Request, prefix, path string, tr *trace) (_ *target, failed *failure) {
	for _, root := range a.Roots {
		used, err := a.descend(root, path, tr)
		if err == nil {
			t := &target{path: filepath.Join(root, filepath.FromSlash(path[:used]))}
			t.scriptName, t.pathInfo = prefix+path[:used], path[used:]
			t.hasPathInfo = t.pathInfo != ""
			_, sent, has := r.SentPath()
			t.asSent = has && sent == t.pathInfo
			return t, nil
		}
		// What is there and may not run tells more than what is not there.
		if failed == nil || errors.Is(failed, errMissing) && !errors.Is(err, errMissing) {
			failed = err
		}
	}
	if failed == nil {
		failed = &failure{path, errNoRoot}
	}
	return nil, failed
}

// descend returns how much of path names the first regular file below root.
func (a *App) descend(root, path string, tr *trace) (used int, failed *failure) {
	if isProgram(root) {
		tr.add(root, root, nil, "the root is a program, which serves every path")
		return 0, nil
	}
	fail := func(file string, err error) (int, *failure) {
		tr.add(root, file, err, "")
		return 0, &failure{file, err}
	}
	at := func(n int) string { return filepath.Join(root, filepath.FromSlash(path[:n])) }
	for end := 0; end < len(path); {
		start := end
		for start < len(path) && path[start] == '/' {
			start++
		}
		for end = start; end < len(path) && path[end] != '/'; {
			end++
		}
		segment := path[start:end]
		if segment == "" || segment == "." {
			continue
		}
		if segment == ".." || filepath.Separator != '/' && strings.ContainsAny(segment, `\:`) {
			return fail(at(start)+"/"+segment, errDotDot)
		}
		rel := strings.TrimLeft(path[:end], "/")
		switch err := a.check(root, filepath.FromSlash(rel)); {
		case err == nil:
			tr.add(root, at(end), nil, "")
			return end, nil
		case !errors.Is(err, errDirectory):
			return fail(at(end), err)
		}
		tr.add(root, at(end), errDirectory, "the path goes on below it")
	}
	return fail(at(len(path)), errDirectory)
}

func (gatehouse) dir(_ *cgi.Request, t *target) string { return filepath.Dir(t.path) }

func (gatehouse) sent(_ *cgi.Environ, _, last string) string { return last }

// settings: the variables that RFC 3875 § 4.1 requires are there, and tell of the
// program that was found.
func (gatehouse) settings(s []setting, r *cgi.Request, t *target) []setting {
	env := r.Env
	set := func(name, value string) { s = append(s, setting{name: name, value: value}) }
	// An empty value means the same as none (RFC 3875 § 4.1).
	require := func(name, standard string) {
		if env.Get(name) == "" {
			set(name, standard)
		}
	}
	set("GATEWAY_INTERFACE", "CGI/1.1")
	set("SCRIPT_FILENAME", t.path)
	set("SCRIPT_NAME", t.scriptName)
	s = append(s, setting{"PATH_INFO", t.pathInfo, !t.hasPathInfo})
	if t.pathInfo == "" || !t.asSent {
		s = append(s, setting{name: "PATH_TRANSLATED", unset: true})
	}
	if _, ok := env.Lookup("QUERY_STRING"); !ok {
		set("QUERY_STRING", "")
	}
	require("REQUEST_METHOD", "GET")
	require("SERVER_PROTOCOL", "HTTP/1.0")
	require("SERVER_SOFTWARE", "gatehouse")
	require("REDIRECT_STATUS", "200") // php-cgi runs nothing without it
	host, port := env.GuessServer()
	require("SERVER_NAME", host)
	require("SERVER_PORT", port)
	if r.Role == cgi.Authorizer {
		set("FCGI_ROLE", "AUTHORIZER") // as libfcgi has it
	}
	return s
}

func (gatehouse) lookupFailure(f *Finding) *Finding { return f }
func (gatehouse) startFailure(f *Finding) *Finding  { return f }
