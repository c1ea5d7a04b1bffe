package cgi

import (
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// A PathPolicy says how the web server in front reports the path of a request.
type PathPolicy uint8

const (
	// PathAuto is right for nginx, Apache, lighttpd, HAProxy and Caddy.
	PathAuto PathPolicy = iota
	// PathNginx takes SCRIPT_NAME for the whole path only if DOCUMENT_URI says so.
	PathNginx
	// PathApache does so only if REQUEST_URI says so.
	PathApache
	// PathIIS removes SCRIPT_NAME from the beginning of PATH_INFO.
	PathIIS
	// PathKeep takes SCRIPT_NAME and PATH_INFO as they are.
	PathKeep
)

// ParsePathPolicy returns the policy of the given name: auto, nginx, apache, iis
// or keep.
func ParsePathPolicy(name string) (PathPolicy, bool) {
	for i, n := range policyNames {
		if n == name {
			return PathPolicy(i), true
		}
	}
	return 0, false
}

var policyNames = [...]string{"auto", "nginx", "apache", "iis", "keep"}

func (p PathPolicy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "unknown"
}

// sentPath is the path as the web server reported it.
type sentPath struct {
	valid              bool
	split              bool // SCRIPT_NAME and PATH_INFO are a Mux's now, not the web server's
	script, info       string
	hasScript, hasInfo bool
}

// SentPath returns SCRIPT_NAME and PATH_INFO as the web server sent them, even if a Mux has
// split the path since, and whether PATH_INFO was sent at all.
func (r *Request) SentPath() (scriptName, pathInfo string, hasPathInfo bool) {
	if r.sent.valid {
		return r.sent.script, r.sent.info, r.sent.hasInfo
	}
	pathInfo, hasPathInfo = r.Env.Lookup("PATH_INFO")
	return r.Env.Get("SCRIPT_NAME"), pathInfo, hasPathInfo
}

// Mounted returns the prefix at which a Mux found the application, without a trailing slash,
// and the path below it; ok is false if no Mux did. Where Muxes are nested, the innermost
// counts, with the whole prefix.
func (r *Request) Mounted() (prefix, path string, ok bool) {
	return r.mount.prefix, r.mount.path, r.mount.valid
}

// mountPoint is where a Mux found the application.
type mountPoint struct {
	valid        bool
	prefix, path string
}

// saveSentPath saves the path as it was sent, before a Mux splits it.
func (r *Request) saveSentPath() {
	if r.sent.valid {
		return
	}
	s := sentPath{valid: true}
	s.script, s.hasScript = r.Env.Lookup("SCRIPT_NAME")
	s.info, s.hasInfo = r.Env.Lookup("PATH_INFO")
	r.sent = s
}

// FullPath returns the whole path of the request, decoded. Web servers report it in
// different ways; a Mux that has split it changes nothing.
//
// If SCRIPT_NAME equals DOCUMENT_URI, or the decoded path of REQUEST_URI, it is the whole
// path, and PATH_INFO overlaps it (nginx's recipe for git sends both) and is not appended.
// It is not the whole path, though, if the decoded path of REQUEST_URI continues after
// SCRIPT_NAME: Caddy's DOCUMENT_URI leaves PATH_INFO out. Otherwise the path is SCRIPT_NAME
// and PATH_INFO if PATH_INFO was sent, else SCRIPT_NAME, else DOCUMENT_URI, else the decoded
// path of REQUEST_URI.
func (r *Request) FullPath() string {
	if r.sent.split {
		return r.Env.Get("SCRIPT_NAME") + r.Env.Get("PATH_INFO")
	}
	return fullPath(r.Env, r.Paths)
}

// fullPath is FullPath for a request whose path no Mux has split.
func fullPath(env *Environ, policy PathPolicy) string {
	script := env.Get("SCRIPT_NAME")
	info, hasInfo := env.Lookup("PATH_INFO")
	if policy == PathIIS {
		info = trimScriptName(script, info)
	}
	if script != "" && hasInfo && scriptIsWhole(env, policy, script) {
		return script
	}
	if p := script + info; p != "" {
		return p
	}
	if d := env.Get("DOCUMENT_URI"); d != "" {
		return d
	}
	return env.RequestPath()
}

func scriptIsWhole(env *Environ, policy PathPolicy, script string) bool {
	if policy > PathApache {
		return false
	}
	requested := env.RequestPath()
	byDocument := env.Get("DOCUMENT_URI") == script && !strings.HasPrefix(requested, script+"/")
	byRequest := requested == script
	return byDocument && policy != PathApache || byRequest && policy != PathNginx
}

// TrimPathInfo returns PATH_INFO without the SCRIPT_NAME that IIS repeats at its
// beginning: the rule of wsgiref's IISCGIHandler. The two are compared byte for byte, and
// SCRIPT_NAME must end at a slash or at the end of PATH_INFO; otherwise, or if SCRIPT_NAME
// is empty, PATH_INFO is returned as it is.
//
// [PathIIS] applies it to every request. An application that has to find out whether its
// IIS repeats SCRIPT_NAME belongs behind the handler of package iis.
func (e *Environ) TrimPathInfo() string {
	return trimScriptName(e.Get("SCRIPT_NAME"), e.Get("PATH_INFO"))
}

func trimScriptName(scriptName, pathInfo string) string {
	if scriptName != "" && strings.HasPrefix(pathInfo+"/", scriptName+"/") {
		return pathInfo[len(scriptName):]
	}
	return pathInfo
}

// RequestPath returns the decoded path of REQUEST_URI, or "" if that is not set. An
// invalid escape is left as it is.
func (e *Environ) RequestPath() string { return decodedPath(e.Get("REQUEST_URI")) }

// decodedPath returns the path of a request-target (RFC 9112 § 3.2), decoded. An
// invalid escape is left as it is.
func decodedPath(target string) string { return syntax.Unescape(rawPath(target)) }

// rawPath returns the path of a request-target as it was sent.
func rawPath(target string) string {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if !strings.HasPrefix(target, "/") {
		// The absolute form has a scheme and an authority in front.
		if i := strings.Index(target, "://"); i >= 0 {
			rest := target[i+3:]
			j := strings.IndexByte(rest, '/')
			if j < 0 {
				return "/"
			}
			target = rest[j:]
		}
	}
	return target
}

// RequestTarget returns the path and the query of a request for a log line, as the client
// sent them if the web server reports that (REQUEST_URI).
func (e *Environ) RequestTarget() string {
	if u := e.Get("REQUEST_URI"); u != "" {
		return u
	}
	u := fullPath(e, PathAuto)
	if q := e.Get("QUERY_STRING"); q != "" {
		u += "?" + q
	}
	return u
}
