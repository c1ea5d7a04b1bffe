package fastcgi

import (
	"context"
	"net"
	"net/http"

	"gatehouse/cgi"
)

// Serve serves the requests of l's connections with h, as net/http/fcgi's Serve
// does. When accepting fails, as it does once l is closed, it returns after the
// requests in flight have ended.
func Serve(l net.Listener, h http.Handler) error {
	s := &Server{App: cgi.FromHTTP(h)}
	err := s.Serve(l)
	s.Shutdown(context.Background())
	return err
}
