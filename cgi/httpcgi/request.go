package httpcgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"gatehouse/cgi"
)

// Serve serves the request that this process was started for, as [cgi.Serve] does.
func Serve(handler http.Handler) error { return cgi.Serve(handler) }

// Request returns the request that this process was started for, with standard input as its
// Body: as much of it as CONTENT_LENGTH says. Body is never nil, and reports a body that ends
// before its length as io.ErrUnexpectedEOF. See [RequestFromMap] for the rest.
//
// The error is [cgi.ErrNotCGI] in a process that no web server started.
func Request() (*http.Request, error) {
	env := cgi.ReadEnviron()
	if env.Get("REQUEST_METHOD") == "" {
		return nil, cgi.ErrNotCGI
	}
	r, err := newRequest(env)
	if err != nil {
		return nil, err
	}
	r.Body = http.NoBody
	if r.ContentLength > 0 {
		r.Body = io.NopCloser(&body{os.Stdin, r.ContentLength})
	}
	return r, nil
}

// RequestFromMap makes an http.Request of CGI variables. Its Body is nil.
//
// The URL is REQUEST_URI, or without that SCRIPT_NAME, PATH_INFO and QUERY_STRING. It is
// absolute if HTTP_HOST is set; RequestURI is empty, so that an http.Client can send the
// request on. TLS is not nil if [cgi.Environ.IsHTTPS] reports true. A negative CONTENT_LENGTH
// is a ContentLength of -1. Everything else is as in [cgi.FromHTTP].
//
// It returns an error without REQUEST_METHOD, for variables that make no valid request, and
// for a CONTENT_LENGTH that is no number.
func RequestFromMap(params map[string]string) (*http.Request, error) {
	if params["REQUEST_METHOD"] == "" {
		return nil, errors.New("httpcgi: REQUEST_METHOD is not set: no request is known without it")
	}
	env := cgi.NewEnviron()
	for name, value := range params {
		env.Set(name, value)
	}
	return newRequest(env)
}

// newRequest makes the request of the variables.
func newRequest(env *cgi.Environ) (*http.Request, error) {
	length, err := contentLength(env.Get("CONTENT_LENGTH"))
	if err != nil {
		return nil, err
	}
	var r *http.Request
	app := cgi.FromHTTP(http.HandlerFunc(func(_ http.ResponseWriter, made *http.Request) {
		r = made.Clone(context.Background()) // made is gone when this returns
	}))
	if err := app.ServeCGI(noResponse{}, &cgi.Request{Env: env, ContentLength: length, Paths: cgi.PathRequest}); err != nil {
		return nil, fmt.Errorf("httpcgi: %w", err)
	}
	if p := env.Get("SERVER_PROTOCOL"); p == "INCLUDED" { // RFC 3875 § 4.1.16
		r.Proto = p
	}
	if host := env.Get("HTTP_HOST"); host != "" && isHost(host) {
		r.URL.Scheme, r.URL.Host = "http", host
		if r.TLS != nil {
			r.URL.Scheme = "https"
		}
	}
	r.Host = env.Get("HTTP_HOST")
	r.RequestURI, r.Body = "", nil
	r.Close, r.Trailer = true, make(http.Header)
	return r, nil
}

// contentLength reads CONTENT_LENGTH: -1 if it is negative, as Caddy sends it for a body of
// unknown length, and 0 if it is empty.
func contentLength(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("httpcgi: CONTENT_LENGTH %.40q is no number", s)
	}
	return max(n, -1), nil
}

// isHost reports whether an URL may have the host.
func isHost(host string) bool {
	u, err := url.Parse("http://" + host + "/")
	return err == nil && u.Host == host
}

// A body is what is left of a request's body on a reader that may go on behind it.
type body struct {
	r    io.Reader
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = fmt.Errorf("the body ended %d bytes before its length: %w", b.left, io.ErrUnexpectedEOF)
	}
	return n, err
}

// noResponse is the response to a request that is only made.
type noResponse struct{}

func (noResponse) StartResponse(string, []cgi.Field) error { return nil }
func (noResponse) Write(p []byte) (int, error)             { return len(p), nil }
func (noResponse) Flush() error                            { return nil }
