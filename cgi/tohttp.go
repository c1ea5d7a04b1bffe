package cgi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sort"
	"strconv"
	"strings"
)

// ToHTTP makes an App an [http.Handler], with a Handler of its own and the default
// Limits; see [Handler.HTTP]. ToHTTP(FromHTTP(h)) is h itself.
func ToHTTP(a App) http.Handler {
	if f, ok := a.(*httpApp); ok {
		return f.handler
	}
	return &appHandler{handler: new(Handler), app: a, limits: Limits{}.WithDefaults(), bare: true}
}

// HTTP makes an App an [http.Handler] that runs it with h: the HTTP front-end, to be served
// by a [http.Server].
//
// The variables are those of RFC 3875 § 4.1, and REQUEST_URI, REQUEST_SCHEME,
// REMOTE_PORT and SERVER_ADDR. A path from which a [http.StripPrefix] has taken
// something has that as SCRIPT_NAME, which otherwise is empty. Header fields whose
// names hold a "_", Proxy, and the fields that concern the connection are left
// out; Authorization becomes HTTP_AUTHORIZATION.
//
// The path of a program has no dot segments: they are resolved, after slashes have been merged,
// as nginx and Apache do it, so that "/a/%2e%2e//b" is "/b". One that leads above the root, or
// above SCRIPT_NAME, gets 400, and so does a ".." behind an encoded slash. A path without dot
// segments stays as it is, and so does REQUEST_URI in any case.
//
// No application sees CONNECT, which gets 501, and TRACE, which gets 405.
//
// A connection ends with the response to a request that has Transfer-Encoding or is HTTP/1.0:
// net/http does not tell whether Content-Length stood beside it, and then what follows may not
// be a request (RFC 9112 § 6.1). What a http.Server responds to before it calls a handler, as
// to "OPTIONS *" without DisableGeneralOptionsHandler, and what a middleware responds to, is up
// to them.
//
// Of the limits l, ParamsBytes, ParamsCount, BodyBytes, BodyRead, BodyRate, Linger and
// Write apply; the rest is up to the http.Server. They set the deadlines of the connection, and so
// replace the server's ReadTimeout and WriteTimeout for the time of the request. They do not
// hold behind a middleware that wraps the ResponseWriter without an Unwrap method.
//
// A truncated response makes the handler panic with [http.ErrAbortHandler], so that the
// server closes the connection without a final chunk. nginx in front sees that only with
// "proxy_http_version 1.1": to HTTP/1.0 nothing is chunked, and the end of the connection is
// the end of the response.
//
// An application that is over a time limit of h is left on a goroutine of its own, which
// Shutdown of the http.Server does not wait for. With such a limit every application runs on
// one.
func (h *Handler) HTTP(a App, l Limits) http.Handler {
	return &appHandler{handler: h, app: a, limits: l.WithDefaults()}
}

type appHandler struct {
	handler *Handler
	app     App
	limits  Limits
	bare    bool // made by ToHTTP
}

// ServeHTTP implements http.Handler.
func (a *appHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r := &Request{
		ContentLength: req.ContentLength,
		Body:          http.NoBody,
		Role:          Responder,
		Multithread:   true,
		Paths:         PathKeep,
		Protocol:      "http",
		direct:        true,
	}
	source := &httpContext{parent: req.Context()}
	defer source.finish()
	r.SetContextSource(source)
	sink := &httpSink{w: w, control: http.NewResponseController(w), write: a.limits.Write,
		shared: req.ProtoMajor != 1, last: unreliable(req)}
	env, err := a.environ(req)
	r.Env = env
	if err == nil && req.ContentLength > a.limits.BodyBytes {
		err = tooLarge(a.limits.BodyBytes)
	}
	app := a.app
	switch {
	case req.Method == http.MethodConnect:
		app, sink.last = methodRefusal{code: http.StatusNotImplemented}, true
	case req.Method == http.MethodTrace:
		app = methodRefusal{http.StatusMethodNotAllowed, "GET, HEAD, POST, PUT, DELETE, OPTIONS"}
	case err != nil:
		app = refusal{err}
	}
	if req.Body != nil && req.Body != http.NoBody && req.ContentLength != 0 {
		// Without full duplex net/http would read the body, with no limit of time, before it sends
		// the head.
		_ = sink.control.EnableFullDuplex()
		sink.body = newHTTPBody(req.Body, sink.control, a.limits)
		sink.body.shared = req.ProtoMajor != 1
		source.body = sink.body
		defer sink.body.detach()
		r.Body = sink.body
	}
	if res, _ := a.handler.runUntilFinished(r, sink, app); res.End != Complete {
		panic(http.ErrAbortHandler)
	}
	if sink.body != nil {
		sink.body.drain(sink)
	}
}

func tooLarge(limit int64) error {
	return &StatusError{Code: http.StatusRequestEntityTooLarge,
		Err: fmt.Errorf("the body is longer than %d bytes (body_bytes)", limit), Check: "body_bytes"}
}

// environ makes the variables of a request. They are complete as far as they go
// even if it returns an error.
func (a *appHandler) environ(req *http.Request) (*Environ, error) {
	v := &variables{env: newEnviron(24 + len(req.Header))}
	scheme, port := "http", standardPort(req.TLS != nil)
	if req.TLS != nil {
		scheme = "https"
	}
	name, hostPort := splitHost(req.Host)
	local, _ := req.Context().Value(http.LocalAddrContextKey).(net.Addr)
	serverAddr, localPort := splitAddr(local)
	if hostPort != "" {
		port = hostPort
	}
	if localPort != "" {
		port = localPort
	}
	if name == "" {
		if name = bracketed(serverAddr); name == "" {
			name = "localhost"
		}
	}
	target := req.RequestURI
	if target == "" {
		target = req.URL.RequestURI()
	}
	script, info := splitTarget(target, req.URL.Path)
	info, err := resolveInfo(target, info)

	v.add("GATEWAY_INTERFACE", "CGI/1.1")
	v.add("SERVER_SOFTWARE", "gatehouse")
	v.add("SERVER_NAME", name)
	v.add("SERVER_PORT", port)
	v.add("SERVER_PROTOCOL", req.Proto)
	v.add("REQUEST_METHOD", requestMethod(req))
	v.add("REQUEST_SCHEME", scheme)
	v.add("REQUEST_URI", target)
	v.add("SCRIPT_NAME", script)
	v.add("PATH_INFO", info)
	v.add("QUERY_STRING", req.URL.RawQuery)
	if req.TLS != nil {
		v.add("HTTPS", "on")
	}
	if serverAddr != "" {
		v.add("SERVER_ADDR", serverAddr)
	}
	v.addRemote(req.RemoteAddr)
	if req.ContentLength > 0 {
		v.add("CONTENT_LENGTH", strconv.FormatInt(req.ContentLength, 10))
	}
	if t := req.Header.Get("Content-Type"); t != "" {
		v.add("CONTENT_TYPE", t)
	}
	if req.Host != "" {
		v.add("HTTP_HOST", req.Host)
	}
	v.addHeader(req.Header)
	return v.env, cmp.Or(err, v.check(a.limits))
}

func requestMethod(req *http.Request) string {
	if req.Method == "" {
		return http.MethodGet
	}
	return req.Method
}

// variables collects the variables of a request and their size.
type variables struct {
	env   *Environ
	bytes int
	err   error
}

func (v *variables) add(name, value string) {
	v.bytes += len(name) + len(value)
	if err := v.env.Add(name, value); err != nil && v.err == nil {
		v.err = &StatusError{Code: http.StatusBadRequest, Err: err, Check: "params"}
	}
}

func (v *variables) check(l Limits) error {
	const code = http.StatusRequestHeaderFieldsTooLarge
	switch {
	case v.err != nil:
		return v.err
	case v.env.Len() > l.ParamsCount:
		return &StatusError{Code: code, Err: fmt.Errorf("more than %d variables (params_count)", l.ParamsCount), Check: "params_count"}
	case v.bytes > l.ParamsBytes:
		return &StatusError{Code: code, Err: fmt.Errorf("more than %d bytes of variables (params_bytes)", l.ParamsBytes), Check: "params_bytes"}
	}
	return nil
}

// addRemote adds the variables of the client's address. Without one (a unix
// socket) REMOTE_ADDR is "unix:", as nginx has it.
func (v *variables) addRemote(addr string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		v.add("REMOTE_ADDR", "unix:")
		return
	}
	host = ip.Unmap().WithZone("").String()
	v.add("REMOTE_ADDR", host)
	v.add("REMOTE_HOST", host)
	if port != "" {
		v.add("REMOTE_PORT", port)
	}
}

// addHeader adds the HTTP_* variables, sorted by name.
func (v *variables) addHeader(header http.Header) {
	names := make([]string, 0, len(header))
	for name := range header {
		switch {
		case strings.Contains(name, "_"):
			// It would be taken for the field with a "-" in its place.
		case isConnectionField(name), name == "Proxy", name == "Host", name == "Content-Length", name == "Content-Type":
		default:
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		sep := ", "
		if name == "Cookie" {
			sep = "; "
		}
		v.add("HTTP_"+strings.ReplaceAll(strings.ToUpper(name), "-", "_"), strings.Join(header[name], sep))
	}
}

// splitTarget returns SCRIPT_NAME and PATH_INFO: path is the part of the
// request-target's path that is left to the application.
func splitTarget(target, path string) (script, info string) {
	if !strings.HasPrefix(path, "/") {
		if path == "*" || path == "" {
			return "", ""
		}
		path = "/" + path
	}
	whole := decodedPath(target)
	if prefix, ok := strings.CutSuffix(whole, path); ok && strings.HasPrefix(prefix, "/") {
		return strings.TrimSuffix(prefix, "/"), path
	}
	return "", path
}

// splitAddr returns the address and the port of a TCP address.
func splitAddr(a net.Addr) (ip, port string) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return "", ""
	}
	p := tcp.AddrPort()
	return p.Addr().Unmap().WithZone("").String(), strconv.Itoa(int(p.Port()))
}

func bracketed(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}

// An httpContext makes the context of a request when it is asked for: that of the
// http.Request, with ErrAborted as the cause when the client has gone.
type httpContext struct {
	parent context.Context
	body   *httpBody // nil if the request has none
	cancel context.CancelCauseFunc
	stop   func() bool
}

// RequestContext implements ContextSource.
func (c *httpContext) RequestContext() context.Context {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(c.parent))
	c.cancel = cancel
	c.stop = context.AfterFunc(c.parent, c.parentDone)
	return ctx
}

// parentDone passes on that net/http has cancelled its context.
func (c *httpContext) parentDone() {
	if c.body != nil && c.body.timedOut() {
		// It does so for any error of reading. A client that leaves after that is noticed
		// by writing.
		return
	}
	cause := context.Cause(c.parent)
	if errors.Is(cause, context.Canceled) {
		cause = ErrAborted
	}
	c.cancel(cause)
}

// finish cancels the context when the request is over.
func (c *httpContext) finish() {
	if c.cancel != nil {
		c.stop()
		c.cancel(context.Canceled)
	}
}
