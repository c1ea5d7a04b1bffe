package fastcgi

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// ErrServerClosed is returned by Serve after Shutdown or Close. It is
// http.ErrServerClosed.
var ErrServerClosed = frontend.ErrServerClosed

// A Server serves FastCGI connections. Its fields must not be changed after the
// first call of Serve; see [Server.Reconfigure].
type Server struct {
	// App answers requests in the role of a Responder (FastCGI 1.0 § 6.2), which is what
	// web servers ask for by default.
	App cgi.App

	// Authorizer answers requests in the role of an Authorizer (§ 6.3). Status 200 lets
	// the web server go on, with a variable for each field that cgi.Variable made; any
	// other response goes to the client. The request has no body.
	Authorizer cgi.App

	// Filter answers requests in the role of a Filter (§ 6.4): Request.Data is the file
	// that it filters.
	//
	// A role without an application is refused with UNKNOWN_ROLE. At least one of the
	// three must be set.
	Filter cgi.App

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
	// empty means all that the socket's permissions admit. What counts is the process that
	// connects (SO_PEERCRED), such as a worker of nginx. Nobody else may, not even root. TCP
	// is not concerned. On systems other than Linux, Serve returns an error.
	AllowUsers []uint32

	// WebServerAddrs lists the addresses of the web server, see [WebServerAddrs]. All
	// other peers are refused, including those that are not on TCP. Empty means all.
	WebServerAddrs []netip.Addr

	// HalfClose says that TCP peers shut down their writing side after a request and
	// still wait for the response. Without it such a TCP peer counts as gone.
	HalfClose bool

	// Log gets a line for each connection that ends in an error, or every 10 s how many there
	// were of a kind. If nil, it is slog.Default().
	Log *slog.Logger

	// ErrorLog gets these lines as text where Log is nil, as net/http's does.
	ErrorLog *log.Logger

	// BaseContext, if not nil, returns the context that the contexts of a listener's
	// requests are derived from. It is called once for each Serve, and must not return
	// nil: Serve returns an error then.
	BaseContext func(net.Listener) context.Context

	// ConnContext, if not nil, returns the context for a new connection, derived from
	// BaseContext's. It is called once for each connection, and must not return nil: that
	// closes the connection, with a line in the log.
	ConnContext func(ctx context.Context, c net.Conn) context.Context

	// NoMultiplexing refuses a second request on a connection that carries one already
	// (CANT_MPX_CONN), and says so to a web server that asks (FCGI_MPXS_CONNS). It is
	// Limits.Requests of 1.
	NoMultiplexing bool

	// NoStderr sends no STDERR records: [cgi.WriteStderr] returns http.ErrNotSupported. It is
	// for IIS, which by default makes an error of a response that comes with one.
	NoStderr bool

	once     sync.Once
	acceptor frontend.Acceptor
	current  frontend.Current[settings]
	logger   *slog.Logger
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

// Shutdown stops accepting, lets the requests in flight end, and closes the
// connections as they become idle; those that have sent nothing yet have a second for it.
// Connections in the backlog of a listener are accepted only if gatehouse.Listen has opened
// it. When ctx is done first, the contexts of what is
// left are cancelled with cgi.ErrShutdown as the cause, their responses visibly
// truncated, and ctx's error is returned. It returns after every goroutine of the
// server has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(s.init)
	return s.acceptor.Shutdown(ctx, cgi.ErrShutdown)
}

// Close is Shutdown with a context that is done.
func (s *Server) Close() error {
	s.once.Do(s.init)
	return s.acceptor.Close(cgi.ErrShutdown)
}

// Connections returns the figures of the connections of all listeners, since the Server began;
// for those of the requests see cgi.Handler.Stats.
func (s *Server) Connections() cgi.ConnectionStats { return s.acceptor.Stats() }

func (s *Server) check() error {
	if s.App == nil && s.Authorizer == nil && s.Filter == nil {
		return errors.New("fastcgi: the server has no application: set App")
	}
	return nil
}

func (s *Server) init() {
	s.logger = frontend.Log(s.Log, s.ErrorLog)
	set := s.settings(s.logger)
	s.current.Replace(frontend.NewSettings(set))
	s.acceptor.NewConn = s.newConn
	s.acceptor.Connections, s.acceptor.Shared = set.limits.Connections, set.limits.Shared
	s.acceptor.Peers = s.peers()
	s.acceptor.BaseContext = s.BaseContext
	s.acceptor.ConnContext = s.ConnContext
	s.acceptor.Log = s.logger
}

func (s *Server) newConn(ctx context.Context, _ net.Listener, nc net.Conn) frontend.Conn {
	c := &conn{srv: s, sock: frontend.NewSocket(nc), base: ctx}
	set := s.current.Get()
	c.sock.HalfClose = set.halfClose
	c.cond.L = &c.mu
	c.holding.Budget = set.limits.ParamsTotal
	c.idleSince = s.acceptor.Now()
	return c
}

func (s *Server) log() *slog.Logger { return s.logger }
