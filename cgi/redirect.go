package cgi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// maxRedirects is how many local redirects a Redirector follows for one request.
const maxRedirects = 10

// A RedirectPolicy says who follows a local redirect (RFC 3875 § 6.2.2): a program's
// response that is nothing but a Location with a path.
type RedirectPolicy uint8

const (
	// RedirectAuto leaves it to the client, with a 302, where a web server is in front
	// (FastCGI, SCGI, CGI): that server knows who may see what is at the path, and the
	// gateway does not. Over HTTP the gateway follows it.
	RedirectAuto RedirectPolicy = iota
	// RedirectClient leaves it to the client everywhere.
	RedirectClient
	// RedirectInternal has the gateway follow it everywhere. It can reach whatever
	// applications the gateway has; the web server is not asked again.
	RedirectInternal
)

var redirectNames = [...]string{"auto", "client", "internal"}

// ParseRedirectPolicy returns the policy of the given name: auto, client or internal.
func ParseRedirectPolicy(name string) (RedirectPolicy, bool) {
	i := slices.Index(redirectNames[:], name)
	return RedirectPolicy(max(i, 0)), i >= 0
}

func (p RedirectPolicy) String() string {
	if int(p) < len(redirectNames) {
		return redirectNames[p]
	}
	return "unknown"
}

// A LocalRedirect is the error with which an application that has written nothing asks for
// the response that a GET request for Location would get. It may do so only if
// [Request.FollowsRedirects] reports true.
type LocalRedirect struct {
	Location string // "/path?query", as written in a URI
}

func (e *LocalRedirect) Error() string { return fmt.Sprintf("local redirect to %.200q", e.Location) }

// FollowsRedirects reports whether a [Redirector] wraps the application, and the policy lets
// it follow local redirects of this request.
func (r *Request) FollowsRedirects(p RedirectPolicy) bool {
	return r.redirector && (p == RedirectInternal || p == RedirectAuto && r.direct)
}

// A Redirector follows the local redirects of an application (RFC 3875 § 6.2.2), which asks
// for that with the error [LocalRedirect]. It wraps a [Mux], so that a redirect can lead to
// any application that is mounted there.
//
// The redirected request is a GET without a body, for the path and the query of the
// Location, with "." and ".." resolved. CONTENT_LENGTH and CONTENT_TYPE are gone, and so are
// SCRIPT_FILENAME and PATH_TRANSLATED, which named what was at the first path; REQUEST_URI
// stays that of the client. As with Apache, the variables of the first request, except the
// client's password, are there with the prefix REDIRECT_; REDIRECT_URL is the first path,
// and REDIRECT_STATUS is 200. After a second redirect those of the first have the prefix
// REDIRECT_REDIRECT_; earlier ones are dropped.
//
// It follows up to 10 redirects for one request. One more gets a response of 500.
type Redirector struct {
	App App
}

// Unwrap returns App, for [Mounts].
func (d *Redirector) Unwrap() App { return d.App }

// ServeCGI implements App.
func (d *Redirector) ServeCGI(w ResponseWriter, r *Request) error {
	if r.Role != 0 && r.Role != Responder {
		return d.App.ServeCGI(w, r)
	}
	r.redirector = true
	err := d.App.ServeCGI(w, r)
	for n, current := 0, r; err != nil; n++ {
		var to *LocalRedirect
		if !errors.As(err, &to) || HeadersSent(w) {
			return err
		}
		if n == maxRedirects {
			return &StatusError{Code: http.StatusInternalServerError, Err: fmt.Errorf("more than %d local redirects: %w", maxRedirects, err)}
		}
		next, rerr := current.redirected(to.Location)
		if rerr != nil {
			return &StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%w: %w", err, rerr)}
		}
		err = d.App.ServeCGI(w, next)
		r.Script, current = next.Script, next
	}
	return err
}

// redirected returns the request that a local redirect makes of r, which stays as it
// is for the log.
func (r *Request) redirected(location string) (*Request, error) {
	target, _, _ := strings.Cut(location, "#")
	path, query, _ := strings.Cut(target, "?")
	path = syntax.Unescape(path)
	switch {
	case !strings.HasPrefix(path, "/"):
		return nil, errors.New("it does not begin with a slash")
	case strings.IndexByte(path, 0) >= 0 || strings.IndexByte(query, 0) >= 0:
		return nil, ErrNUL
	}
	path = resolveDots(path)
	next := *r
	next.SetContext(r.Context()) // of which there is one for both
	next.Env = r.Env.redirected(r.FullPath(), path, query)
	next.Body, next.ContentLength = http.NoBody, 0
	next.sent, next.mount, next.Script = sentPath{}, mountPoint{}, ""
	next.Paths = PathKeep // REQUEST_URI is not that of this path
	return &next, nil
}

// redirected returns the variables of a request that comes from a local redirect at
// the path from.
func (e *Environ) redirected(from, path, query string) *Environ {
	env := newEnviron(2 * e.Len())
	add := func(name, value string) { // which is not there yet
		env.mark(name)
		env.pairs.append(name, value)
	}
	for name, value := range e.All() {
		if !strings.HasPrefix(name, "REDIRECT_") && !droppedAtRedirect(name) {
			add(name, value)
		}
	}
	env.Set("REQUEST_METHOD", http.MethodGet)
	env.Set("SCRIPT_NAME", "")
	env.Set("PATH_INFO", path)
	env.Set("QUERY_STRING", query)
	if _, ok := e.Lookup("DOCUMENT_URI"); ok {
		env.Set("DOCUMENT_URI", path)
	}
	for name, value := range e.All() {
		switch {
		case strings.HasPrefix(name, "REDIRECT_REDIRECT_"):
		case name == "HTTP_AUTHORIZATION", name == "HTTP_PROXY_AUTHORIZATION", name == "AUTH_PASSWORD", name == "HTTP_PROXY":
		default:
			add("REDIRECT_"+name, value)
		}
	}
	env.Set("REDIRECT_URL", from)
	env.Set("REDIRECT_STATUS", "200")
	env.scheme = e.scheme
	return env
}

// droppedAtRedirect reports whether a variable describes only the request that was
// redirected: its body, or what is at its path.
func droppedAtRedirect(name string) bool {
	switch name {
	case "CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_ENCODING",
		"HTTP_TRANSFER_ENCODING", "HTTP_TRAILER", "HTTP_EXPECT",
		"SCRIPT_FILENAME", "PATH_TRANSLATED", "DOCUMENT_URI", "SCRIPT_URL", "SCRIPT_URI":
		return true
	}
	return false
}

// resolveDots removes the segments "." and ".." of a path that begins with a slash, as
// a client does before it asks for it (RFC 3986 § 5.2.4).
func resolveDots(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	segments := strings.Split(path[1:], "/")
	kept := segments[:0]
	for i, s := range segments {
		dots := s == "." || s == ".."
		if s == ".." && len(kept) > 0 {
			kept = kept[:len(kept)-1]
		}
		if !dots {
			kept = append(kept, s)
		} else if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}
