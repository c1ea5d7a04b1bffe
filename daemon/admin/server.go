package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/cgi"
)

// Descriptors is how many descriptors a listener takes at most, with those that it takes to
// look at what is shown.
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
	serving map[net.Listener]*service
	logged  time.Time      // when a refusal last was
	all     sync.WaitGroup // of listeners and connections
}

// A service is what serves one listener.
type service struct {
	http     *http.Server
	listener *listener
	end      context.CancelFunc // ends what goes on until the client leaves
}

// Serve serves the endpoints from now on: those that are new, those that it serves already as
// they are now, and no others. The listeners of others are closed when it returns; their
// requests have a second.
func (s *Server) Serve(endpoints []Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.serving
	s.serving = make(map[net.Listener]*service)
	var fresh []Endpoint
	for _, e := range endpoints {
		old, ok := before[e.Listener]
		if !ok {
			fresh = append(fresh, e)
			continue
		}
		old.listener.endpoint.Store(&e)
		s.serving[e.Listener] = old
		delete(before, e.Listener)
	}
	for _, old := range before { // first: one that is new may have the socket of one of them
		s.stop(old)
	}
	for _, e := range fresh {
		s.serving[e.Listener] = s.start(e)
	}
}

// Leave is Serve without the endpoint of a listener, if it has that.
func (s *Server) Leave(l net.Listener) (had bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, had := s.serving[l]
	if had {
		delete(s.serving, l)
		s.stop(old)
	}
	return had
}

// stop closes a listener at once, and its connections in the background. mu is held.
func (s *Server) stop(old *service) {
	old.listener.Close()
	old.end()
	s.all.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if old.http.Shutdown(ctx) != nil {
			old.http.Close()
		}
	})
}

// start serves an endpoint in the background.
func (s *Server) start(e Endpoint) *service {
	life, end := context.WithCancel(context.Background())
	l := newListener(e, s.refuse, s.acceptFailed)
	metrics := s.Handler.Metrics()
	server := &http.Server{
		ReadHeaderTimeout: patience, ReadTimeout: patience, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return life },
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, 0), // of what clients do wrong
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if l.endpoint.Load().Metrics {
				metrics.ServeHTTP(w, r)
				return
			}
			s.Handler.ServeHTTP(w, r)
		}),
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // on the goroutine of Serve
				s.all.Add(1)
			case http.StateClosed:
				defer s.all.Done()
			}
			c.(*conn).note(state)
		},
	}
	what := "admin"
	if e.Metrics {
		what = "metrics"
	}
	s.Log.Info("listening", "protocol", what, "address", addressOf(e.Listener.Addr()))
	s.all.Go(func() { server.Serve(l) }) // until l is closed
	return &service{server, l, end}
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
	if s.isDue() {
		s.Log.Warn("connection to an admin address refused", "address", addressOf(c.LocalAddr()), "peer", c.RemoteAddr().String(), "error", err)
	}
}

// acceptFailed may log that no connection could be accepted.
func (s *Server) acceptFailed(a net.Addr, err error) {
	if !s.isDue() {
		return
	}
	if remedy := cgi.Remedy(err); remedy != "" {
		err = fmt.Errorf("%w: %s", err, remedy)
	}
	s.Log.Error("no connection to an admin address can be accepted, trying again", "address", addressOf(a), "error", err)
}

// isDue reports whether a line of the log is due, and notes that it is written.
func (s *Server) isDue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := time.Since(s.logged) > refusalPause
	if due {
		s.logged = time.Now()
	}
	return due
}

// Close closes the listeners, ends what is under way after a second at most, and waits for
// that.
func (s *Server) Close() {
	s.Serve(nil)
	s.all.Wait()
}
