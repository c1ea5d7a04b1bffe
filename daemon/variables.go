package daemon

import (
	"fmt"
	"net/url"
	"strings"

	"gatehouse/cgi"
)

// A Front is the web server that is assumed to send an explained request.
type Front string

// The web servers, with the configuration of their packages.
const (
	FrontNginx  Front = "nginx"  // include fastcgi_params; fastcgi_pass
	FrontApache Front = "apache" // ProxyPass to fcgi://
	FrontIIS    Front = "iis"    // the FastCGI module, with a handler mapping for path="*"
)

// Variables returns what a web server sends for a GET request for target, a URL or its
// path. If f is empty, it is FrontNginx.
func (f Front) Variables(target string) (*cgi.Environ, error) {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is not a URL: write one such as http://localhost/cgi-bin/a.cgi?x=1, or its path", target)
	case u.Host == "" && !strings.HasPrefix(target, "/"):
		return nil, fmt.Errorf("%q has no host and is not a path: write a URL such as http://localhost/cgi-bin/a.cgi?x=1, or its path", target)
	case u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q: the scheme %q is neither http nor https", target, u.Scheme)
	}
	path, ok := cleanPath(u.Path)
	if !ok {
		return nil, fmt.Errorf("%q leads out of the root by \"..\": a web server itself responds with 400", target)
	}
	raw := u.EscapedPath()
	if raw == "" {
		raw = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		raw += "?" + u.RawQuery
	}
	host := u.Host
	if host == "" {
		host = "localhost"
	}
	name, port, scheme := host, "80", "http"
	if u.Hostname() != "" {
		name = strings.TrimSuffix(host, ":"+u.Port())
	}
	env := new(cgi.Environ)
	if u.Scheme == "https" {
		port, scheme = "443", "https"
	}
	if p := u.Port(); p != "" {
		port = p
	}
	set := func(pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			env.Set(pairs[i], pairs[i+1])
		}
	}
	switch f {
	case FrontApache:
		set("GATEWAY_INTERFACE", "CGI/1.1", "SERVER_PROTOCOL", "HTTP/1.1", "REQUEST_METHOD", "GET", "QUERY_STRING", u.RawQuery,
			"REQUEST_URI", raw, "SCRIPT_NAME", path, "SCRIPT_FILENAME", "proxy:fcgi://localhost"+path,
			"HTTP_HOST", host, "SERVER_SOFTWARE", "Apache", "SERVER_NAME", name, "SERVER_ADDR", "127.0.0.1", "SERVER_PORT", port,
			"REMOTE_ADDR", "127.0.0.1", "DOCUMENT_ROOT", "/var/www/html", "REQUEST_SCHEME", scheme, "CONTEXT_PREFIX", "",
			"CONTEXT_DOCUMENT_ROOT", "/var/www/html", "SERVER_ADMIN", "webmaster@localhost", "REMOTE_PORT", "50000", "SERVER_SIGNATURE", "")
	case FrontIIS:
		set("REQUEST_METHOD", "GET", "SCRIPT_NAME", path, "PATH_INFO", path, "URL", path, "REQUEST_URI", raw, "QUERY_STRING", u.RawQuery,
			"CONTENT_LENGTH", "0", "CONTENT_TYPE", "", "AUTH_TYPE", "", "AUTH_USER", "", "AUTH_PASSWORD", "", "LOGON_USER", "", "REMOTE_USER", "",
			"CERT_FLAGS", "", "CERT_ISSUER", "", "CERT_SUBJECT", "", "GATEWAY_INTERFACE", "CGI/1.1", "SERVER_PROTOCOL", "HTTP/1.1",
			"SERVER_SOFTWARE", "Microsoft-IIS/10.0", "SERVER_NAME", name, "SERVER_PORT", port, "SERVER_PORT_SECURE", "0",
			"HTTPS", "off", "REMOTE_ADDR", "127.0.0.1", "REMOTE_HOST", "127.0.0.1", "REMOTE_PORT", "50000", "HTTP_HOST", host)
	default:
		set("QUERY_STRING", u.RawQuery, "REQUEST_METHOD", "GET", "CONTENT_TYPE", "", "CONTENT_LENGTH", "",
			"SCRIPT_NAME", path, "REQUEST_URI", raw, "DOCUMENT_URI", path, "DOCUMENT_ROOT", "/var/www/html",
			"SERVER_PROTOCOL", "HTTP/1.1", "REQUEST_SCHEME", scheme, "GATEWAY_INTERFACE", "CGI/1.1", "SERVER_SOFTWARE", "nginx",
			"REMOTE_ADDR", "127.0.0.1", "REMOTE_PORT", "50000", "REMOTE_USER", "", "SERVER_ADDR", "127.0.0.1", "SERVER_PORT", port,
			"SERVER_NAME", name, "REDIRECT_STATUS", "200", "HTTP_HOST", host)
	}
	if scheme == "https" {
		env.Set("HTTPS", "on")
		if f == FrontIIS {
			env.Set("SERVER_PORT_SECURE", "1")
		}
	}
	return env, nil
}

// SetParams adds variables to env or replaces them, each as "NAME=VALUE". A name that is
// given twice is as if a web server sent it twice.
func SetParams(env *cgi.Environ, params []string) error {
	given := make(map[string]bool)
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		if !given[name] {
			env.Set(name, value)
		} else if err := env.Add(name, value); err != nil {
			return err
		}
		given[name] = true
	}
	return nil
}

// cleanPath returns a decoded path as web servers pass it on, without ".", ".." and empty
// segments. ok is false if it leads out of the root.
func cleanPath(path string) (s string, ok bool) {
	var kept []string
	segments := strings.Split(path, "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "..":
			if len(kept) == 0 {
				return "", false
			}
			kept = kept[:len(kept)-1]
		case s != "" && s != ".":
			kept = append(kept, s)
			continue
		}
		if last && len(kept) > 0 {
			return "/" + strings.Join(kept, "/") + "/", true
		}
	}
	return "/" + strings.Join(kept, "/"), true
}
