package gatehouse

import (
	"net/http"

	"gatehouse/internal/forwarded"
)

// behind returns a request as an application is to see it, with the address and the scheme of
// the client if a trusted proxy has sent it. It responds itself to one whose fields disagree,
// and then returns nil.
func (s *httpServer) behind(proxies *forwarded.Proxies, w http.ResponseWriter, r *http.Request) *http.Request {
	if proxies.None() || s.module != nil && s.module.HasToken() { // whose word is better
		return r
	}
	seen, origin, err := proxies.Request(r)
	for _, ignored := range origin.Ignored {
		s.acceptor.Warn("field of a trusted proxy ignored", "peer", r.RemoteAddr, "error", ignored.Error())
	}
	if err != nil {
		s.acceptor.Warn("request refused", "peer", r.RemoteAddr, "error", err.Error())
		w.Header().Set("Connection", "close") // its body is not read
		http.Error(w, "400 Bad Request: "+err.Error(), http.StatusBadRequest)
		return nil
	}
	return seen
}

// proxies returns the reverse proxies that s trusts.
func (s *Server) proxies() forwarded.Proxies {
	return forwarded.Proxies{Networks: s.TrustedProxies, Unix: s.TrustUnixProxies}
}
