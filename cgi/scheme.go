package cgi

import (
	"cmp"
	"strconv"
	"strings"
)

// IsHTTPS reports whether the client's connection to the web server is encrypted: whether
// HTTPS is on, 1, yes or true, in any case or, if HTTPS is empty or not set, whether
// REQUEST_SCHEME is https.
func (e *Environ) IsHTTPS() bool {
	https, _ := e.decideHTTPS()
	return https
}

// SchemeVariable returns the name of the variable that decides [Environ.IsHTTPS]: HTTPS,
// REQUEST_SCHEME, or "" if neither has a value.
func (e *Environ) SchemeVariable() string {
	_, variable := e.decideHTTPS()
	return variable
}

func (e *Environ) decideHTTPS() (https bool, variable string) {
	if v := e.Get("HTTPS"); v != "" {
		return v == "1" || strings.EqualFold(v, "on") || strings.EqualFold(v, "yes") || strings.EqualFold(v, "true"), "HTTPS"
	}
	if v := e.Get("REQUEST_SCHEME"); v != "" {
		return strings.EqualFold(v, "https"), "REQUEST_SCHEME"
	}
	return false, ""
}

// GuessScheme returns "https" if HTTPS is "yes", "on" or "1", in lower case, and
// "http" otherwise. It is wsgiref's guess_scheme to the letter; [Environ.IsHTTPS] knows more
// web servers.
func GuessScheme(env *Environ) string {
	switch env.Get("HTTPS") {
	case "yes", "on", "1":
		return "https"
	}
	return "http"
}

// GuessServer returns what SERVER_NAME and SERVER_PORT should be (RFC 3875 § 4.1.14,
// § 4.1.15) where the web server sent none: the two parts of HTTP_HOST. A host that is
// missing is "localhost"; a port that is missing, or no number from 1 to 65535, is 443 if
// [Environ.IsHTTPS] holds and 80 otherwise. An IPv6 address keeps its brackets.
func (e *Environ) GuessServer() (name, port string) {
	name, port = splitHost(e.Get("HTTP_HOST"))
	if name == "" {
		name = "localhost"
	}
	if port == "" {
		port = standardPort(e.IsHTTPS())
	}
	return name, port
}

// Server returns SERVER_NAME and SERVER_PORT, neither of which may be empty (RFC 3875 § 4.1.14,
// § 4.1.15, and PEP 3333 for WSGI): what is missing or empty is that of [Environ.GuessServer].
// Web servers send an empty one, such as nginx without a server_name.
func (e *Environ) Server() (name, port string) {
	if name, port = e.Get("SERVER_NAME"), e.Get("SERVER_PORT"); name != "" && port != "" {
		return name, port
	}
	guessed, guessedPort := e.GuessServer()
	return cmp.Or(name, guessed), cmp.Or(port, guessedPort)
}

// standardPort returns the port that a URI may leave out.
func standardPort(https bool) string {
	if https {
		return "443"
	}
	return "80"
}

// splitHost splits a Host field. An IPv6 address keeps its brackets (RFC 3875 §
// 4.1.14).
func splitHost(s string) (name, port string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, ""
	}
	if p, err := strconv.ParseUint(s[i+1:], 10, 16); err == nil && p > 0 {
		port = s[i+1:]
	}
	return s[:i], port
}

// host returns HTTP_HOST, or what SERVER_NAME and SERVER_PORT make of it.
func host(env *Environ, https bool) string {
	if h := env.Get("HTTP_HOST"); h != "" {
		return h
	}
	name, port := env.Get("SERVER_NAME"), env.Get("SERVER_PORT")
	if name == "" {
		return ""
	}
	if strings.Contains(name, ":") && name[0] != '[' {
		name = "[" + name + "]"
	}
	if port == "" || port == standardPort(https) {
		return name
	}
	return name + ":" + port
}
