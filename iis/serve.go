package iis

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
)

// Serve serves h as what IIS has started this process for: a FastCGI application, until IIS
// ends it, or a CGI program, for one request. If h is nil, it is [http.DefaultServeMux]. The
// program should exit when Serve returns, with 0 if the error is nil.
func Serve(h http.Handler) error {
	return (&Server{App: cgi.FromHTTP(h)}).Serve(context.Background())
}

// A Server is a program that IIS starts. The zero value serves [http.DefaultServeMux].
type Server struct {
	// App is the application. If it is not a [Handler], a zero Handler is put in front of
	// it.
	App cgi.App

	// Gateway runs App. If nil, one that logs to Log does.
	Gateway *cgi.Handler

	// Limits bound what IIS can make the program do; see cgi.Limits for the defaults. Idle
	// does not apply: IIS ends a process that it does not need (idleTimeout).
	Limits cgi.Limits

	// Stderr lets [cgi.WriteStderr] send to IIS. By default it fails with
	// http.ErrNotSupported, since IIS turns a response into a 500 as soon as there is
	// something in that stream, unless stderrMode says otherwise.
	Stderr bool

	// Drain is how long the request in flight may take when IIS asks the process to end.
	// Zero means 30 s, negative means no limit. IIS has a limit of its own,
	// signalBeforeTerminateSeconds.
	Drain time.Duration

	// Log gets a line for each failed request. If nil, it is slog.Default(), which
	// [EnsureStderr] leads to a file.
	Log *slog.Logger
}

// Serve serves what IIS has started this process for, in this order:
//
//   - Standard input is a named pipe with IIS at its other end ([Started]): FastCGI, until IIS
//     closes it, sets the event _FCGI_SHUTDOWN_EVENT_, or ctx is done. Then the request in
//     flight has Drain to finish.
//   - GATEWAY_INTERFACE and REQUEST_METHOD are set: one request as a CGI program. Serve
//     returns the result of [cgi.Program.Serve]. This works behind other web servers, too.
//
// In any other process it returns ErrNotStarted. When requests were cut off since Drain has
// passed, it returns [context.DeadlineExceeded].
func (s *Server) Serve(ctx context.Context) error {
	l, err := Listen()
	switch {
	case err == nil:
		return s.serveFastCGI(ctx, l)
	case !errors.Is(err, ErrNotStarted) || !isCGI():
		return err
	}
	return s.serveProgram(ctx)
}

// isCGI reports whether this process is a CGI program (RFC 3875 § 4.1).
func isCGI() bool {
	return os.Getenv("GATEWAY_INTERFACE") != "" && os.Getenv("REQUEST_METHOD") != ""
}

// IsProgram reports whether IIS's CGI module has started this process, for one request.
func IsProgram() bool {
	const iis = "microsoft-iis/"
	software := os.Getenv("SERVER_SOFTWARE")
	return isCGI() && len(software) >= len(iis) && strings.EqualFold(software[:len(iis)], iis)
}

// An endingListener is a Listener, or one like it.
type endingListener interface {
	net.Listener
	Shutdown() <-chan struct{}
}

// serveFastCGI serves the pipe until it ends, or is to end.
func (s *Server) serveFastCGI(ctx context.Context, l endingListener) error {
	ended := make(chan error, 1)
	limits := s.Limits
	limits.Idle = -1
	f := &fastcgi.Server{App: s.handler(), Handler: s.gateway(), Limits: limits, NoMultiplexing: true, NoStderr: !s.Stderr, Log: s.log()}
	go func() { ended <- f.Serve(l) }()
	var err error
	running := true
	select {
	case err = <-ended:
		running = false
	case <-l.Shutdown():
	case <-ctx.Done():
	}
	drain, cancel := s.drain()
	defer cancel()
	cut := f.Shutdown(drain)
	if running {
		err = <-ended
	}
	switch {
	case cut != nil:
		return cut
	case errors.Is(err, io.EOF) || errors.Is(err, http.ErrServerClosed):
		return nil
	}
	return err
}

// drain returns a context that is done when Drain has passed.
func (s *Server) drain() (context.Context, context.CancelFunc) {
	switch {
	case s.Drain < 0:
		return context.WithCancel(context.Background())
	case s.Drain == 0:
		return context.WithTimeout(context.Background(), 30*time.Second)
	}
	return context.WithTimeout(context.Background(), s.Drain)
}

// serveProgram serves the one request of a CGI program.
func (s *Server) serveProgram(ctx context.Context) error {
	if IsProgram() {
		if _, err := EnsureStderr(); err != nil {
			return err
		}
	}
	p := &cgi.Program{Limits: s.Limits}
	p.Handler = s.Gateway
	if p.Handler == nil && s.Log != nil {
		p.Handler = s.gateway()
	}
	a := s.handler()
	return p.Serve(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		own, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(cgi.ErrShutdown) })()
		r.SetContext(own)
		return a.ServeCGI(w, r)
	}))
}

func (s *Server) handler() cgi.App {
	if h, ok := s.App.(*Handler); ok {
		return h
	}
	return &Handler{App: s.App}
}

func (s *Server) gateway() *cgi.Handler {
	if s.Gateway != nil {
		return s.Gateway
	}
	return &cgi.Handler{Log: s.log(), Spool: s.Limits.Spool}
}

func (s *Server) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}
