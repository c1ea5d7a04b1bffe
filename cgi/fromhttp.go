package cgi

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"gatehouse/cgi/internal/syntax"
)

// FromHTTP makes an [http.Handler] an App. If h is nil, it is
// [http.DefaultServeMux]. FromHTTP(ToHTTP(a)) is a itself.
//
// The handler gets what it would get from a [http.Server], as far as the CGI
// variables tell it:
//
//   - URL.Path is [Request.FullPath], mount point included; [ScriptName] returns the
//     mount point. RawPath is set where REQUEST_URI spells the same path in another way, so
//     that EscapedPath keeps "%2F". URL.RawQuery is [Request.RawQuery].
//   - Header has the HTTP_* variables, but never Proxy; Content-Type and
//     Content-Length come from their own variables. A "_" in a name reads "-".
//   - RemoteAddr is "address:port", or REMOTE_ADDR itself if that is not an IP address.
//     TLS is not nil if [Environ.IsHTTPS] reports true; of its fields at most
//     HandshakeComplete, Version and ServerName are set.
//   - ContentLength is -1 if the length is not known; the end of Body is then its
//     length.
//   - Context carries all variables: see [Env].
//
// Variables that make no valid request (a method that is not a token, a control character
// in a header field) get a response of 400.
//
// The ResponseWriter behaves as net/http's: the status is 200 unless WriteHeader was called,
// flushing and deadlines work through [http.ResponseController] as far as the front-end has
// them, and a panic with [http.ErrAbortHandler] breaks the response off. A missing
// Content-Type is guessed, by [http.DetectContentType], from what is held of the body when
// the head leaves: all that was written until the first Flush, the end, or 16 KiB; net/http
// looks at the first Write alone.
//
// Trailers are dropped, informational responses are sent only where the protocol has them,
// and Hijack is [http.ErrNotSupported]. A header field whose name is no token is dropped, as
// net/http does, and so is Status, which means something else in CGI; the request's log has
// one line that names them. A control character in a value, which net/http would silently
// mend, is an error (see [ResponseWriter]). A goroutine that the handler leaves behind gets
// errors from the writer and from the body.
func FromHTTP(h http.Handler) App {
	if h == nil {
		h = http.DefaultServeMux
	}
	if t, ok := h.(*appHandler); ok && t.bare {
		return t.app
	}
	return &httpApp{h}
}

type httpApp struct{ handler http.Handler }

// ServeCGI implements App.
func (a *httpApp) ServeCGI(w ResponseWriter, r *Request) error {
	x := new(exchange)
	if err := x.makeRequest(w, r); err != nil {
		return &StatusError{Code: http.StatusBadRequest, Err: err}
	}
	defer x.detach()
	a.handler.ServeHTTP(&x.writer, x.request)
	x.body.detach() // a Write that a goroutine has left behind may wait for the body
	return x.writer.finishHead()
}

// An exchange is one request to a http.Handler, and its response. It is never pooled:
// goroutines that the handler left behind may still hold it.
type exchange struct {
	request    *http.Request
	url        url.URL
	ctx        exchangeContext
	body       handlerBody
	writer     handlerWriter
	scriptName string

	envMu sync.Mutex
	env   *Environ // nil once the handler has returned
	from  *Request // whose env it is
}

// noRequest is what every http.Request is a copy of: one allocation gives it its
// context.
var noRequest http.Request

// makeRequest makes the http.Request.
func (x *exchange) makeRequest(w ResponseWriter, r *Request) error {
	env := r.Env
	method := env.Get("REQUEST_METHOD")
	if !syntax.IsToken(method) {
		return fmt.Errorf("REQUEST_METHOD %.40q is not a method", method)
	}
	x.writer.attach(w, r)
	x.env, x.from = env, r
	x.ctx.attach(x, r)

	https := env.IsHTTPS()
	req := noRequest.WithContext(&x.ctx)
	x.request = req
	req.Method = method
	req.Host = host(env, https)
	req.URL = &x.url
	req.RequestURI = env.Get("REQUEST_URI")
	req.RemoteAddr = remoteAddr(env)
	req.ContentLength = r.ContentLength
	req.Body = http.NoBody
	req.Proto, req.ProtoMajor, req.ProtoMinor = protocol(env.Get("SERVER_PROTOCOL"))
	x.setURL(r, req.RequestURI)
	if req.RequestURI == "" {
		req.RequestURI = x.url.RequestURI()
	}
	var err error
	if req.Header, err = requestHeader(r); err != nil {
		return err
	}
	if https {
		req.TLS = connectionState(env)
	}
	if r.ContentLength != 0 {
		x.body.request = r
		req.Body = &x.body
		if r.ContentLength < 0 && isChunked(env) {
			req.TransferEncoding = []string{"chunked"}
		}
	}
	return nil
}

// detach releases everything that is not the handler's own.
func (x *exchange) detach() {
	x.body.detach()
	x.writer.detach()
	x.ctx.detach()
	x.envMu.Lock()
	x.env, x.from = nil, nil
	x.envMu.Unlock()
	if f := x.request.MultipartForm; f != nil {
		f.RemoveAll()
	}
}

// setURL sets the URL of the request, and the mount point.
func (x *exchange) setURL(r *Request, target string) {
	settled := r.settlePath()
	path, script := settled.path, settled.mount
	if r.RunOnce && !r.sent.split {
		// The web server has started a program that is at SCRIPT_NAME, whole path or not.
		if s := r.Env.Get("SCRIPT_NAME"); r.Paths != PathRequest || hasPrefix(path, s) {
			script = s
		}
	}
	if path == "" {
		path = "/"
	}
	x.url.Path, x.scriptName = path, script
	x.url.RawQuery = r.RawQuery()
	raw := rawPath(target)
	if raw == path && strings.IndexByte(raw, '%') < 0 {
		return
	}
	for _, raw := range spellings(raw) {
		switch {
		case syntax.Unescape(raw) == path:
		case unescapeButSlash(raw) == path:
			// Apache has left "%2F" in the path, which alone tells it from a slash.
			x.url.Path = syntax.Unescape(raw)
			x.scriptName = syntax.Unescape(rawPrefix(raw, script))
		default:
			continue
		}
		if raw != x.url.Path && x.url.EscapedPath() != raw {
			x.url.RawPath = raw
		}
		return
	}
}

// rawPrefix returns how a path that is not decoded begins where that is prefix once it is
// decoded except "%2F".
func rawPrefix(raw, prefix string) string {
	for i := range len(raw) + 1 {
		if (i == len(raw) || raw[i] == '/') && unescapeButSlash(raw[:i]) == prefix {
			return raw[:i]
		}
	}
	return prefix
}

// remoteAddr returns REMOTE_ADDR with REMOTE_PORT, in the form that
// net.SplitHostPort takes if it is an IP address.
func remoteAddr(env *Environ) string {
	addr := env.Get("REMOTE_ADDR")
	ip := strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
	if _, err := netip.ParseAddr(ip); err != nil {
		return addr
	}
	port := env.Get("REMOTE_PORT")
	if port == "" {
		port = "0"
	}
	return net.JoinHostPort(ip, port)
}

// protocol reads SERVER_PROTOCOL. "HTTP/2" and "HTTP/3" have no minor version;
// INCLUDED counts as HTTP/1.0 (RFC 3875 § 4.1.16), and so does what is no version.
func protocol(s string) (proto string, major, minor int) {
	switch s {
	case "HTTP/1.1":
		return s, 1, 1
	case "HTTP/1.0":
		return s, 1, 0
	}
	s = strings.ToUpper(s)
	if major, minor, ok := http.ParseHTTPVersion(s); ok {
		return s, major, minor
	}
	if rest, ok := strings.CutPrefix(s, "HTTP/"); ok && len(rest) == 1 && syntax.IsDigit(rest[0]) {
		return s + ".0", int(rest[0] - '0'), 0
	}
	return "HTTP/1.0", 1, 0
}

// connectionState returns what mod_ssl's variables, where they are set, say about the
// client's connection.
func connectionState(env *Environ) *tls.ConnectionState {
	s := &tls.ConnectionState{HandshakeComplete: true, ServerName: env.Get("SSL_TLS_SNI")}
	switch env.Get("SSL_PROTOCOL") {
	case "TLSv1":
		s.Version = tls.VersionTLS10
	case "TLSv1.1":
		s.Version = tls.VersionTLS11
	case "TLSv1.2":
		s.Version = tls.VersionTLS12
	case "TLSv1.3":
		s.Version = tls.VersionTLS13
	}
	return s
}
