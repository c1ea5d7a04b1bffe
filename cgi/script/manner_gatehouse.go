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
// the web server sent it. A name of a file elsewhere is refused. If it names nothing, find
// walks down the path from each root to the first regular file.
func (gatehouse) find(a *App, r *cgi.Request, tr *trace) (*target, error) {
	name := r.Env.Get(fromScriptFilename)
	switch t, err := a.named(r, name, tr); {
	case err != nil:
		return nil, err
	case t != nil:
		return a.only(t, tr)
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
	case !nothing:
		return a.outside(lookupFinding(failed.path, failed.err), r)
	case name == "" || strings.HasPrefix(name, "proxy:"):
		return a.unmounted(a.outside(lookupFinding(failed.path, failed.err), r), r, path)
	}
	err := errNoName
	if filepath.IsAbs(name) {
		if isDirectory(name) {
			return a.unmounted(a.outside(lookupFinding(failed.path, failed.err), r), r, path)
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
	return a.unmounted(f, r, path)
}

// unmounted adds to a finding about path that it names a program without its first segment:
// then that is probably what the web server calls the directory.
func (a *App) unmounted(f *Finding, r *cgi.Request, path string) *Finding {
	prefix, _, _ := r.Mounted()
	segment, rest, found := strings.Cut(strings.TrimLeft(path, "/"), "/")
	if prefix != "" || !found || len(path) > maxPath {
		return f
	}
	for _, root := range a.Roots {
		if _, failed := a.descend(root, "/"+rest, nil); failed == nil {
			if f.Remedy != "" {
				f.Remedy = strings.TrimSuffix(f.Remedy, ";") + "; "
			}
			f.Remedy += fmt.Sprintf("write prefix = %q if %[1]s is the location in the web server", "/"+segment)
			break
		}
	}
	return f
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
			if script, info := r.Env.Get("SCRIPT_NAME"), r.Env.Get("PATH_INFO"); used == 0 && script+info == prefix+path {
				// The root is the program, and its mount point may be the web server's.
				t.scriptName, t.pathInfo = script, info
			}
			t.hasPathInfo = t.pathInfo != ""
			_, sent, has := r.SentPath()
			t.asSent = has && sent == t.pathInfo
			return t, nil
		}
		if cgi.Remedy(err) != "" {
			return nil, err // it may lie here: another root may have another program of this name
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

func (gatehouse) dir(_ *cgi.Request, t *target) (string, bool) { return filepath.Dir(t.path), false }

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
	if id := r.RequestID(); id != "" {
		set("REQUEST_ID", id)
	}
	set("SCRIPT_FILENAME", t.path)
	set("SCRIPT_NAME", t.scriptName)
	s = append(s, setting{name: "PATH_INFO", value: t.pathInfo, unset: !t.hasPathInfo})
	if t.pathInfo == "" || !t.asSent {
		s = append(s, setting{name: "PATH_TRANSLATED", unset: true})
	}
	if _, ok := env.Lookup("QUERY_STRING"); !ok {
		set("QUERY_STRING", r.RawQuery())
	}
	require("REQUEST_METHOD", "GET")
	require("SERVER_PROTOCOL", "HTTP/1.0")
	require("SERVER_SOFTWARE", "gatehouse")
	// To php-cgi it says that the web server has mapped the path to a PHP file. A client that
	// calls the interpreter itself must not have it say so.
	sent, mapped := env.Get("REDIRECT_STATUS") != "", t.root || env.Get("REDIRECT_URL") != ""
	switch {
	case sent && mapped:
	case isScript(t.path):
		require("REDIRECT_STATUS", "200")
	case !mapped:
		s = append(s, setting{name: "REDIRECT_STATUS", unset: true,
			reason: `it would let clients call php-cgi itself: scripts that begin with "#!" get it, and binaries beside REDIRECT_URL`})
	}
	host, port := env.Server()
	require("SERVER_NAME", host)
	require("SERVER_PORT", port)
	if r.Role == cgi.Authorizer {
		set("FCGI_ROLE", "AUTHORIZER") // as libfcgi has it
	}
	return s
}

func (gatehouse) lookupFailure(f *Finding) *Finding { return f }
func (gatehouse) startFailure(f *Finding) *Finding  { return f }
