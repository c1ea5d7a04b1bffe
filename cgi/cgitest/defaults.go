package cgitest

import (
	"bytes"
	"net/http"

	"gatehouse/cgi"
)

// Defaults sets each variable that an application may count on and that is not set,
// as wsgiref's setup_testing_defaults does, in its order:
//
//	SERVER_NAME      127.0.0.1
//	SERVER_PROTOCOL  HTTP/1.0
//	HTTP_HOST        the value of SERVER_NAME
//	REQUEST_METHOD   GET
//	SCRIPT_NAME      empty, and PATH_INFO /, if neither is set
//	SERVER_PORT      80 or 443, if the scheme is http or https
//
// The scheme is fixed before SERVER_PORT is: a later change of HTTPS does not show
// in it. An empty value counts as set. The data is made up, so this is for tests
// alone.
func Defaults(env *cgi.Environ) {
	name := env.SetDefault("SERVER_NAME", "127.0.0.1")
	env.SetDefault("SERVER_PROTOCOL", "HTTP/1.0")
	env.SetDefault("HTTP_HOST", name)
	env.SetDefault("REQUEST_METHOD", "GET")
	_, hasScript := env.Lookup("SCRIPT_NAME")
	_, hasInfo := env.Lookup("PATH_INFO")
	if !hasScript && !hasInfo {
		env.Set("SCRIPT_NAME", "")
		env.Set("PATH_INFO", "/")
	}
	env.SetScheme(env.Scheme())
	switch env.Scheme() {
	case "http":
		env.SetDefault("SERVER_PORT", "80")
	case "https":
		env.SetDefault("SERVER_PORT", "443")
	}
}

// NewRequest returns a request with those variables, to which [Defaults] has been
// applied; nil is none. Its body is empty, its Stderr a *bytes.Buffer of its own,
// its role Responder, and its run flags are false.
func NewRequest(env *cgi.Environ) *cgi.Request {
	if env == nil {
		env = new(cgi.Environ)
	}
	Defaults(env)
	return &cgi.Request{Env: env, Body: http.NoBody, Stderr: new(bytes.Buffer), Role: cgi.Responder}
}
