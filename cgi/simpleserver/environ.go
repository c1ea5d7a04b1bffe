package simpleserver

import (
	"net"
	"net/netip"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/internal/syntax"
)

// environ makes the variables of a request (WSGIRequestHandler.get_environ). They
// are complete as far as they go even if it returns an error, a *requestError.
func (s *Server) environ(base *cgi.Environ, h *head, host string) (*cgi.Environ, error) {
	env := base.Clone()
	software, _, _ := strings.Cut(s.software(), " ")
	env.Set("SERVER_PROTOCOL", h.version)
	env.Set("SERVER_SOFTWARE", software)
	env.Set("REQUEST_METHOD", h.method)
	target, authority, err := h.target, "", error(nil)
	if !s.Compat {
		target, authority, err = originForm(h.method, h.target)
	}
	path, query, _ := strings.Cut(target, "?")
	path = syntax.Unescape(path)
	if !s.Compat && strings.IndexByte(path, 0) >= 0 {
		path = ""
		err = &requestError{code: 400, explain: "NUL byte in the path"}
	}
	if !s.Compat {
		env.Set("REQUEST_URI", h.target)
	}
	env.Set("PATH_INFO", path)
	env.Set("QUERY_STRING", query)
	env.Set("REMOTE_ADDR", host)
	if t, ok := h.get("Content-Type"); ok {
		env.Set("CONTENT_TYPE", t)
	} else if s.Compat {
		env.Set("CONTENT_TYPE", "text/plain")
	}
	if n, _ := h.get("Content-Length"); n != "" {
		env.Set("CONTENT_LENGTH", n)
	}
	if s.Compat {
		addFieldsCompat(env, h)
		return env, nil
	}
	if ferr := addFields(env, h); err == nil {
		err = ferr
	}
	if authority != "" {
		env.Set("HTTP_HOST", authority)
	}
	return env, err
}

// originForm takes scheme and authority from a target in absolute form (RFC 9112 §
// 3.2). A target begins with a slash, or is the "*" of OPTIONS.
func originForm(method, target string) (origin, authority string, err error) {
	rest := ""
	for _, scheme := range []string{"http://", "https://"} {
		if len(target) > len(scheme) && strings.EqualFold(target[:len(scheme)], scheme) {
			rest = target[len(scheme):]
		}
	}
	if rest != "" {
		authority, target = rest, ""
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			authority, target = rest[:i], rest[i:]
		}
		authority = authority[strings.LastIndexByte(authority, '@')+1:]
		target = "/" + strings.TrimLeft(target, "/")
		if authority == "" {
			return "/", "", &requestError{code: 400, explain: "the request target has no host"}
		}
	}
	if target[0] != '/' && (target != "*" || method != "OPTIONS") {
		return "", "", &requestError{code: 400, explain: "the request target is not a path: " + repr(target[:min(len(target), 80)])}
	}
	return target, authority, nil
}

// variableName returns the name of a field's variable, without HTTP_.
func variableName(field string) string {
	return strings.ToUpper(strings.ReplaceAll(field, "-", "_"))
}

// addFields adds the HTTP_* variables. A field whose name is that of a variable is
// left out, as Content-Length is.
func addFields(env *cgi.Environ, h *head) error {
	hosts := 0
	for _, f := range h.fields {
		name := variableName(f.Name)
		if strings.Contains(f.Name, "_") || name == "PROXY" || name == "TRANSFER_ENCODING" {
			continue
		}
		if name == "HOST" {
			if hosts++; hosts > 1 {
				return &requestError{code: 400, explain: "more than one Host"}
			}
		}
		if _, taken := env.Lookup(name); taken || name == "CONTENT_TYPE" || name == "CONTENT_LENGTH" {
			continue
		}
		if err := env.Add("HTTP_"+name, f.Value); err != nil {
			return &requestError{code: 400, explain: err.Error()}
		}
	}
	return nil
}

// addFieldsCompat adds them as wsgiref does.
func addFieldsCompat(env *cgi.Environ, h *head) {
	for _, f := range h.fields {
		name, value := variableName(f.Name), pythonStrip(f.Value)
		if _, taken := env.Lookup(name); taken {
			continue
		}
		if old, ok := env.Lookup("HTTP_" + name); ok {
			value = old + "," + value
		}
		env.Set("HTTP_"+name, value)
	}
}

// remoteHost returns the address of a client. One that has no IP address is "unix:",
// as nginx has it.
func remoteHost(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return "unix:"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "unix:"
	}
	return ip.Unmap().WithZone("").String()
}
