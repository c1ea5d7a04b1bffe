package script

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/cgi"
)

// fcgiwrap is the manner of fcgiwrap.
type fcgiwrap struct{}

func (m fcgiwrap) find(a *App, r *cgi.Request, tr *trace) (*target, error) {
	if name, sent := r.Env.First("SCRIPT_FILENAME"); sent {
		return exactly(a, m, r, fromScriptFilename, name, tr)
	}
	root, hasRoot := r.Env.First("DOCUMENT_ROOT")
	script, hasScript := r.Env.First("SCRIPT_NAME")
	if _, _, mounted := r.Mounted(); mounted {
		script, _, _ = r.SentPath()
		hasScript = script != ""
	}
	if !hasRoot || !hasScript {
		if saysNothing(r) && !hasRoot {
			return nil, variablesFinding(http.StatusForbidden).status()
		}
		f := &Finding{Check: CheckRequest, Code: http.StatusForbidden,
			Detail: "the web server sent neither SCRIPT_FILENAME nor DOCUMENT_ROOT and SCRIPT_NAME",
			Remedy: "fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;"}
		return nil, f.status()
	}
	const from = "DOCUMENT_ROOT and SCRIPT_NAME"
	whole := root + script
	fail := func(path string, err error) (*target, error) {
		tr.add(from, path, err, "")
		f := m.lookupFailure(lookupFinding(path, err))
		f.Named = from
		return nil, f.status()
	}
	switch {
	case strings.IndexByte(whole, 0) >= 0:
		return nil, errNUL("path", whole)
	case !filepath.IsAbs(whole):
		return nil, notAbsolute(from, whole, tr)
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
		if err == errDirectory && path != whole {
			break // nobody wrote the name of this directory: what was sent leads to no file in it
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

func (fcgiwrap) dir(r *cgi.Request, t *target) (_ string, chosen bool) {
	dir, set := r.Env.First("FCGI_CHDIR")
	if !set {
		dir, set = os.LookupEnv("FCGI_CHDIR")
	}
	switch {
	case set && dir == "-":
		return "", true
	case set && strings.IndexByte(dir, 0) < 0:
		return dir, true
	}
	return filepath.Dir(t.path), false
}

func (fcgiwrap) sent(env *cgi.Environ, name, _ string) string {
	first, _ := env.First(name)
	return first
}

func (fcgiwrap) settings(s []setting, r *cgi.Request, t *target) []setting {
	role := "RESPONDER" // libfcgi adds it
	if r.Role == cgi.Authorizer {
		role = "AUTHORIZER"
	}
	s = append(s, setting{name: "FCGI_ROLE", value: role})
	return pathSettings(s, r, t)
}

func (fcgiwrap) lookupFailure(f *Finding) *Finding {
	if f.Code == http.StatusNotFound {
		f.Code = http.StatusForbidden
	}
	return f
}

func (fcgiwrap) startFailure(f *Finding) *Finding {
	if f.Code == http.StatusForbidden && f.Check != CheckDir && f.Check != CheckOwner {
		f.Code = http.StatusBadGateway
	}
	return f
}
