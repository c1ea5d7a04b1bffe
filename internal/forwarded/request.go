package forwarded

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"strconv"
)

// Request returns r as an application is to see it, and what has come from trusted proxies; r
// itself if its peer is none, or has sent no field. It does not change r.
//
// RemoteAddr is the client's, without a port where that is not known. Where the scheme is
// known, TLS says which it is, and the port of http.LocalAddrContextKey is that which the
// client connected to: that of Host, or the standard one.
func (p Proxies) Request(r *http.Request) (*http.Request, Origin, error) {
	if p.None() || r.Header[For] == nil && r.Header[Proto] == nil && r.Header[Forwarded] == nil || !p.sent(r) {
		return r, Origin{}, nil
	}
	o, err := p.Origin(r.Header)
	if err != nil || !o.Client.IsValid() && o.Scheme == "" {
		return r, o, err
	}
	ctx := r.Context()
	if local, ok := localAddr(r).(*net.TCPAddr); ok && o.Scheme != "" {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, &net.TCPAddr{IP: local.IP, Port: publicPort(r.Host, o.Scheme), Zone: local.Zone})
	}
	seen := r.WithContext(ctx)
	if o.Client.IsValid() {
		seen.RemoteAddr = o.Client.String()
		if o.Port != 0 {
			seen.RemoteAddr = netip.AddrPortFrom(o.Client, o.Port).String()
		}
	}
	switch {
	case o.Scheme == "http":
		seen.TLS = nil
	case o.Scheme == "https" && r.TLS == nil:
		seen.TLS = new(tls.ConnectionState) // of which the proxy knows more
	}
	return seen, o, nil
}

// sent reports whether a trusted proxy has sent r.
func (p Proxies) sent(r *http.Request) bool {
	if _, ok := localAddr(r).(*net.UnixAddr); ok {
		return p.Unix
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && p.Trusts(peer.Addr())
}

func localAddr(r *http.Request) net.Addr {
	a, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return a
}

// publicPort returns the port that the client has connected to.
func publicPort(host, scheme string) int {
	if _, port, err := net.SplitHostPort(host); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
			return int(n)
		}
	}
	if scheme == "https" {
		return 443
	}
	return 80
}
