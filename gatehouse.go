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
// flight have [Server].Drain to end. What is left then is visibly truncated, and
// its context cancelled with cgi.ErrShutdown as the cause. Serve returns after the
// last request, with nil. It installs no signal handler: use signal.NotifyContext.
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
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"gatehouse/cgi"
	"gatehouse/daemon/endpoint"
	"gatehouse/systemd"
)

// DefaultHTTP is where a Server listens that was started with nothing to serve on.
const DefaultHTTP = "127.0.0.1:8080"

// Serve serves h in the way that this process was started for, until ctx is done
// or the one request is answered; see [Server.Serve]. If h is nil, it is
// [http.DefaultServeMux].
func Serve(ctx context.Context, h http.Handler) error {
	return (&Server{App: cgi.FromHTTP(h)}).Serve(ctx)
}

// A Server serves an application in the way that the process was started for.
type Server struct {
	// App answers the requests. It must not be nil. cgi.FromHTTP makes one of an
	// http.Handler.
	App cgi.App

	// Handler runs App. If nil, one that logs to Log does.
	Handler *cgi.Handler

	// Limits bound what a peer can make the server do; see cgi.Limits for the defaults.
	Limits cgi.Limits

	// Paths names the quirks of the web server where it reports paths. The default is
	// right for all common ones.
	Paths cgi.PathPolicy

	// Allow lists the TCP peers that may connect to a socket that was passed and is not
	// on loopback; empty means all.
	Allow []netip.Prefix

	// HTTP is where to listen if the process was started with nothing to serve on. If
	// empty, it is DefaultHTTP.
	HTTP string

	// Listening, if not nil, is called with the address of each listener before the
	// first connection is accepted.
	Listening func(net.Addr)

	// Drain is how long requests in flight may take to end: 30 s if zero, for ever if
	// negative.
	Drain time.Duration

	// Log receives one line for each listener and each request that failed. If nil, it
	// is slog.Default().
	Log *slog.Logger

	process systemd.Process // for tests
}

// DefaultDrain is the default of Server.Drain.
const DefaultDrain = 30 * time.Second

func (s *Server) handler() *cgi.Handler {
	if s.Handler != nil {
		return s.Handler
	}
	return &cgi.Handler{Log: s.Log, Spool: s.Limits.Spool}
}

// Serve serves until ctx is done and returns nil after the last request, or the
// error of a drain that took too long (context.DeadlineExceeded) or of a listener
// that failed. As a CGI program it answers the one request and returns what
// [cgi.Program.Serve] does.
//
// It takes over the descriptors that the process was started with, and so can be
// called once in a process.
func (s *Server) Serve(ctx context.Context) error {
	start, err := s.process.Start()
	if err != nil {
		return fmt.Errorf("gatehouse: %w", err)
	}
	if start.Kind == systemd.CGIProgram {
		return s.serveProgram(ctx)
	}
	endpoints, err := s.endpoints(start)
	if err != nil {
		return fmt.Errorf("gatehouse: %w", err)
	}
	g := &endpoint.Group{App: s.App, Handler: s.handler(), Limits: s.Limits, Paths: s.Paths, Log: s.Log}
	if s.Listening != nil {
		for _, e := range endpoints {
			s.Listening(e.Listener.Addr())
		}
	}
	g.Start(endpoints)
	select {
	case <-ctx.Done():
	case err = <-g.Failed():
	case <-g.Served():
		select {
		case err = <-g.Failed():
		default:
		}
	}
	return errors.Join(err, s.drain(g))
}

// serveProgram answers the request of a CGI program. The end of ctx cancels it.
func (s *Server) serveProgram(ctx context.Context) error {
	p := &cgi.Program{Handler: s.Handler, Limits: s.Limits}
	return p.Serve(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		limited := r.Context() // by the Handler's time limits
		request, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(cgi.ErrShutdown) })()
		defer context.AfterFunc(limited, func() { cancel(context.Cause(limited)) })()
		r.SetContext(request)
		return s.App.ServeCGI(w, r)
	}))
}

// endpoints opens what the process was started with, or HTTP.
func (s *Server) endpoints(start systemd.Start) ([]endpoint.Endpoint, error) {
	if start.Kind == systemd.Bare {
		address := s.HTTP
		if address == "" {
			address = DefaultHTTP
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, err
		}
		return []endpoint.Endpoint{{Protocol: systemd.HTTP, Listener: l}}, nil
	}
	var list []endpoint.Endpoint
	for _, d := range start.Descriptors {
		e, err := endpoint.Inherited(d)
		if err != nil {
			for _, e := range list {
				e.Listener.Close()
			}
			return nil, err
		}
		if !e.Loopback() {
			e.Allow = s.Allow
		}
		list = append(list, e)
	}
	return list, nil
}

// drain lets the requests in flight end.
func (s *Server) drain(g *endpoint.Group) error {
	limit := s.Drain
	if limit == 0 {
		limit = DefaultDrain
	}
	ctx := context.Background()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return g.Shutdown(ctx)
}
