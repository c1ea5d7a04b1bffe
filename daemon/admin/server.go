package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is how many connections to a listener are open at most.
const maxConnections = 64

// Descriptors is how many descriptors a listener takes at most.
const Descriptors = maxConnections + 2

// An Endpoint is a listener, and what is served there.
type Endpoint struct {
	Listener net.Listener

	// Metrics says that there are only those of [Handler.Metrics].
	Metrics bool

	// Refuse, if not nil, returns why a peer may not connect, or nil.
	Refuse func(net.Conn) error
}

// A Server serves a Handler on listeners, which may change while it does.
type Server struct {
	Handler *Handler
	Log     *slog.Logger

	mu      sync.Mutex
	serving map[net.Listener]*http.Server
	logged  time.Time // when a refusal last was
	all     sync.WaitGroup
}

// Serve begins to serve the endpoints that are new, and stops to serve those that are not
// there any more, whose listeners it closes. It does not wait for requests on those.
func (s *Server) Serve(endpoints []Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.serving
	s.serving = make(map[net.Listener]*http.Server)
	for _, e := range endpoints {
		if old, ok := left[e.Listener]; ok {
			s.serving[e.Listener] = old
			delete(left, e.Listener)
			continue
		}
		s.serving[e.Listener] = s.start(e)
	}
	for _, old := range left {
		s.all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if old.Shutdown(ctx) != nil {
				old.Close()
			}
		})
	}
}

// start serves an endpoint in the background.
func (s *Server) start(e Endpoint) *http.Server {
	life, end := context.WithCancel(context.Background())
	server := &http.Server{
		Handler: s.Handler, ReadHeaderTimeout: patience, ReadTimeout: 2 * patience, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return life },
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, 0), // of what clients do wrong
	}
	if e.Metrics {
		server.Handler = s.Handler.Metrics()
	}
	server.RegisterOnShutdown(end)
	what := "admin"
	if e.Metrics {
		what = "metrics"
	}
	s.Log.Info("listening", "protocol", what, "address", addressOf(e.Listener.Addr()))
	l := &limitedListener{Listener: e.Listener, endpoint: e, places: make(chan struct{}, maxConnections), refuse: s.refuse}
	s.all.Go(func() {
		defer end()
		if err := server.Serve(l); err != http.ErrServerClosed {
			s.Log.Error("the admin address is not served any more", "address", addressOf(e.Listener.Addr()), "error", err)
		}
	})
	return server
}

// addressOf returns an address in the form that a configuration has.
func addressOf(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

// refusalPause is the least time between two lines of the log about connections that were
// refused.
const refusalPause = 10 * time.Second

// refuse counts a connection that was closed at once, and may log it.
func (s *Server) refuse(c net.Conn, err error) {
	s.Handler.refused.Add(1)
	s.mu.Lock()
	due := time.Since(s.logged) > refusalPause
	if due {
		s.logged = time.Now()
	}
	s.mu.Unlock()
	if due {
		s.Log.Warn("connection to an admin address refused", "address", addressOf(c.LocalAddr()), "peer", c.RemoteAddr().String(), "error", err)
	}
}

// Close closes the listeners, ends what is under way after a second at most, and waits for
// that.
func (s *Server) Close() {
	s.Serve(nil)
	s.all.Wait()
}

var errTooMany = fmt.Errorf("there are %d already", maxConnections)

// A limitedListener closes connections that may not be, or are too many, at once: a client
// that is not answered is better than an administrator who waits behind a thousand of them.
type limitedListener struct {
	net.Listener
	endpoint Endpoint
	places   chan struct{}
	refuse   func(net.Conn, error)
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.endpoint.Refuse != nil {
			if err := l.endpoint.Refuse(c); err != nil {
				l.refuse(c, err)
				c.Close()
				continue
			}
		}
		select {
		case l.places <- struct{}{}:
			return &limitedConn{Conn: c, places: l.places}, nil
		default:
			l.refuse(c, errTooMany)
			c.Close()
		}
	}
}

// A limitedConn gives its place back once it is closed.
type limitedConn struct {
	net.Conn
	places chan struct{}
	once   sync.Once
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.once.Do(func() { <-c.places })
	return c.Conn.Close()
}
