package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"gatehouse/cgi"
	"gatehouse/internal/forwarded"
)

// FrontProxy is a reverse proxy that passes requests on over HTTP, with X-Forwarded-For and
// X-Forwarded-Proto.
const FrontProxy Front = "proxy"

// Where a request of FrontProxy comes from, unless the question says otherwise.
const (
	proxyAddr  = "127.0.0.1"
	clientAddr = "192.0.2.1"
)

// proxied returns the variables of a request that a reverse proxy sends over HTTP. It adds to
// the answer what the proxy says of the client, and what counts. There are none if the answer
// has a fault.
func (c *Config) proxied(q Question, a *Answer) (*cgi.Environ, error) {
	r, rest, err := q.request()
	if err != nil {
		return nil, err
	}
	peer := r.RemoteAddr
	proxies := forwarded.Proxies{Networks: c.TrustedProxies, Unix: c.TrustUnixProxies}
	seen, origin, err := proxies.Request(r)
	for _, ignored := range origin.Ignored {
		a.Notes = append(a.Notes, "ignored: "+ignored.Error())
	}
	if err != nil {
		a.Fault = &Fault{Detail: err.Error(), Status: http.StatusBadRequest, Line: err.Error()}
		return nil, nil
	}
	a.Client, a.Scheme = origins(origin, peer, proxies)
	env, status := variablesOf(seen)
	if env == nil {
		text := "the request is refused over HTTP, before an application sees it"
		a.Fault = &Fault{Detail: text, Status: status, Line: text}
		return nil, nil
	}
	return env, SetParams(env, rest)
}

// request returns the HTTP request that a question asks for, and the variables that are none of
// its fields.
func (q Question) request() (r *http.Request, rest []string, err error) {
	env, err := FrontNginx.Variables(q.Target)
	if err != nil {
		return nil, nil, err
	}
	target := env.Get("REQUEST_URI")
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, nil, fmt.Errorf("%q is not a URL: %w", q.Target, err)
	}
	r = &http.Request{Method: http.MethodGet, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Host: env.Get("HTTP_HOST"), Body: http.NoBody}
	peer := proxyAddr
	for _, p := range q.Params {
		name, value, _ := strings.Cut(p, "=")
		field, isField := strings.CutPrefix(name, "HTTP_")
		switch {
		case name == "HTTP_HOST":
			r.Host = value
		case name == "REQUEST_METHOD":
			r.Method = value
		case name == "REMOTE_ADDR":
			peer = value
		case isField:
			r.Header.Add(strings.ReplaceAll(field, "_", "-"), value)
		default:
			rest = append(rest, p)
		}
	}
	if r.Header[forwarded.For] == nil && r.Header[forwarded.Proto] == nil && r.Header[forwarded.Forwarded] == nil {
		r.Header.Set(forwarded.For, clientAddr)
		r.Header.Set(forwarded.Proto, env.Get("REQUEST_SCHEME"))
	}
	var local net.Addr = &net.UnixAddr{Name: "/run/gatehouse/http.sock", Net: "unix"}
	r.RemoteAddr = "@"
	if ip, err := netip.ParseAddr(peer); err == nil {
		r.RemoteAddr, local = netip.AddrPortFrom(ip, 50000).String(), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	} else if !strings.HasPrefix(peer, "unix:") {
		return nil, nil, fmt.Errorf("REMOTE_ADDR is %q: write the address of the proxy, or unix: for one on a unix socket", peer)
	}
	return r.WithContext(context.WithValue(context.Background(), http.LocalAddrContextKey, local)), rest, nil
}

// origins says which source has decided the address of the client, and the scheme.
func origins(o forwarded.Origin, peer string, proxies forwarded.Proxies) (client, scheme string) {
	proxy, key, trusted := "a trusted proxy on a unix socket", "unix", proxies.Unix
	client = "unix:"
	if ap, err := netip.ParseAddrPort(peer); err == nil {
		client = ap.Addr().String()
		proxy, key, trusted = "the trusted proxy "+client, client, proxies.Trusts(ap.Addr())
	}
	why := proxy + " does not say it"
	if !trusted {
		why = key + " is not in trusted_proxies"
	}
	client += " (the peer; " + why + ")"
	if o.Client.IsValid() {
		client = fmt.Sprintf("%s (%s of %s)", o.Client, o.ClientFrom, proxy)
	}
	scheme = "http (the connection; " + why + ")"
	if o.Scheme != "" {
		scheme = fmt.Sprintf("%s (%s of %s)", o.Scheme, o.SchemeFrom, proxy)
	}
	return client, scheme
}

// variablesOf returns the variables that an application gets for a request over HTTP, or the
// status of the response if it does not get it.
func variablesOf(r *http.Request) (env *cgi.Environ, status int) {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		env = r.Env.Clone()
		return w.StartResponse("204 No Content", nil)
	})
	w := &statusWriter{header: make(http.Header)}
	(&cgi.Handler{Log: slog.New(slog.DiscardHandler)}).HTTP(app, cgi.Limits{}).ServeHTTP(w, r)
	return env, w.status
}

// A statusWriter keeps the status of a response, and nothing else.
type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header         { return w.header }
func (w *statusWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *statusWriter) WriteHeader(status int)      { w.status = status }
