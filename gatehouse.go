// Package gatehouse makes a Go program an application behind any web server, however
// the program is started.
//
//	func main() {
//		err := gatehouse.Serve(context.Background(), http.HandlerFunc(page))
//		…
//	}
//
// The same binary is a FastCGI application under spawn-fcgi, Apache's mod_fcgid or
// systemd, or of IIS, a CGI program in a cgi-bin directory, an SCGI service of inetd, and an
// HTTP server on a developer's machine. A [Server] serves a [cgi.App] instead of an
// http.Handler, and has limits and a log.
//
// # How the program was started
//
// The first of these conditions that holds decides what is served:
//
//  1. Descriptor 0 is a listening socket: FastCGI (FastCGI 1.0 § 2.2).
//  2. systemd passed descriptors (LISTEN_FDS): FastCGI, SCGI or HTTP, depending on
//     FileDescriptorName=, which is "fastcgi", "scgi" or "http", or one of these with a
//     suffix, such as "fastcgi.site". A socket without a name is FastCGI.
//  3. GATEWAY_INTERFACE and REQUEST_METHOD are set: one request as a CGI program, under
//     both mod_cgi and mod_cgid of Apache.
//  4. ASPNETCORE_PORT or HTTP_PLATFORM_PORT is set: HTTP on that port of 127.0.0.1, for the
//     module of IIS that has started the process. With ASPNETCORE_TOKEN, requests that did
//     not come through IIS get 400.
//  5. Descriptor 0 is a connection with an address, as passed by inetd and by systemd with
//     Accept=yes: one SCGI request.
//  6. Standard input is a named pipe from the FastCGI module of IIS: FastCGI.
//  7. Otherwise: HTTP on 127.0.0.1:8080.
//
// Behind IIS's FastCGI and CGI modules an [iis.Handler] mends the variables and the path, and
// what is logged goes to a file ([iis.EnsureStderr]).
//
// Sockets are found on Linux only. If descriptor 0, 1 or 2 is such a socket, Serve
// replaces it by /dev/null, so that what the program prints does not reach the web server.
// Under systemd, set StandardError=journal to keep its messages.
//
// # Shutdown
//
// When the context is done, the server stops accepting, and requests in flight have
// [Server].Drain (30 s by default) to finish. After that the rest are cut off: their
// responses are visibly truncated, and their contexts cancelled with the cause
// cgi.ErrShutdown. [Server.Close] cuts them off at once. Serve returns after the last
// request. It installs no signal handler: use signal.NotifyContext.
//
// In flight is every request of a client that has connected. From a listener that Serve or
// [Listen] has opened, connections in the backlog are accepted first; new ones are refused:
// on a unix socket at once, on TCP when the backlog is empty, up to which clients wait to
// connect. A connection on which nothing has come has a second for the first byte of its
// request. One that is kept and idle is closed at once, unless a request is in its socket:
// a web server that sends one at that moment makes a new connection, as it does whenever a
// kept one is closed.
//
// A listening socket that was passed to the process is only closed: what is in its backlog
// is for the process that has it, such as systemd, or the next one that is started with it.
//
// Linux only: elsewhere, connections that are made at the moment of the shutdown may be
// reset.
//
// An event stream ends when Drain has passed at the latest, if it watches the context of
// its request. To end it sooner, without a truncation, watch the context given to Serve,
// too:
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
// # Service managers
//
// If NOTIFY_SOCKET is set (Type=notify), Serve tells systemd
//
//   - READY=1 when every listener accepts connections;
//   - STATUS=, every 5 s if it has changed: the open connections, the requests in flight,
//     and how many have been served, in all and per second;
//   - STOPPING=1 when it stops accepting, and then every 5 s, until Drain has passed, that
//     it needs 10 s more (EXTEND_TIMEOUT_USEC=), so that TimeoutStopSec= may be shorter;
//   - WATCHDOG=1 every half of WatchdogSec=, as long as a self-check succeeds.
//
// The self-check connects to each listener, and sends a request that the accept loop hands
// to an application of its own, without asking who the peer is and whether there is a
// place. So it fails if the accept loop, the time limits or the protocol's code hang, and
// not because connections or programs are at their limits, slow, or not allowed. Where this
// process cannot connect, because the mode of a unix socket keeps its user out, the accept
// loop must get on, or wait with an empty backlog.
//
// For s6 there is [Server].ReadyFD. With [Server].IdleExit the process ends when nobody has
// needed it for a while, and systemd starts it again with the next connection to its socket
// units; the service needs Restart=on-failure, as Restart=always would start it at once.
//
// # Figures
//
// [Server.Stats] returns what a Server has done and is doing, as plain numbers: requests by
// application, protocol and status, their times as histograms, bytes, programs that have ended,
// what was refused and why; and beside its limit what is in use of connections, the queue,
// programs, spools, memory and descriptors. [Server.InFlight] lists the requests in flight, and
// [Server.Abort] ends one. Nothing of it holds requests up, and nothing is sent anywhere: an
// exporter reads them.
//
//	for _, a := range server.Stats().Applications {
//		fmt.Println(a.Application, a.Count(), a.InFlight, a.Duration.Sum)
//	}
//
// # Security
//
// FastCGI and SCGI have no authentication: whoever can connect can set every variable,
// including the address and the user of the client. Use unix sockets or loopback
// addresses for them, or set [Server].Allow; the gatehouse command insists on that. With a
// listening socket on descriptor 0, FCGI_WEB_SERVER_ADDRS, if set, lists the addresses
// that may connect (FastCGI 1.0 § 3.2).
package gatehouse

import (
	"context"
	"net/http"

	"gatehouse/cgi"
)

// Serve serves h on what this process was started with, until ctx is done or, as a CGI
// program, for one request; see [Server.Serve]. If h is nil, [http.DefaultServeMux] is
// used.
func Serve(ctx context.Context, h http.Handler) error {
	return (&Server{App: cgi.FromHTTP(h)}).Serve(ctx)
}
