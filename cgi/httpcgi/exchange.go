package httpcgi

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"gatehouse/cgi"
)

// An exchange is a request to a Handler, as an App: first the program serves it and then, if
// that asks for another path, PathLocationHandler.
type exchange struct {
	h       *Handler
	request *http.Request
	ran     bool // the program has run
}

// ServeCGI implements cgi.App. The cgi.Redirector calls it again with the request that a
// local redirect makes.
func (x *exchange) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if x.ran {
		return x.follow(w, r)
	}
	x.ran = true
	if err := x.h.check(); err != nil {
		return err
	}
	r.Env.Set("SERVER_SOFTWARE", "go")
	x.h.mount(r.Env)
	return x.h.programs.ServeCGI(w, r)
}

// mount divides the path at Root. SCRIPT_NAME is what a http.StripPrefix in front has taken,
// which may be Root itself.
func (h *Handler) mount(env *cgi.Environ) {
	root := strings.TrimRight(h.Root, "/")
	stripped, path := env.Get("SCRIPT_NAME"), env.Get("PATH_INFO")
	script, info := root, path
	if rest, ok := below(path, root); ok {
		script, info = stripped+root, rest
	} else if rest, ok := below(stripped+path, root); ok {
		info = rest
	}
	env.Set("SCRIPT_NAME", script)
	env.Set("PATH_INFO", info)
}

// below returns what is left of a path below root, which has no slash at its end.
func below(path, root string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, root)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// maxRedirects is how many local redirects may follow each other. They need not lead to this
// Handler: the context of the request counts them.
const maxRedirects = 10

// redirects is the key of a context for the number of redirects that led to a request.
type redirects struct{}

// follow has PathLocationHandler respond to r, which a local redirect has made.
func (x *exchange) follow(w cgi.ResponseWriter, r *cgi.Request) error {
	n, _ := x.request.Context().Value(redirects{}).(int)
	if n == maxRedirects {
		return &cgi.StatusError{Code: http.StatusInternalServerError,
			Err: fmt.Errorf("more than %d local redirects, the last one to %.200q: programs redirect to each other", maxRedirects, r.Env.Get("PATH_INFO"))}
	}
	return cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, made *http.Request) {
		x.h.PathLocationHandler.ServeHTTP(w, x.redirected(made, n+1))
	})).ServeCGI(w, r)
}

// redirected completes the n-th request that a local redirect has made with what the
// variables do not tell of the first one.
func (x *exchange) redirected(made *http.Request, n int) *http.Request {
	first := x.request
	r := made.WithContext(context.WithValue(made.Context(), redirects{}, n))
	r.RequestURI = r.URL.RequestURI()
	r.Host, r.RemoteAddr, r.TLS = first.Host, first.RemoteAddr, first.TLS
	r.Header = first.Header.Clone()
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "Content-") {
			delete(r.Header, name)
		}
	}
	for _, name := range []string{"Transfer-Encoding", "Trailer", "Expect"} {
		r.Header.Del(name)
	}
	return r
}
