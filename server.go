package gatehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/iis"
	"gatehouse/systemd"
)

// DefaultHTTP is the default of Server.HTTP.
const DefaultHTTP = "127.0.0.1:8080"

// DefaultDrain is the default of Server.Drain.
const DefaultDrain = 30 * time.Second

// A Server serves one application on any number of listeners, each with its own protocol,
// and drains them together. Its fields must not be changed while it serves; see
// [Server.Reconfigure]. A Server can be used only once.
type Server struct {
	// App serves the requests. It must not be nil. cgi.FromHTTP turns an http.Handler into
	// an App.
	App cgi.App

	// Authorizer serves FastCGI requests in the Authorizer role. If nil, they are refused.
	Authorizer cgi.App

	// Endpoints are the listeners to serve. Serve closes them. If there are none, Serve
	// serves what the process was started with.
	Endpoints []Endpoint

	// Handler runs App. If nil, a Handler that logs to Log is used.
	Handler *cgi.Handler

	// Limits bound what a peer can make the server do; see cgi.Limits for the defaults.
	Limits cgi.Limits

	// Reserve is how many descriptors of this process (RLIMIT_NOFILE) App takes besides one
	// for each connection, such as cgi.Descriptors returns. Connections leave them
	// free, unless they would be left with less than a twelfth of all. Where
	// Limits.Connections does not fit in, fewer are accepted, and the log says so.
	Reserve int

	// Paths says how the web server reports paths. The default works with all common web
	// servers.
	Paths cgi.PathPolicy

	// NoMultiplexing keeps FastCGI connections to one request at a time.
	NoMultiplexing bool

	// Allow lists the TCP peers that may connect to sockets that were passed to the
	// process, unless they are on loopback; empty means all. Endpoints have their own
	// lists.
	Allow []netip.Prefix

	// TrustedProxies lists the reverse proxies that are trusted to say, over HTTP, who their
	// clients are and whether those use HTTPS: in the fields X-Forwarded-For and
	// X-Forwarded-Proto, or in Forwarded (RFC 7239). From others, these fields are header
	// fields like any other. Each proxy must set the fields, or add to them, whatever its own
	// client has sent.
	//
	// The client is the first address from the right that is not in the list. It becomes
	// REMOTE_ADDR, or the RemoteAddr of an http.Request. The last scheme counts, which decides
	// REQUEST_SCHEME, HTTPS and TLS; with it, SERVER_PORT is the port in Host, or the standard
	// one. What is malformed is ignored, and logged. A request in which X-Forwarded-For or
	// X-Forwarded-Proto and Forwarded disagree gets 400. X-Forwarded-Host and
	// X-Forwarded-Port never count.
	TrustedProxies []netip.Prefix

	// TrustUnixProxies says the same of all peers on unix sockets.
	TrustUnixProxies bool

	// HTTP is the address to listen on if the process was started with nothing to serve
	// on. If empty, DefaultHTTP is used.
	HTTP string

	// Listening, if not nil, is called with the address of each listener before the
	// first connection is accepted.
	Listening func(net.Addr)

	// Drain is how long requests in flight may take to finish on shutdown. Zero means
	// 30 s, negative means no limit. Then their contexts are cancelled and their responses
	// truncated. An event stream that is to end sooner watches the context of Serve; see the
	// package documentation.
	Drain time.Duration

	// Notifier tells the service manager when the Server is ready, how it is, and that it
	// ends. If nil, Serve takes that of NOTIFY_SOCKET, if it is set. See "Service managers"
	// in the package documentation.
	Notifier *systemd.Notifier

	// ReadyFD, if not zero, is a descriptor of this process to which Serve writes a line
	// feed when every endpoint accepts, as s6 expects it (notification-fd). Serve closes it.
	ReadyFD int

	// IdleExit, if not zero, ends Serve as if ctx were done when no request has been in
	// flight for that long, at least 1 s. It is for a process that is started again when
	// somebody connects: all listeners must be sockets that were passed to it, as by a
	// systemd socket unit. Connections that come meanwhile wait in their backlog.
	IdleExit time.Duration

	// Overdue, if not nil, is called when requests in flight are cut off because Drain
	// has passed. Serve waits for it.
	Overdue func()

	// Log receives a line for each listener and each failed request. If nil,
	// slog.Default() is used, or standard error for ServeProgram.
	Log *slog.Logger

	process systemd.Process // for tests
	dismiss *dismissal
	watch   *supervision // nil: none

	once     sync.Once
	life     context.Context // until Close
	closeNow context.CancelCauseFunc

	begun   chan struct{} // closed when Serve has started everything, or returns
	running *group        // once begun is closed; nil if Serve has returned before
}

// Serve serves until ctx is done, and then drains: it stops accepting, and requests in
// flight have Drain to finish. After the last request it returns
//
//   - nil if ctx is done, if every endpoint has ended, for IdleExit, or if IIS asks the
//     process to end;
//   - [context.DeadlineExceeded] if requests were cut off because Drain has passed;
//   - [http.ErrServerClosed] after Close;
//   - the error of a listener if one fails; it drains the others first.
//
// In a process that was started as a CGI program, it calls ServeProgram.
//
// Without Endpoints, Serve takes over the descriptors that the process was started with,
// so it can be called only once in a process.
func (s *Server) Serve(ctx context.Context) error {
	s.untilClose()
	begin := sync.OnceFunc(func() { close(s.begun) })
	defer begin()
	endpoints := s.Endpoints
	if len(endpoints) == 0 {
		start, err := FindStart(s.process)
		if err == nil && start.Kind == CGIProgram {
			return s.ServeProgram(ctx)
		}
		if err == nil {
			endpoints, err = s.open(start)
		}
		if err != nil {
			return fmt.Errorf("gatehouse: %w", err)
		}
	}
	if err := checkProtocols(endpoints); err != nil {
		return fmt.Errorf("gatehouse: %w", err)
	}
	var err error
	if s.watch, err = s.supervise(endpoints); err != nil {
		closeAll(endpoints)
		return fmt.Errorf("gatehouse: %w", err)
	}
	defer s.watch.close()
	if s.Listening != nil {
		for _, e := range endpoints {
			s.Listening(e.Listener.Addr())
		}
	}
	s.dismiss = newDismissal()
	g := s.start(endpoints)
	s.running = g
	begin()
	if len(g.failed) == 0 {
		s.watch.begin()
	}
	select {
	case <-ctx.Done():
	case <-shutdownOf(endpoints):
		s.log().Info("draining: IIS asks for it")
	case <-s.watch.done():
	case <-s.dismiss.asked:
	case <-s.untilClose().Done():
	case err = <-g.failed:
	case <-g.served:
		select {
		case err = <-g.failed:
		default:
		}
	}
	return cmp.Or(err, s.drain(g))
}

// checkProtocols returns an error, and closes the listeners, if there is a protocol that
// a Server does not speak.
func checkProtocols(endpoints []Endpoint) error {
	for _, e := range endpoints {
		if err := e.checkProtocol(); err != nil {
			closeAll(endpoints)
			return err
		}
	}
	return nil
}

func (e Endpoint) checkProtocol() error {
	switch e.Protocol {
	case FastCGI, SCGI, HTTP:
		return nil
	}
	return fmt.Errorf("endpoint %s: its protocol is %q: it must be fastcgi, scgi or http", addressOf(e), e.Protocol)
}

func closeAll(endpoints []Endpoint) {
	for _, e := range endpoints {
		e.Listener.Close()
	}
}

// ServeProgram serves the one request of this process, which was started as a CGI
// program. The request is cancelled when ctx is done, or by Close. It returns the result
// of [cgi.Program.Serve].
func (s *Server) ServeProgram(ctx context.Context) error {
	app := s.App
	if iis.IsProgram() {
		if _, err := iis.EnsureStderr(); err != nil {
			return fmt.Errorf("gatehouse: %w", err)
		}
		app = behindIIS(app, s.Paths)
	}
	p := &cgi.Program{Handler: s.Handler, Limits: s.Limits, Paths: s.Paths}
	if s.Log != nil {
		p.Handler = s.handler(s.Limits)
	}
	return p.Serve(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		limited := r.Context() // by the Handler's time limits
		request, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		defer cancel(nil)
		shutdown := func() { cancel(cgi.ErrShutdown) }
		defer context.AfterFunc(ctx, shutdown)()
		defer context.AfterFunc(s.untilClose(), shutdown)()
		defer context.AfterFunc(limited, func() { cancel(context.Cause(limited)) })()
		r.SetContext(request)
		return app.ServeCGI(w, r)
	}))
}

// Close stops accepting and cuts off the requests in flight. It does not wait for them;
// Serve does. It may be called more than once, and before Serve, which then returns at
// once. It always returns nil.
func (s *Server) Close() error {
	s.untilClose()
	s.closeNow(http.ErrServerClosed)
	return nil
}

// untilClose returns a context that is cancelled by Close.
func (s *Server) untilClose() context.Context {
	s.once.Do(func() {
		s.life, s.closeNow = context.WithCancelCause(context.Background())
		s.begun = make(chan struct{})
	})
	return s.life
}

func (s *Server) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}

func (s *Server) handler(limits cgi.Limits) *cgi.Handler {
	if s.Handler != nil {
		return s.Handler
	}
	return &cgi.Handler{Log: s.log(), Spool: limits.Spool}
}

// open returns endpoints for what the process was started with, or opens HTTP.
func (s *Server) open(start Start) ([]Endpoint, error) {
	if start.Kind == IISPipe {
		e, err := InheritIIS()
		if err != nil {
			return nil, err
		}
		return []Endpoint{e}, nil
	}
	if start.Kind == StartedByIIS {
		e, err := ListenModule(start.Module)
		if err != nil {
			return nil, err
		}
		return []Endpoint{e}, nil
	}
	if start.Kind == Bare {
		address := s.HTTP
		if address == "" {
			address = DefaultHTTP
		}
		l, err := Listen("tcp", address)
		if err != nil {
			return nil, err
		}
		return []Endpoint{{Protocol: HTTP, Listener: l}}, nil
	}
	var list []Endpoint
	for _, d := range start.Descriptors {
		e, err := Inherit(d)
		if err != nil {
			closeAll(list)
			return nil, err
		}
		if !e.Loopback() {
			e.Allow = s.Allow
		}
		list = append(list, e)
	}
	return list, nil
}

// drainLimit returns Drain, or its default.
func (s *Server) drainLimit() time.Duration { return cmp.Or(s.Drain, DefaultDrain) }

// drain lets the requests in flight finish. If they are cut off, it returns the reason.
func (s *Server) drain(g *group) error {
	s.watch.drain()
	current := g.current()
	limit := current.drainLimit()
	ctx := s.untilClose()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	ended := make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		err = g.shutdown(ctx)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		if current.Overdue != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			current.Overdue()
		}
		<-ended
	}
	if err == nil {
		return context.Cause(s.untilClose())
	}
	return context.Cause(ctx)
}
