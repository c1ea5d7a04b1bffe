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
	"gatehouse/internal/frontend"
)

// An httpServer serves HTTP/1.1 on one listener, with the same limits as the other
// front-ends. The Acceptor owns the connections, and net/http serves them.
type httpServer struct {
	acceptor frontend.Acceptor
	limits   cgi.Limits
	server   *http.Server
	accepted chan net.Conn
	stopped  chan struct{}           // closed when net/http accepts no more of them
	cancel   context.CancelCauseFunc // of every request's context
}

func newHTTPServer(app cgi.App, h *cgi.Handler, limits cgi.Limits, peers frontend.Peers, l *slog.Logger) *httpServer {
	limits = limits.WithDefaults()
	base, cancel := context.WithCancelCause(context.Background())
	s := &httpServer{limits: limits, accepted: make(chan net.Conn), stopped: make(chan struct{}), cancel: cancel}
	s.acceptor.NewConn = func(_ context.Context, _ net.Listener, c net.Conn) frontend.Conn { return newHTTPConn(s, c) }
	s.acceptor.Connections, s.acceptor.Shared = limits.Connections, limits.Shared
	s.acceptor.Peers = peers
	s.acceptor.Log = l
	s.server = &http.Server{
		Handler:           s.lastWhenDraining(h.HTTP(withGeneralOptions(app), limits)),
		ReadHeaderTimeout: timeout(limits.Idle),
		IdleTimeout:       timeout(limits.Idle),
		MaxHeaderBytes:    limits.ParamsBytes,
		ErrorLog:          log.New(serverLog{&s.acceptor}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnState:         func(c net.Conn, state http.ConnState) { c.(*httpConn).setState(state) },
		// net/http would respond to "OPTIONS *" and keep the connection, whatever its framing.
		DisableGeneralOptionsHandler: true,
	}
	return s
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
	h := &handover{server: s, addr: l.Addr()}
	var serving sync.WaitGroup
	serving.Go(func() { s.server.Serve(h) })
	defer serving.Wait()
	defer h.Close()
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

// lastWhenDraining makes requests the last ones of their connections while the server
// drains, and says so to the client.
func (s *httpServer) lastWhenDraining(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.acceptor.Draining() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// A handover is the listener that passes connections to net/http.
type handover struct {
	server *httpServer
	addr   net.Addr
	once   sync.Once
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.server.accepted:
		return c, nil
	case <-h.server.stopped:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.server.stopped) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.addr }

// A serverLog passes on the error log of net/http, which clients can fill.
type serverLog struct{ acceptor *frontend.Acceptor }

func (l serverLog) Write(p []byte) (int, error) {
	l.acceptor.Warn("http", "error", strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
