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
	"gatehouse/systemd"
)

// DefaultHTTP is where a Server listens that was started with nothing to serve on.
const DefaultHTTP = "127.0.0.1:8080"

// DefaultDrain is the default of Server.Drain.
const DefaultDrain = 30 * time.Second

// A Server serves one application on any number of listeners, each with a protocol of
// its own, and drains them together. Its fields must not be changed while it serves, and
// it serves once.
type Server struct {
	// App answers the requests. It must not be nil. cgi.FromHTTP makes one of an
	// http.Handler.
	App cgi.App

	// Authorizer answers FastCGI's requests of that role. If nil, they are refused.
	Authorizer cgi.App

	// Endpoints are where to serve. Serve closes their listeners. If there are none, it
	// serves what the process was started with.
	Endpoints []Endpoint

	// Handler runs App. If nil, one that logs to Log does.
	Handler *cgi.Handler

	// Limits bound what a peer can make the server do; see cgi.Limits for the defaults.
	Limits cgi.Limits

	// Paths names the quirks of the web server where it reports paths. The default is
	// right for all common ones.
	Paths cgi.PathPolicy

	// NoMultiplexing keeps FastCGI connections to one request at a time.
	NoMultiplexing bool

	// Allow lists the TCP peers that may connect to a socket that was passed and is not
	// on loopback; empty means all. Endpoints have a list of their own.
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

	// Overdue, if not nil, is called when requests in flight are cut off because Drain
	// has passed. Serve waits for it.
	Overdue func()

	// Log receives one line for each listener and each request that failed. If nil, it
	// is slog.Default(), or standard error for ServeProgram.
	Log *slog.Logger

	process systemd.Process // for tests

	once     sync.Once
	life     context.Context // until Close
	closeNow context.CancelCauseFunc
}

// Serve serves until ctx is done, and then drains: no connection is accepted any more,
// and requests in flight have until Drain to end. It returns after the last request,
//
//   - nil if ctx was done, or each endpoint was served to its end;
//   - [context.DeadlineExceeded] if Drain has passed and requests were cut off;
//   - [http.ErrServerClosed] after Close;
//   - the error of a listener that failed, on which it drains as well.
//
// A process that was started as a CGI program has one request: see ServeProgram.
//
// Without Endpoints, Serve takes over the descriptors that the process was started
// with, and so can be called once in a process.
func (s *Server) Serve(ctx context.Context) error {
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
	if s.Listening != nil {
		for _, e := range endpoints {
			s.Listening(e.Listener.Addr())
		}
	}
	g := s.start(endpoints)
	var err error
	select {
	case <-ctx.Done():
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
		switch e.Protocol {
		case FastCGI, SCGI, HTTP:
			continue
		}
		for _, e := range endpoints {
			e.Listener.Close()
		}
		return fmt.Errorf("endpoint %s: its protocol is %q: it must be fastcgi, scgi or http", addressOf(e), e.Protocol)
	}
	return nil
}

// ServeProgram answers the one request of a CGI program, which this process is. The end
// of ctx, or Close, cancels the request. It returns what [cgi.Program.Serve] does.
func (s *Server) ServeProgram(ctx context.Context) error {
	p := &cgi.Program{Handler: s.Handler, Limits: s.Limits}
	if s.Log != nil {
		p.Handler = s.handler()
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
		return s.App.ServeCGI(w, r)
	}))
}

// Close stops accepting and cuts off the requests in flight. It does not wait: Serve
// returns after the last of them has ended. It always returns nil, and may be called at
// any time, more than once, and before Serve, which ends at once then.
func (s *Server) Close() error {
	s.untilClose()
	s.closeNow(http.ErrServerClosed)
	return nil
}

// untilClose returns a context that Close cancels.
func (s *Server) untilClose() context.Context {
	s.once.Do(func() { s.life, s.closeNow = context.WithCancelCause(context.Background()) })
	return s.life
}

func (s *Server) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}

func (s *Server) handler() *cgi.Handler {
	if s.Handler != nil {
		return s.Handler
	}
	return &cgi.Handler{Log: s.log(), Spool: s.Limits.Spool}
}

// open makes endpoints of what the process was started with, or opens HTTP.
func (s *Server) open(start Start) ([]Endpoint, error) {
	if start.Kind == Bare {
		address := s.HTTP
		if address == "" {
			address = DefaultHTTP
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, err
		}
		return []Endpoint{{Protocol: HTTP, Listener: l}}, nil
	}
	var list []Endpoint
	for _, d := range start.Descriptors {
		e, err := Inherit(d)
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

// drain lets the requests in flight end, and returns why they were cut off, if they were.
func (s *Server) drain(g *group) error {
	limit := s.Drain
	if limit == 0 {
		limit = DefaultDrain
	}
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
		if s.Overdue != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.Overdue()
		}
		<-ended
	}
	if err == nil {
		return context.Cause(s.untilClose())
	}
	return context.Cause(ctx)
}
