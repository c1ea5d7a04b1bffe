package cgi

import (
	"fmt"
	"net/http"
	"strings"
)

// A PathPolicy says how the web server in front reports the path of a request. The section
// "Paths" of the package documentation has the rule.
type PathPolicy uint8

const (
	// PathAuto compares what the web server sent with REQUEST_URI, then with DOCUMENT_URI.
	// It is right for nginx, Apache, lighttpd, HAProxy and Caddy.
	PathAuto PathPolicy = iota
	// PathNginx compares with DOCUMENT_URI alone: the path is what nginx has rewritten it to.
	PathNginx
	// PathApache compares with REQUEST_URI alone.
	PathApache
	// PathIIS removes SCRIPT_NAME from the beginning of PATH_INFO, and compares nothing.
	PathIIS
	// PathKeep takes SCRIPT_NAME and PATH_INFO as they are, and compares nothing.
	PathKeep
	// PathRequest takes the path and the query of REQUEST_URI, as net/http/fcgi and
	// net/http/cgi do, whatever the web server has rewritten them to. Without REQUEST_URI it
	// does as PathKeep.
	PathRequest
)

// ParsePathPolicy returns the policy of the given name: auto, nginx, apache, iis, keep or
// request.
func ParsePathPolicy(name string) (PathPolicy, bool) {
	for i, n := range policyNames {
		if n == name {
			return PathPolicy(i), true
		}
	}
	return 0, false
}

var policyNames = [...]string{"auto", "nginx", "apache", "iis", "keep", "request"}

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

// FullPath returns the whole path of the request, decoded, whichever way the web server
// reported it; a Mux that has split it changes nothing. It begins with a slash, but is "*"
// for "OPTIONS *", and "" if no variable tells of a path.
//
// It is what the web server sent, not REQUEST_URI; the package documentation says how the one
// is compared with the other (Paths). An Apache with "AllowEncodedSlashes NoDecode" leaves
// "%2F" in it: that slash is part of a segment.
func (r *Request) FullPath() string { return r.settlePath().path }

// settlePath returns the path and the mount point of the request.
func (r *Request) settlePath() settledPath {
	if !r.sent.split {
		return settle(r.Env, r.Paths)
	}
	script := r.Env.Get("SCRIPT_NAME")
	return settledPath{path: script + r.Env.Get("PATH_INFO"), mount: script, told: true}
}

// RawQuery returns the query of the request, not decoded and without the "?": QUERY_STRING
// if it was sent, otherwise that of REQUEST_URI. With [PathRequest] it is that of REQUEST_URI
// in any case, if that was sent.
func (r *Request) RawQuery() string {
	query, sent := r.Env.Lookup("QUERY_STRING")
	target := r.Env.Get("REQUEST_URI")
	if sent && (r.Paths != PathRequest || target == "") {
		return query
	}
	target, _, _ = strings.Cut(target, "#")
	_, query, _ = strings.Cut(target, "?")
	return query
}

// InspectPath returns what is wrong with the path of the request as the web server sent it.
// The Handler calls it before the application.
//
// The error is a *[StatusError] of 400. A ".." segment that only decoding "%2F" brought to
// light is refused: some servers would resolve it and some would not, and so they and the
// application disagree about which path it is.
//
// The advice, if it is not empty, is a line for an administrator about a mistake in the
// configuration of the web server that has been mended here.
func (r *Request) InspectPath() (advice string, err error) {
	if uri := r.Env.Get("REQUEST_URI"); strings.IndexByte(uri, '%') >= 0 {
		if target := rawPath(uri); hidesDotDot(target) && hasDotDot(r.FullPath()) {
			return "", badPath(hiddenDotDot, target)
		}
	}
	info := r.sent.info
	if !r.sent.valid {
		info = r.Env.Get("PATH_INFO")
	}
	if info != "" && info[0] != '/' && info != "*" {
		advice = fmt.Sprintf("PATH_INFO %.200q does not begin with a slash (RFC 3875 § 4.1.5), and is read as %.200q: "+
			"let the slash be part of it, as in fastcgi_split_path_info ^(.+\\.cgi)(/.*)$", info, "/"+info)
	}
	return advice, nil
}

const hiddenDotDot = `a ".." behind an encoded slash in the path of REQUEST_URI %.200q`

func badPath(format, path string) error {
	return &StatusError{Code: http.StatusBadRequest, Err: fmt.Errorf(format, path), Check: "path"}
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
