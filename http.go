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
	s.acceptor.Connections = limits.Connections
	s.acceptor.Peers = peers
	s.acceptor.Log = l
	s.server = &http.Server{
		Handler:           h.HTTP(app, limits),
		ReadHeaderTimeout: timeout(limits.Idle),
		IdleTimeout:       timeout(limits.Idle),
		MaxHeaderBytes:    limits.ParamsBytes,
		ErrorLog:          log.New(serverLog{l}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnState:         func(c net.Conn, state http.ConnState) { c.(*httpConn).setState(state) },
	}
	return s
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
func (s *httpServer) Shutdown(ctx context.Context) error {
	idle, stop := context.WithCancel(ctx)
	var closing sync.WaitGroup
	closing.Go(func() { s.server.Shutdown(idle) }) // closes connections as they become idle
	err := s.acceptor.Shutdown(ctx, cgi.ErrShutdown)
	stop()
	closing.Wait()
	s.cancel(cgi.ErrShutdown)
	return err
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

// A serverLog passes the error log of net/http to a slog.Logger.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(p []byte) (int, error) {
	l.log.Warn("http", "error", strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
