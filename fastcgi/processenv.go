package fastcgi

import (
	"net/http"
	"strings"

	"gatehouse/cgi"
)

// ProcessEnv returns the variables of a request that its http.Request does not show,
// REMOTE_USER for one: all but HTTP_* and those that make its method, URL, addresses,
// length and type, as net/http/fcgi's ProcessEnv has them. r may be a copy with another
// context, as long as that is derived from the request's.
//
// Each call makes a map of its own; [cgi.Env] shows all variables without one. The map
// is nil for a request that came in another way, or whose handler has returned.
func ProcessEnv(r *http.Request) map[string]string {
	env := cgi.CloneEnv(r)
	if env.Len() == 0 {
		return nil
	}
	m := make(map[string]string, env.Len())
	for name, value := range env.All() {
		if !inRequest(name) {
			m[name] = value
		}
	}
	return m
}

// inRequest reports whether the http.Request tells what a variable says. The list is
// net/http/fcgi's.
func inRequest(name string) bool {
	switch name {
	case "CONTENT_LENGTH", "CONTENT_TYPE", "HTTPS",
		"PATH_INFO", "QUERY_STRING", "REMOTE_ADDR",
		"REMOTE_HOST", "REMOTE_PORT", "REQUEST_METHOD",
		"REQUEST_URI", "SCRIPT_NAME", "SERVER_PROTOCOL":
		return true
	}
	return strings.HasPrefix(name, "HTTP_")
}
