package script

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/internal/syntax"
)

// named finds the program that SCRIPT_FILENAME names, or returns nothing if the name leaves
// it to the walk.
func (a *App) named(r *cgi.Request, name string, tr *trace) (*target, error) {
	if filepath.IsAbs(name) && strings.IndexByte(name, 0) < 0 {
		return a.findNamed(r, name, tr)
	}
	if file, ok := a.proxied(r, name); ok {
		return a.findNamed(r, file, tr)
	}
	if name != "" {
		tr.add(fromScriptFilename, name, errNoName, "the path of the request decides")
	}
	return nil, nil
}

// findNamed does that for the name of a file.
func (a *App) findNamed(r *cgi.Request, name string, tr *trace) (*target, error) {
	file := filepath.Clean(name)
	behind := name[len(strings.TrimRight(name, "/")):]
	err := a.checkNamed(file)
	if errors.Is(err, errMissing) {
		// A name that goes on behind a file that is elsewhere is that of no file.
		if f, rest := cutFile(name); f != "" {
			if e := a.checkNamed(f); !errors.Is(e, errOutside) {
				file, behind, err = f, rest, e
			}
		}
	}
	switch {
	case err == nil:
		t := &target{path: file, asSent: true}
		t.scriptName, t.pathInfo, t.hasPathInfo = r.SentPath()
		t.moveBehind(behind)
		note := ""
		if behind != "" {
			note = "what is behind the file belongs to PATH_INFO"
		}
		tr.add(fromScriptFilename, file, nil, note)
		return t, nil
	case errors.Is(err, errMissing):
		tr.add(fromScriptFilename, file, err, "the path of the request decides")
		return nil, nil
	case errors.Is(err, errDirectory), isDirectory(file):
		// nginx sends one for a location that it maps to no file; lighttpd, its own
		// document root where it cuts nothing off the path (fix-root-scriptname).
		tr.add(fromScriptFilename, file, errDirectory, "the path of the request decides")
		return nil, nil
	}
	tr.add(fromScriptFilename, file, err, "")
	f := a.outside(lookupFinding(file, err), r)
	if f.Named = fromScriptFilename; behind == "" {
		f.Path = name // as it was sent
	}
	return nil, f.status()
}

// checkNamed says whether the file, an absolute path, lies in a root and may run.
func (a *App) checkNamed(file string) error {
	err := errOutside
	for _, root := range a.Roots {
		if rel, in := below(root, file); in {
			if err = a.check(root, rel); err == nil || !errors.Is(err, errOutside) {
				break
			}
		}
	}
	if errors.Is(err, errOutside) {
		// The name may lead into a root by another way.
		err = a.checkReal(file, a.Roots)
	}
	return err
}

// cutFile returns the file on the way down an absolute name, and how the name goes on behind
// it; nothing if there is none.
func cutFile(name string) (file, behind string) {
	for end := 1; end <= min(len(name), maxPath); end++ {
		if end < len(name) && name[end] != '/' {
			continue
		}
		if strings.HasSuffix(name[:end], "/..") {
			// A ".." in front of the file is the name's own, and one behind it the client's.
			if clean := filepath.Clean(name); clean != name {
				return cutFile(clean)
			}
		}
		info, err := os.Stat(name[:end])
		if err != nil {
			return "", ""
		}
		if !info.IsDir() {
			return filepath.Clean(name[:end]), name[end:]
		}
	}
	return "", ""
}

// moveBehind moves how SCRIPT_FILENAME goes on behind the file from SCRIPT_NAME to PATH_INFO.
// If PATH_INFO has it already, it is as it should be.
func (t *target) moveBehind(behind string) {
	if behind == "" {
		return
	}
	script, tail := cutTail(t.scriptName, behind)
	switch {
	case t.pathInfo == behind || t.pathInfo != "" && tail == t.pathInfo:
		t.scriptName = script
	case tail != "":
		t.scriptName, t.pathInfo, t.asSent = script, tail+t.pathInfo, false
	case t.pathInfo == "":
		t.pathInfo, t.asSent = behind, false
	}
	t.hasPathInfo = true
}

// cutTail cuts tail from the end of a path, which may have "%2F" where tail has slashes
// (Apache, AllowEncodedSlashes NoDecode). It returns the tail as the path has it, or "".
func cutTail(path, tail string) (rest, cut string) {
	at := len(path)
	for n := len(tail); n > 0 && at > 0; n-- {
		if p := path[:at]; strings.HasSuffix(p, "%2F") || strings.HasSuffix(p, "%2f") {
			at -= len("%2F")
		} else {
			at--
		}
	}
	if cut := path[at:]; cut == tail || slashes.Replace(cut) == tail {
		return path[:at], cut
	}
	return path, ""
}

var slashes = strings.NewReplacer("%2F", "/", "%2f", "/")

// proxied returns the file that Apache's form of SCRIPT_FILENAME names, if it is one that the
// configuration of Apache leads to: proxy:fcgi://HOST/path, or proxy:unix:SOCKET|fcgi://HOST/path.
//
// ProxyPass makes the path of what is left of the client's, so that a path that the client
// has written as a whole says nothing: "ProxyPass / fcgi://localhost/" would let it reach a
// program by a path that the access rules of Apache do not know.
func (a *App) proxied(r *cgi.Request, name string) (file string, ok bool) {
	name, ok = strings.CutPrefix(name, "proxy:")
	if !ok || strings.IndexByte(name, 0) >= 0 {
		return "", false
	}
	if socket, rest, found := strings.Cut(name, "|"); found && strings.HasPrefix(socket, "unix:") {
		name = rest
	}
	if _, name, ok = strings.Cut(name, "://"); !ok {
		return "", false
	}
	host := strings.IndexByte(name, '/')
	if host < 0 {
		return "", false
	}
	file = name[host:]
	if decoded := syntax.Unescape(file); decoded != file && errors.Is(a.checkNamed(filepath.Clean(file)), errMissing) {
		file = decoded // ProxyPass encodes the path, and SetHandler does not
	}
	clean := filepath.Clean(file)
	return file, a.inRoot(clean) && !strings.HasSuffix(path.Clean(syntax.Unescape(r.FullPath())), clean)
}

// inRoot reports whether name lies in a root, by the names alone.
func (a *App) inRoot(name string) bool {
	for _, root := range a.Roots {
		if _, in := below(root, name); in {
			return true
		}
	}
	return false
}
