// Package gatehouse makes a Go program an application behind any web server,
// however it was started.
//
//	func main() {
//		err := gatehouse.Serve(context.Background(), http.HandlerFunc(page))
//		…
//	}
//
// This one binary is a FastCGI application under spawn-fcgi, Apache's mod_fcgid
// or systemd, a CGI program in a cgi-bin directory, an SCGI service of inetd, and
// an HTTP server on a developer's machine. A [Server] takes a [cgi.App] in place of
// an http.Handler, and has limits and a log.
//
// # How it was started
//
// The first of these that holds decides:
//
//  1. Descriptor 0 is a listening socket: FastCGI (FastCGI 1.0 § 2.2).
//  2. systemd passed descriptors (LISTEN_FDS): FastCGI, SCGI or HTTP, as
//     FileDescriptorName= says, "fastcgi", "scgi", "http" or one of these with a
//     suffix, "fastcgi.site". A socket without a name is FastCGI.
//  3. GATEWAY_INTERFACE and REQUEST_METHOD are set: one request as a CGI program,
//     under Apache's mod_cgi and mod_cgid alike.
//  4. Descriptor 0 is a connection with a name, as inetd and systemd's Accept=yes
//     give it: one SCGI request.
//  5. Otherwise HTTP on 127.0.0.1:8080.
//
// Sockets are found on Linux only. Where one is on descriptors 0, 1 or 2, Serve
// replaces these by /dev/null, so that what the program prints does not reach the
// web server; under systemd set StandardError=journal to keep its messages.
//
// # The end
//
// When the context is done, no connection is accepted any more, and requests in
// flight have [Server].Drain to end, which is 30 s by default and for [Serve]. What is
// left then is visibly truncated, and its context cancelled with cgi.ErrShutdown as the
// cause; [Server.Close] does so at once. Serve returns after the last request, with nil. It
// installs no signal handler: use signal.NotifyContext.
//
// A stream of events ends when Drain has passed at the latest, if it looks at the context
// of its request. To end it sooner, and as a whole, let it look at the context that Serve
// was called with, too:
//
//	select {
//	case <-r.Context().Done(): // the client has gone, or Drain has passed
//		return
//	case <-ctx.Done(): // Serve is to end
//		return
//	case e := <-events:
//		…
//	}
//
// # Trust
//
// FastCGI and SCGI know no authentication: whoever can connect can set every
// variable, the client's address and the user included. Keep their sockets to unix
// sockets or loopback, or set [Server].Allow. The command gatehouse insists on that. With
// a listening socket on descriptor 0 the peer must be in FCGI_WEB_SERVER_ADDRS, if that
// is set (FastCGI 1.0 § 3.2).
package gatehouse

import (
	"context"
	"net/http"

	"gatehouse/cgi"
)

// Serve serves h in the way that this process was started for, until ctx is done
// or the one request is answered; see [Server.Serve]. If h is nil, it is
// [http.DefaultServeMux].
func Serve(ctx context.Context, h http.Handler) error {
	return (&Server{App: cgi.FromHTTP(h)}).Serve(ctx)
}
