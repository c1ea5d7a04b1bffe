package iis

import (
	"path"
	"strings"

	"gatehouse/cgi"
)

// DedupPathInfo removes SCRIPT_NAME from the beginning of PATH_INFO, to the letter
// as wsgiref's IISCGIHandler does, and reports whether that changed anything: if
// PATH_INFO and a slash begin with SCRIPT_NAME and a slash, the length of SCRIPT_NAME
// is cut off. Variables that are not set count as empty. So without SCRIPT_NAME a
// missing PATH_INFO becomes an empty one, which is a change.
func DedupPathInfo(env *cgi.Environ) bool {
	script := env.Get("SCRIPT_NAME")
	info, set := env.Lookup("PATH_INFO")
	if !set && script != "" {
		return false
	}
	cut := env.TrimPathInfo()
	if set && cut == info {
		return false
	}
	env.Set("PATH_INFO", cut)
	return true
}

// A Mode says whether PATH_INFO repeats SCRIPT_NAME at its beginning.
type Mode uint8

const (
	// Auto finds out for each request, by the decoded path of REQUEST_URI. If that is
	// PATH_INFO, SCRIPT_NAME is repeated there and cut off; if it is SCRIPT_NAME and
	// PATH_INFO one after the other, both are right. Should it be neither as it stands,
	// both sides are compared without "." and ".." segments and repeated slashes, and
	// with each backslash as a slash, for these IIS resolves in PATH_INFO alone.
	//
	// Where REQUEST_URI is not set, or is something else because the URL was rewritten, it
	// is of no use. Auto then does as Strip:
	// IIS repeats SCRIPT_NAME unless somebody has told it not to, and a PATH_INFO that is
	// right seldom begins with SCRIPT_NAME. Somebody who wants it to can get there, with a
	// path that is sent in an odd way: for "/app/app/x" the application sees "/x". If the
	// web server guards some of an application's paths and not others, choose Strip or
	// Keep, whichever is true. HTTP_X_ORIGINAL_URL is not looked at, since a client can
	// send that header itself.
	Auto Mode = iota

	// Strip cuts SCRIPT_NAME off wherever PATH_INFO begins with it: wsgiref's rule, and
	// right where allowPathInfo is false.
	Strip

	// Keep leaves PATH_INFO as it is: right where allowPathInfo is true.
	Keep
)

// ParseMode returns the mode of the given name: auto, strip or keep.
func ParseMode(name string) (Mode, bool) {
	for i, n := range modeNames {
		if n == name {
			return Mode(i), true
		}
	}
	return 0, false
}

var modeNames = [...]string{"auto", "strip", "keep"}

func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "unknown"
}

// decide returns Strip or Keep for a request.
func (m Mode) decide(env *cgi.Environ) Mode {
	if m != Auto {
		return m
	}
	script, info := env.Get("SCRIPT_NAME"), env.Get("PATH_INFO")
	requested := env.RequestPath()
	if requested == "" {
		return Strip
	}
	switch requested {
	case info:
		return Strip
	case script + info:
		return Keep
	}
	switch requested = resolve(requested); requested {
	case resolve(info):
		return Strip
	case resolve(script + info):
		return Keep
	}
	return Strip
}

// resolve returns p without what IIS resolves in a path, for comparison.
func resolve(p string) string { return path.Clean("/" + strings.ReplaceAll(p, `\`, "/")) }
