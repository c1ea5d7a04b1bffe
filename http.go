package gatehouse

import (
	"context"
	"log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/iis"
	"gatehouse/internal/frontend"
)

// An httpServer serves HTTP/1.1 on one listener, with the same limits as the other
// front-ends. The Acceptor owns the connections, and net/http serves them.
type httpServer struct {
	acceptor frontend.Acceptor
	current  frontend.Current[httpSettings]
	base     context.Context         // of every request …
	cancel   context.CancelCauseFunc // … and its end
	addr     net.Addr
	module   *iis.Module // that connects; nil for none …
	dismiss  *dismissal  // … and may ask the server to end

	mu       sync.Mutex // guards what follows
	handover *handover  // to net/http, of new connections
	serving  sync.WaitGroup
	closed   bool // no connection is passed to net/http any more
}

// httpSettings are what an httpServer serves requests with.
type httpSettings struct {
	handler http.Handler
	limits  cgi.Limits
}

func newHTTPServer(app cgi.App, h *cgi.Handler, limits cgi.Limits, peers frontend.Peers, l *slog.Logger) *httpServer {
	limits = limits.WithDefaults()
	s := new(httpServer)
	s.base, s.cancel = context.WithCancelCause(context.Background())
	s.current.Replace(newHTTPSettings(app, h, limits))
	s.acceptor.NewConn = func(_ context.Context, _ net.Listener, c net.Conn) frontend.Conn { return newHTTPConn(s, c) }
	s.acceptor.Connections, s.acceptor.Shared = limits.Connections, limits.Shared
	s.acceptor.Peers = peers
	s.acceptor.Log = l
	return s
}

func newHTTPSettings(app cgi.App, h *cgi.Handler, limits cgi.Limits) *frontend.Settings[httpSettings] {
	set := frontend.NewSettings(httpSettings{limits: limits})
	app = withGeneralOptions(app)
	set.T.handler = h.HTTP(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		set.Retain() // once more, for an application that is left behind by a time limit
		defer set.Release()
		return app.ServeCGI(w, r)
	}), limits)
	return set
}

// reconfigure has s serve requests that begin from now on with the settings of next, which
// serves nothing; see fastcgi.Server.Reconfigure. What net/http enforces applies to new
// connections.
func (s *httpServer) reconfigure(next *httpServer) (ended <-chan struct{}, err error) {
	if err := s.acceptor.Reconfigure(next.acceptor.Connections, next.acceptor.Peers); err != nil {
		return nil, err
	}
	old, limits := s.current.Get().limits, next.current.Get().limits
	ended = s.current.Replace(next.current.Take())
	if limits.Idle != old.Idle || limits.ParamsBytes != old.ParamsBytes {
		s.startServer(limits)
	}
	return ended, nil
}

// startServer has a http.Server of its own, whose fields must not change, serve new
// connections from now on. Others go on to serve those that they have.
func (s *httpServer) startServer(limits cgi.Limits) {
	server := &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout: timeout(limits.Idle),
		IdleTimeout:       timeout(limits.Idle),
		MaxHeaderBytes:    limits.ParamsBytes,
		ErrorLog:          log.New(serverLog{&s.acceptor}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return s.base },
		ConnState:         func(c net.Conn, state http.ConnState) { c.(*httpConn).setState(state) },
		// net/http would respond to "OPTIONS *" and keep the connection, whatever its framing.
		DisableGeneralOptionsHandler: true,
	}
	h := &handover{addr: s.addr, conns: make(chan net.Conn), stopped: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.handover != nil {
		s.handover.Close()
	}
	s.handover = h
	s.serving.Go(func() { server.Serve(h) })
}

// pass passes a connection to net/http, and reports false if it has stopped.
func (s *httpServer) pass(c net.Conn) bool {
	for {
		s.mu.Lock()
		h, closed := s.handover, s.closed
		s.mu.Unlock()
		if closed {
			return false
		}
		select {
		case h.conns <- c:
			return true
		case <-h.stopped:
		}
	}
}

// stop ends the goroutines of net/http that accept connections.
func (s *httpServer) stop() {
	s.mu.Lock()
	s.closed = true
	s.handover.Close()
	s.mu.Unlock()
	s.serving.Wait()
}

// withGeneralOptions responds to "OPTIONS *", which asks about the server and not about an
// application (RFC 9110 § 9.3.7).
func withGeneralOptions(app cgi.App) cgi.App {
	return cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if r.Env.Get("REQUEST_URI") == "*" && r.Env.Get("REQUEST_METHOD") == http.MethodOptions {
			return w.StartResponse("200 OK", nil)
		}
		return app.ServeCGI(w, r)
	})
}

// timeout returns a limit in the form of net/http: 0 for none.
func timeout(d time.Duration) time.Duration {
	if d == math.MaxInt64 {
		return 0
	}
	return d
}

// Serve serves the connections of l, once.
func (s *httpServer) Serve(l net.Listener) error {
	s.addr = l.Addr()
	s.startServer(s.current.Get().limits)
	defer s.stop()
	return s.acceptor.Serve(l)
}

// Shutdown stops accepting and lets the requests in flight finish. When ctx is done, it
// cuts off the rest and returns ctx's error. It returns after every connection has ended.
// It does not use net/http's Shutdown, which closes connections that it takes for idle
// while a request is in their sockets.
func (s *httpServer) Shutdown(ctx context.Context) error {
	err := s.acceptor.Shutdown(ctx, cgi.ErrShutdown)
	s.cancel(cgi.ErrShutdown)
	return err
}

// Connections returns the figures of the connections.
func (s *httpServer) Connections() cgi.ConnectionStats { return s.acceptor.Stats() }

// serveHTTP serves a request with what is current. While the server drains, it makes
// requests the last ones of their connections, and says so to the client.
func (s *httpServer) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if s.acceptor.Draining() {
		w.Header().Set("Connection", "close")
	}
	if s.module != nil {
		if r = s.admit(w, r); r == nil {
			return
		}
	}
	set := s.current.Acquire()
	defer set.Release()
	set.T.handler.ServeHTTP(w, r)
}

// A handover is the listener that passes connections to net/http.
type handover struct {
	addr    net.Addr
	conns   chan net.Conn
	stopped chan struct{} // closed when net/http accepts no more of them
	once    sync.Once
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.stopped:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.stopped) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.addr }

// A serverLog passes on the error log of net/http, which clients can fill.
type serverLog struct{ acceptor *frontend.Acceptor }

func (l serverLog) Write(p []byte) (int, error) {
	l.acceptor.Warn("http", "error", strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
