package script

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"gatehouse/cgi"
)

// inherited returns what programs get from this process's environment.
func inherited(names []string) (vars []string) {
	if names == nil {
		names = []string{"PATH", "LANG", "TZ"}
		if runtime.GOOS == "windows" {
			names = append(names, "SystemRoot") // without it few programs start there
		}
	}
	for _, n := range names {
		if v, ok := os.LookupEnv(n); ok {
			vars = append(vars, n+"="+v)
		}
	}
	return vars
}

// passes reports whether a variable that the web server sent reaches a program.
// HTTP_PROXY is the header "Proxy", which libraries take for configuration; LD_*
// and BASH_FUNC* run code; passwords are nobody's business but the web server's.
func (a *App) passes(name, value string) bool {
	switch {
	case name == "" || strings.IndexByte(name, '=') >= 0:
		return false
	case strings.IndexByte(name, 0) >= 0 || strings.IndexByte(value, 0) >= 0:
		return false
	case strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "BASH_FUNC"):
		return false
	case name == "HTTP_AUTHORIZATION" || name == "AUTH_PASSWORD":
		return a.PassAuthorization
	}
	return !strings.EqualFold(name, "HTTP_PROXY") && name != "HTTP_PROXY_AUTHORIZATION"
}

// environment is the environment of one program under construction.
type environment struct {
	text strings.Builder
	ends []int
}

func (e *environment) add(name, value string) {
	e.text.WriteString(name)
	e.text.WriteByte('=')
	e.text.WriteString(value)
	e.ends = append(e.ends, e.text.Len())
}

// strings returns the variables, as parts of one string.
func (e *environment) strings() []string {
	text, start := e.text.String(), 0
	vars := make([]string, 0, len(e.ends))
	for _, end := range e.ends {
		vars = append(vars, text[start:end])
		start = end
	}
	return vars
}

// A setting is a variable that this package settles.
type setting struct {
	name, value string
	unset       bool
}

// environment returns the environment of the program t for r: what the web server
// sent, with the variables that RFC 3875 § 4.1 requires guaranteed, then the
// application's own, then what is inherited. Among these the application's own
// win, and what is inherited yields to both.
func (a *App) environment(r *cgi.Request, t *target, length int64) []string {
	var own [24]setting
	settled := a.settle(own[:0], r, t, length)
	var e environment
	e.text.Grow(2048)
	e.ends = make([]int, 0, r.Env.Len()+len(settled)+len(a.Env)+len(a.state.inherited))
	for name, value := range r.Env.All() {
		if !find(settled, name) && a.passes(name, value) && !names(a.Env, name) {
			e.add(name, value)
		}
	}
	for _, s := range settled {
		if !s.unset && strings.IndexByte(s.value, 0) < 0 && !names(a.Env, s.name) {
			e.add(s.name, s.value)
		}
	}
	for i, v := range a.Env {
		name, value, ok := strings.Cut(v, "=")
		if ok && name != "" && !names(a.Env[i+1:], name) {
			e.add(name, value)
		}
	}
	for _, v := range a.state.inherited {
		name, value, _ := strings.Cut(v, "=")
		if _, sent := r.Env.Lookup(name); !sent && !names(a.Env, name) {
			e.add(name, value)
		}
	}
	return e.strings()
}

// settle appends the variables that the web server does not decide alone.
func (a *App) settle(s []setting, r *cgi.Request, t *target, length int64) []setting {
	env := r.Env
	set := func(name, value string) { s = append(s, setting{name: name, value: value}) }
	// An empty value means the same as none (RFC 3875 § 4.1).
	require := func(name, standard string) {
		if env.Get(name) == "" {
			set(name, standard)
		}
	}
	set("GATEWAY_INTERFACE", "CGI/1.1")
	set("SCRIPT_FILENAME", t.path)
	set("SCRIPT_NAME", t.scriptName)
	s = append(s, setting{"PATH_INFO", t.pathInfo, !t.hasPathInfo})
	if t.pathInfo == "" || !t.asSent {
		s = append(s, setting{name: "PATH_TRANSLATED", unset: true})
	}
	if _, ok := env.Lookup("QUERY_STRING"); !ok {
		set("QUERY_STRING", "")
	}
	require("REQUEST_METHOD", "GET")
	require("SERVER_PROTOCOL", "HTTP/1.0")
	require("SERVER_SOFTWARE", "gatehouse")
	require("REDIRECT_STATUS", "200") // php-cgi runs nothing without it
	host, port := hostPort(env)
	require("SERVER_NAME", host)
	require("SERVER_PORT", port)
	if r.Role == cgi.Authorizer {
		set("FCGI_ROLE", "AUTHORIZER") // as libfcgi has it
	}
	if sent := env.Get("CONTENT_LENGTH"); length > 0 || sent != "" {
		set("CONTENT_LENGTH", strconv.FormatInt(length, 10))
	}
	return s
}

// hostPort returns the server's name and port as the Host header has them.
func hostPort(env *cgi.Environ) (host, port string) {
	host, port = env.Get("HTTP_HOST"), "80"
	switch strings.ToLower(env.Get("HTTPS")) {
	case "on", "1", "yes", "true":
		port = "443"
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i > strings.LastIndexByte(host, ']') {
		if n, err := strconv.ParseUint(host[i+1:], 10, 16); err == nil {
			port = strconv.FormatUint(n, 10)
		}
		host = host[:i]
	}
	if host == "" {
		host = "localhost"
	}
	return host, port
}

func find(s []setting, name string) bool {
	for i := range s {
		if s[i].name == name {
			return true
		}
	}
	return false
}

// names reports whether one of vars, "NAME=VALUE", sets name.
func names(vars []string, name string) bool {
	for _, v := range vars {
		if len(v) > len(name) && v[len(name)] == '=' && v[:len(name)] == name {
			return true
		}
	}
	return false
}
