package simpleserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// ErrServerClosed is returned by Serve, HandleOne and ListenAndServe after
// Shutdown or Close. It is http.ErrServerClosed.
var ErrServerClosed = frontend.ErrServerClosed

// The defaults of a Server.
const (
	DefaultAddr        = "127.0.0.1:8000"
	DefaultRequestLine = 65536
	DefaultHeaderLine  = 65536
	DefaultHeaderCount = 100
	DefaultDrain       = 30 * time.Second
)

// A Server serves an application over HTTP/1.0: wsgiref's WSGIServer and
// WSGIRequestHandler. Its fields must not be changed once it serves. Whoever has called
// Serve, HandleOne, Listen or MakeServer must call Shutdown or Close in the end.
type Server struct {
	// Addr is the TCP address to listen on, as net.Listen takes it; empty means
	// DefaultAddr. Its host becomes SERVER_NAME.
	Addr string

	// App serves the requests. It must not be nil.
	App cgi.App

	// BaseEnv holds variables for every request (base_environ). They take the place of
	// the server's own (SERVER_NAME, SERVER_PORT, GATEWAY_INTERFACE, REMOTE_HOST,
	// CONTENT_LENGTH, SCRIPT_NAME), and what the request says takes theirs. wsgiref
	// adds the environment of the process too; for that, set it to cgi.ReadEnviron().
	BaseEnv *cgi.Environ

	// Software is the value of the field Server; its first word is that of SERVER_SOFTWARE.
	// Empty means "gatehouse", with a version if the build has one.
	Software string

	// ErrorLog receives what the application writes to Request.Stderr and, if Handler
	// is nil, a line for each failed request. If nil, both go to the Handler's log.
	ErrorLog io.Writer

	// AccessLog receives one line for each request, in one Write:
	//
	//	127.0.0.1 - - [02/Jan/2006 15:04:05] "GET / HTTP/1.0" 200 13
	//
	// The number is that of the bytes of the body that were sent, or "-" for an error
	// page of the server's own. The code is "-" if no head was sent. Control characters
	// are written as \xNN. If nil, it is os.Stderr, as in wsgiref; io.Discard turns it
	// off.
	AccessLog io.Writer

	// Handler runs App. If nil, one that logs to ErrorLog, or slog.Default(), does.
	Handler *cgi.Handler

	// Compat brings back what wsgiref does and the package mends; see the package
	// comment. It is for applications that depend on it, behind a web server that checks
	// requests, and for nobody else.
	Compat bool

	// RequestLine and HeaderLine bound a line of the head, in bytes with the line's end:
	// 65536 each. Beyond them the response is 414 or 431.
	RequestLine, HeaderLine int

	// HeaderCount bounds the lines of header fields: 100. Beyond it the response is 431.
	// In Compat the empty line counts too, as it does in Python.
	HeaderCount int

	// Limits bound what else a client can make the server do. The package comment says
	// which of them apply; cgi.Limits has the defaults.
	Limits cgi.Limits

	// Drain is how long ListenAndServe waits for the requests in flight when its
	// context is done: 30 s.
	Drain time.Duration

	// HalfClose says that clients shut down their writing side after a request and
	// still wait for the response. Without it the context of a client that does so is
	// cancelled; an application that does not look at it responds all the same.
	HalfClose bool

	once     sync.Once
	acceptor frontend.Acceptor
	limits   cgi.Limits
	head     headLimits
	handler  *cgi.Handler
	now      func() time.Time // the clock of Date and the log; time.Now if nil

	logMu  sync.Mutex // held for a line of the access log
	serial sync.Mutex // held while App runs, in Compat

	mu    sync.Mutex
	bound net.Listener // of Listen
}

// MakeServer returns a Server that listens already, as wsgiref's make_server does:
// Addr tells the port if port is 0. Then ListenAndServe is serve_forever, and
// HandleOne(nil) is handle_request. An empty host means all addresses of the
// machine.
func MakeServer(host string, port int, app cgi.App) (*Server, error) {
	s := &Server{Addr: net.JoinHostPort(host, strconv.Itoa(port)), App: app}
	if err := s.Listen(); err != nil {
		return nil, err
	}
	return s, nil
}

// Listen opens the listener of the Server, once. Connections wait in it until
// ListenAndServe or HandleOne is called.
func (s *Server) Listen() error {
	_, err := s.listen()
	return err
}

func (s *Server) listen() (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound != nil {
		return s.bound, nil
	}
	addr := s.Addr
	if addr == "" {
		addr = DefaultAddr
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("simpleserver: %w", err)
	}
	s.bound = l
	return l, nil
}

// ServerAddr returns the address of the listener that Listen, MakeServer or
// ListenAndServe has opened, or nil.
func (s *Server) ServerAddr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound == nil {
		return nil
	}
	return s.bound.Addr()
}

// ListenAndServe serves on the listener of Listen until ctx is done, or Shutdown
// or Close is called. Then it lets the requests in flight end, for at most Drain
// if it was ctx, and returns nil or ErrServerClosed.
func (s *Server) ListenAndServe(ctx context.Context) error {
	l, err := s.listen()
	if err != nil {
		return err
	}
	drain := s.Drain
	if drain == 0 {
		drain = DefaultDrain
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		s.Shutdown(wait)
	})
	err = s.Serve(l)
	if stop() {
		return err
	}
	<-done
	if errors.Is(err, ErrServerClosed) {
		return nil
	}
	return err
}

// Serve accepts connections on l and serves them until Shutdown or Close; then
// it returns ErrServerClosed. It closes l. It may be called for several listeners
// at once.
func (s *Server) Serve(l net.Listener) error {
	if err := s.prepare(); err != nil {
		l.Close()
		return err
	}
	return s.acceptor.Serve(&listener{Listener: l, base: s.baseEnviron(l)})
}

func (s *Server) prepare() error {
	if s.App == nil {
		return errors.New("simpleserver: the server has no application: set App")
	}
	s.once.Do(s.init)
	return nil
}

// Shutdown stops accepting, and lets the requests in flight end. When ctx is done
// first, what is left is cancelled with cgi.ErrShutdown as the cause, and ctx's
// error is returned. It returns after every goroutine of the server has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(s.init)
	defer s.unbind()
	return s.acceptor.Shutdown(ctx, cgi.ErrShutdown)
}

// Close is Shutdown without waiting.
func (s *Server) Close() error {
	s.once.Do(s.init)
	defer s.unbind()
	return s.acceptor.Close(cgi.ErrShutdown)
}

func (s *Server) unbind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound != nil {
		s.bound.Close()
	}
}

func (s *Server) init() {
	s.limits = s.Limits.WithDefaults()
	s.head = headLimits{
		line:   positive(s.RequestLine, DefaultRequestLine),
		field:  positive(s.HeaderLine, DefaultHeaderLine),
		count:  positive(s.HeaderCount, DefaultHeaderCount),
		bytes:  s.limits.ParamsBytes,
		compat: s.Compat,
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.handler = s.Handler
	if s.handler == nil {
		s.handler = &cgi.Handler{Spool: s.limits.Spool}
		if s.ErrorLog != nil {
			s.handler.Log = slog.New(slog.NewTextHandler(s.ErrorLog, nil))
		}
	}
	s.acceptor.NewConn = s.newConn
	s.acceptor.Connections = s.limits.Connections
	s.acceptor.Log = s.log()
}

// positive returns n, or standard if n is no bound.
func positive(n, standard int) int {
	if n <= 0 {
		return standard
	}
	return n
}

func (s *Server) log() *slog.Logger {
	if s.handler.Log != nil {
		return s.handler.Log
	}
	return slog.Default()
}

// baseEnviron returns the variables that all requests of a listener share.
func (s *Server) baseEnviron(l net.Listener) *cgi.Environ {
	name, port := s.name(l.Addr())
	env := cgi.NewEnviron("SERVER_NAME="+name, "GATEWAY_INTERFACE=CGI/1.1", "SERVER_PORT="+port,
		"REMOTE_HOST=", "CONTENT_LENGTH=", "SCRIPT_NAME=")
	if s.BaseEnv != nil {
		for name, value := range s.BaseEnv.All() {
			env.Set(name, value)
		}
	}
	return env
}

// name returns SERVER_NAME and SERVER_PORT. Nothing is looked up in the DNS. A
// listener on all addresses has the name of the machine, as in wsgiref; one that is
// not TCP has localhost and port 80.
func (s *Server) name(a net.Addr) (name, port string) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return "localhost", "80"
	}
	port = strconv.Itoa(tcp.Port)
	name, _, _ = net.SplitHostPort(s.Addr)
	ip := tcp.IP
	if p := net.ParseIP(name); p != nil {
		name, ip = "", p
	}
	if name != "" {
		return name, port
	}
	if !ip.IsUnspecified() && ip != nil {
		name = ip.String()
		if strings.Contains(name, ":") {
			name = "[" + name + "]" // RFC 3875 § 4.1.14
		}
		return name, port
	}
	name, err := os.Hostname()
	if err != nil || name == "" {
		name = "localhost"
	}
	return name, port
}
