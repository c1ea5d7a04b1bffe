package scgi

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// ErrServerClosed is returned by Serve after Shutdown or Close. It is
// http.ErrServerClosed.
var ErrServerClosed = frontend.ErrServerClosed

// A Server serves SCGI connections. Its fields must not be changed after the
// first call of Serve; see [Server.Reconfigure].
type Server struct {
	// App serves the requests. It must not be nil.
	App cgi.App

	// Handler runs App. If nil, a zero Handler does.
	Handler *cgi.Handler

	// Limits bound what a peer can make the server do; see cgi.Limits for the defaults.
	Limits cgi.Limits

	// Paths names the quirks of the web server where it reports paths. The default is
	// right for all common ones.
	Paths cgi.PathPolicy

	// Allow lists the TCP peers that may connect; empty means all.
	Allow []netip.Prefix

	// AllowUsers lists the ids of the users whose processes may connect to a unix socket;
	// empty means all that its permissions let. It is the process that connects that
	// counts (SO_PEERCRED), for nginx a worker, and nobody who is not listed may, root
	// included. It does not concern TCP. On other systems than Linux Serve returns an
	// error.
	AllowUsers []uint32

	// HalfClose says that TCP peers shut down their writing side after a request and
	// still wait for the response. Without it a TCP peer that does so counts as gone.
	HalfClose bool

	// Log gets a line for each connection that ends before its request is complete, or every
	// 10 s how many there were. If nil, it is slog.Default().
	Log *slog.Logger

	// ErrorLog gets these lines as text where Log is nil, as net/http's does.
	ErrorLog *log.Logger

	// BaseContext, if not nil, returns the context that the contexts of a listener's
	// requests are derived from. It is called once for each Serve, and must not return
	// nil, or Serve returns an error.
	BaseContext func(net.Listener) context.Context

	// ConnContext, if not nil, returns the context for a new connection, derived from
	// BaseContext's. It is called once for each connection, and must not return nil: that
	// closes the connection, with a line in the log.
	ConnContext func(ctx context.Context, c net.Conn) context.Context

	once     sync.Once
	acceptor frontend.Acceptor
	current  frontend.Current[settings]
	logger   *slog.Logger
}

// Serve serves the requests that arrive on l with h, or http.DefaultServeMux if
// h is nil, until accepting fails, as it does once l is closed. Then it lets the
// requests in flight end, and returns that error. Its signature is that of
// net/http/fcgi's Serve, and as there the URL of a request is REQUEST_URI
// ([cgi.PathRequest]).
func Serve(l net.Listener, h http.Handler) error {
	if h == nil {
		h = http.DefaultServeMux
	}
	s := &Server{App: cgi.FromHTTP(h), Paths: cgi.PathRequest}
	err := s.Serve(l)
	s.Shutdown(context.Background())
	return err
}

// Serve accepts connections on l and serves them until Shutdown or Close; then
// it returns ErrServerClosed. It closes l. It may be called for several listeners
// at once.
func (s *Server) Serve(l net.Listener) error {
	if err := s.check(); err != nil {
		l.Close()
		return err
	}
	s.once.Do(s.init)
	return s.acceptor.Serve(l)
}

// Shutdown stops accepting, and lets the requests in flight end; connections that have
// sent nothing yet have a second for it. Connections in the backlog of a listener are
// accepted only if gatehouse.Listen has opened it. When ctx is done first, the contexts of what is left are cancelled with cgi.ErrShutdown as the
// cause, the responses visibly truncated, and ctx's error is returned. It returns
// after every goroutine of the server has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(s.init)
	return s.acceptor.Shutdown(ctx, cgi.ErrShutdown)
}

// Close is Shutdown without waiting.
func (s *Server) Close() error {
	s.once.Do(s.init)
	return s.acceptor.Close(cgi.ErrShutdown)
}

// Connections returns the figures of the connections of all listeners, since the Server began;
// for those of the requests see cgi.Handler.Stats.
func (s *Server) Connections() cgi.ConnectionStats { return s.acceptor.Stats() }

func (s *Server) check() error {
	if s.App == nil {
		return errors.New("scgi: the server has no application: set App")
	}
	return nil
}

func (s *Server) init() {
	s.logger = frontend.Log(s.Log, s.ErrorLog)
	set := s.settings(s.logger)
	s.current.Replace(frontend.NewSettings(set))
	s.acceptor.NewConn = func(ctx context.Context, _ net.Listener, c net.Conn) frontend.Conn {
		return newConn(s, ctx, c)
	}
	s.acceptor.Connections, s.acceptor.Shared = set.limits.Connections, set.limits.Shared
	s.acceptor.Peers = s.peers()
	s.acceptor.BaseContext = s.BaseContext
	s.acceptor.ConnContext = s.ConnContext
	s.acceptor.Log = s.logger
}
