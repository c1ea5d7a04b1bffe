package cgi

import "strings"

// IsHTTPS reports whether the client's connection to the web server is encrypted.
// HTTPS counts if it is set and not empty: on, 1, yes and true in any case mean
// that it is. Otherwise REQUEST_SCHEME tells.
func IsHTTPS(env *Environ) bool {
	if v := env.Get("HTTPS"); v != "" {
		return v == "1" || strings.EqualFold(v, "on") || strings.EqualFold(v, "yes") || strings.EqualFold(v, "true")
	}
	return strings.EqualFold(env.Get("REQUEST_SCHEME"), "https")
}
