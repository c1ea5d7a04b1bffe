package cgi

import (
	"fmt"
	"strings"
)

// A MissingVarError is returned where a variable is needed that is not set.
type MissingVarError struct {
	Name string
}

func (e *MissingVarError) Error() string { return fmt.Sprintf("cgi: variable %s is not set", e.Name) }

// What stays as it is in a path that is written to a URI, besides the unreserved
// characters of RFC 3986 § 2.3: letters, digits and -._~
const (
	safeInScriptName = "/"
	safeInPathInfo   = "/;=,"
)

// ApplicationURI returns the URI of the application: the scheme, the host, and
// SCRIPT_NAME, or "/" if that is empty. It is wsgiref's application_uri.
//
// The scheme is that of [Environ.Scheme]. The host is HTTP_HOST as the client sent
// it, unchecked; if it is empty, SERVER_NAME and SERVER_PORT, the port being left
// out if it is 443 for https and 80 for any other scheme. If one of the two is
// needed and not set, the error is a *MissingVarError.
//
// In SCRIPT_NAME every byte but letters, digits and -._~/ is written as %XX, "%"
// too.
func ApplicationURI(env *Environ) (string, error) {
	b, err := appendApplicationURI(nil, env)
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// RequestURI returns the URI of the request: what [ApplicationURI] does, PATH_INFO
// and, with includeQuery, "?" and QUERY_STRING if that is not empty. It is wsgiref's
// request_uri, and PEP 3333's "URL Reconstruction".
//
// In PATH_INFO every byte but letters, digits and -._~/;=, is written as %XX.
// QUERY_STRING is not decoded in the variables, and is appended as it is.
//
// If SCRIPT_NAME is empty, the first character of PATH_INFO as it is written makes
// way for the "/" of the application's URI, as in wsgiref. It is a "/" whenever the
// web server keeps to RFC 3875 § 4.1.5; a PATH_INFO of "x" is lost.
func RequestURI(env *Environ, includeQuery bool) (string, error) {
	b, err := appendApplicationURI(nil, env)
	if err != nil {
		return "", err
	}
	if env.Get("SCRIPT_NAME") != "" {
		b = appendQuoted(b, env.Get("PATH_INFO"), safeInPathInfo)
	} else if info := appendQuoted(nil, env.Get("PATH_INFO"), safeInPathInfo); len(info) > 0 {
		b = append(b, info[1:]...)
	}
	if query := env.Get("QUERY_STRING"); includeQuery && query != "" {
		b = append(b, '?')
		b = append(b, query...)
	}
	return string(b), nil
}

func appendApplicationURI(b []byte, env *Environ) ([]byte, error) {
	scheme := env.Scheme()
	b = append(b, scheme...)
	b = append(b, "://"...)
	if host := env.Get("HTTP_HOST"); host != "" {
		b = append(b, host...)
	} else {
		name, ok := env.Lookup("SERVER_NAME")
		if !ok {
			return nil, &MissingVarError{"SERVER_NAME"}
		}
		port, ok := env.Lookup("SERVER_PORT")
		if !ok {
			return nil, &MissingVarError{"SERVER_PORT"}
		}
		b = append(b, name...)
		if port != standardPort(scheme == "https") {
			b = append(b, ':')
			b = append(b, port...)
		}
	}
	script := env.Get("SCRIPT_NAME")
	if script == "" {
		script = "/"
	}
	return appendQuoted(b, script, safeInScriptName), nil
}

// appendQuoted appends s with every byte as %XX that is neither unreserved nor in
// safe.
func appendQuoted(b []byte, s, safe string) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; isUnreserved(c) || strings.IndexByte(safe, c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
