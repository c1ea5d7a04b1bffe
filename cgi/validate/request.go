package validate

import (
	"net/http"
	"strconv"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/internal/syntax"
)

// checkRequest checks what the gateway passes, in the order of the rules, and returns
// the first that is broken.
func checkRequest(r *cgi.Request, warn warner) error {
	for _, check := range [...]func(*cgi.Request, warner) *Error{
		checkRequired,
		checkBodyVariables,
		checkQuery,
		checkNUL,
		checkScheme,
		checkMethod,
		checkScriptName,
		checkPathInfo,
		checkContentLength,
		checkEitherPath,
		checkRootScript,
		checkNames,
	} {
		if err := check(r, warn); err != nil {
			return err
		}
	}
	return nil
}

// V3: what every request has.
func checkRequired(r *cgi.Request, _ warner) *Error {
	switch {
	case r.Env == nil:
		return broken("V3", "the request has no variables")
	case r.Body == nil:
		return broken("V3", "the request has no Body")
	case r.Stderr == nil:
		return broken("V3", "the request has no Stderr")
	}
	for _, name := range [...]string{"REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT"} {
		if _, ok := r.Env.Lookup(name); !ok {
			return broken("V3", "%s is not set", name)
		}
	}
	return nil
}

// V4: the type and the length of the body are in CONTENT_TYPE and CONTENT_LENGTH,
// where applications look for them.
func checkBodyVariables(r *cgi.Request, warn warner) *Error {
	for _, name := range [...]string{"CONTENT_TYPE", "CONTENT_LENGTH"} {
		v, ok := r.Env.Lookup("HTTP_" + name)
		if !ok {
			continue
		}
		if v != r.Env.Get(name) {
			return broken("V4", "HTTP_%s is %.80q, and %s is %.80q: it must be in %[3]s alone", name, v, name, r.Env.Get(name))
		}
		warn("V4", "HTTP_%s is set beside %s: only the latter is portable", name, name)
	}
	return nil
}

// V5: programs take their arguments for the query where it is missing.
func checkQuery(r *cgi.Request, warn warner) *Error {
	if _, ok := r.Env.Lookup("QUERY_STRING"); !ok {
		warn("V5", "QUERY_STRING is not set; it should be, if only to the empty string")
	}
	return nil
}

// V6: no NUL byte, which no variable of a process can hold.
func checkNUL(r *cgi.Request, _ warner) *Error {
	for name, value := range r.Env.All() {
		if strings.IndexByte(name, 0) >= 0 {
			return broken("V6", "NUL byte in the name of the variable %.80q", name)
		}
		if strings.IndexByte(value, 0) >= 0 {
			return broken("V6", "NUL byte in the value of %.80q", name)
		}
	}
	return nil
}

// V8: the scheme is http or https. That of the web server may be in any case (RFC
// 3986 § 3.1).
func checkScheme(r *cgi.Request, _ warner) *Error {
	if v := r.Env.Scheme(); v != "http" && v != "https" {
		return broken("V8", "the scheme is %.80q: it must be http or https", v)
	}
	if v, ok := r.Env.Lookup("wsgi.url_scheme"); ok && v != "http" && v != "https" {
		return broken("V8", "wsgi.url_scheme is %.80q: it must be http or https", v)
	}
	if v := r.Env.Get("REQUEST_SCHEME"); v != "" && !strings.EqualFold(v, "http") && !strings.EqualFold(v, "https") {
		return broken("V8", "REQUEST_SCHEME is %.80q: it must be http or https", v)
	}
	return nil
}

// V11: the method is one that is known.
func checkMethod(r *cgi.Request, warn warner) *Error {
	switch m := r.Env.Get("REQUEST_METHOD"); m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions,
		http.MethodPatch, http.MethodPut, http.MethodDelete, http.MethodTrace:
	default:
		warn("V11", "REQUEST_METHOD is %.80q, which is not known", m)
	}
	return nil
}

// V12: SCRIPT_NAME is empty or a path.
func checkScriptName(r *cgi.Request, _ warner) *Error {
	if s := r.Env.Get("SCRIPT_NAME"); s != "" && s[0] != '/' {
		return broken("V12", `SCRIPT_NAME is %.80q: it must be empty or begin with "/"`, s)
	}
	return nil
}

// V13: PATH_INFO is empty or a path.
func checkPathInfo(r *cgi.Request, _ warner) *Error {
	if s := r.Env.Get("PATH_INFO"); s != "" && s[0] != '/' {
		return broken("V13", `PATH_INFO is %.80q: it must be empty or begin with "/"`, s)
	}
	return nil
}

// V14: CONTENT_LENGTH is empty or digits (RFC 3875 § 4.1.2).
func checkContentLength(r *cgi.Request, _ warner) *Error {
	s := r.Env.Get("CONTENT_LENGTH")
	if _, ok := parseLength(s); s != "" && !ok {
		return broken("V14", "CONTENT_LENGTH is %.80q: it must be a number of bytes, in digits", s)
	}
	return nil
}

// parseLength reads a number of bytes: digits only.
func parseLength(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}

// V15: one of SCRIPT_NAME and PATH_INFO tells the path.
func checkEitherPath(r *cgi.Request, _ warner) *Error {
	if _, ok := r.Env.Lookup("PATH_INFO"); !ok && r.Env.Get("SCRIPT_NAME") == "" {
		return broken("V15", `neither SCRIPT_NAME nor PATH_INFO is set: PATH_INFO must be at least "/"`)
	}
	return nil
}

// V16: the root is the empty SCRIPT_NAME.
func checkRootScript(r *cgi.Request, _ warner) *Error {
	if r.Env.Get("SCRIPT_NAME") == "/" {
		return broken("V16", `SCRIPT_NAME is "/": it must be empty, and PATH_INFO "/"`)
	}
	return nil
}

// V47: names are tokens, and unique in any case (RFC 3875 § 4.1). Where the variables
// are those of a process, they are not all the web server's.
func checkNames(r *cgi.Request, _ warner) *Error {
	if r.RunOnce {
		return nil
	}
	seen := make(map[string]string, r.Env.Len())
	for name := range r.Env.All() {
		if !syntax.IsToken(name) {
			return broken("V47", "the name of the variable %.80q is no token", name)
		}
		upper := strings.ToUpper(name)
		if other, ok := seen[upper]; ok {
			return broken("V47", "the variables %.80q and %.80q have the same name", other, name)
		}
		seen[upper] = name
	}
	return nil
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
