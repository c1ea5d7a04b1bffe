package fastcgi

import (
	"net"
	"net/http"

	"gatehouse/cgi"
)

// Serve serves the requests of l's connections with h, as net/http/fcgi's Serve
// does. It returns when accepting fails.
func Serve(l net.Listener, h http.Handler) error {
	s := &Server{App: cgi.FromHTTP(h)}
	defer s.Close()
	return s.Serve(l)
}
