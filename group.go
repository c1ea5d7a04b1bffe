package gatehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/scgi"
)

// A frontEnd serves one listener. Serve returns [http.ErrServerClosed] after Shutdown.
// Shutdown cuts off the remaining requests when its context is done.
type frontEnd interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Connections() cgi.ConnectionStats
}

// A group holds the front-ends of a running Server.
type group struct {
	failed chan error    // receives the error of an endpoint that fails
	served chan struct{} // closed when no endpoint is served any more
	over   chan struct{} // closed at the end of shutdown

	mu       sync.Mutex // guards what follows
	server   *Server    // the one whose fields apply
	limits   cgi.Limits
	handler  *cgi.Handler
	room     room
	fronts   []*front
	retired  map[frontEnd]Protocol            // they drain because their endpoints are no longer served
	past     map[Protocol]cgi.ConnectionStats // of those that have ended
	began    time.Time
	serving  int // calls of Serve
	closing  bool
	retiring sync.WaitGroup
}

// A front serves an endpoint.
type front struct {
	Endpoint
	frontEnd
	listener *stoppable
}

// A stoppable is a listener that tells when it accepts no new connections any more.
type stoppable struct {
	net.Listener
	once    sync.Once
	stopped chan struct{}
}

// Refuse is that of a frontend.Listener.
func (l *stoppable) Refuse() bool {
	own, ok := l.Listener.(interface{ Refuse() bool })
	if !ok || !own.Refuse() {
		return false
	}
	l.stop()
	return true
}

func (l *stoppable) Close() error {
	defer l.stop()
	return l.Listener.Close()
}

// SyscallConn implements [syscall.Conn].
func (l *stoppable) SyscallConn() (syscall.RawConn, error) {
	c, ok := l.Listener.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return c.SyscallConn()
}

func (l *stoppable) stop() { l.once.Do(func() { close(l.stopped) }) }

// start starts to serve the endpoints, and logs a line for each. It returns when their
// front-ends know of them, so that shutdown finds what is queued. The caller must call
// shutdown.
func (s *Server) start(endpoints []Endpoint) *group {
	g := &group{failed: make(chan error, 1), served: make(chan struct{}), over: make(chan struct{}),
		server: s, room: newRoom(s), retired: make(map[frontEnd]Protocol), past: make(map[Protocol]cgi.ConnectionStats), began: time.Now()}
	g.limits = g.room.share(s, endpoints, cgi.Limits{})
	g.handler = s.handler(g.limits)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.begin(endpoints)
	return g
}

// begin starts to serve endpoints. mu is held.
func (g *group) begin(endpoints []Endpoint) {
	s := g.server
	var beginning sync.WaitGroup
	for _, e := range endpoints {
		beginning.Add(1)
		begun := sync.OnceFunc(beginning.Done)
		f := s.frontEnd(e, g.limits, g.handler, func(net.Listener) context.Context {
			defer begun()
			return s.watch.base(e)
		})
		l := &stoppable{Listener: e.Listener, stopped: make(chan struct{})}
		g.fronts = append(g.fronts, &front{e, f, l})
		attrs := []any{"protocol", string(e.Protocol), "address", addressOf(e)}
		if a := e.Listener.Addr(); a.Network() == "unix" {
			attrs = append(attrs, socketAttrs(a.String())...)
		}
		s.log().Info("listening", attrs...)
		g.serving++
		go func() {
			err := f.Serve(l)
			begun()
			g.ended(e, err)
		}()
	}
	beginning.Wait()
}

// addressOf names an endpoint in the log.
func addressOf(e Endpoint) string {
	a := e.Listener.Addr()
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	if name, ok := strings.CutPrefix(a.String(), `\\.\pipe\`); ok {
		return "npipe:" + name
	}
	return a.String()
}

// frontEnd returns the front-end for an endpoint. It calls base when it has begun.
func (s *Server) frontEnd(e Endpoint, limits cgi.Limits, handler *cgi.Handler, base func(net.Listener) context.Context) frontEnd {
	app, pipe := s.App, e.pipe()
	switch {
	case pipe != nil:
		limits.Idle = -1 // IIS says when the process is to end
		app = behindIIS(app, s.Paths)
	case e.Once:
		limits.Connections = 1
	}
	app, authorizer := s.watch.count(app), s.watch.count(s.Authorizer)
	switch e.Protocol {
	case FastCGI:
		return &fastcgi.Server{App: app, Authorizer: authorizer, Handler: handler, Limits: limits, Paths: s.Paths,
			Allow: e.Allow, AllowUsers: e.AllowUsers, WebServerAddrs: e.WebServerAddrs, HalfClose: e.HalfClose,
			NoMultiplexing: s.NoMultiplexing || pipe != nil, NoStderr: pipe != nil, Log: s.log(), BaseContext: base}
	case SCGI:
		return &scgi.Server{App: app, Handler: handler, Limits: limits, Paths: s.Paths,
			Allow: e.Allow, AllowUsers: e.AllowUsers, HalfClose: e.HalfClose, Log: s.log(), BaseContext: base}
	case HTTP:
		f := newHTTPServer(app, handler, limits, e.peers(), s.log())
		f.acceptor.BaseContext = base
		f.module, f.dismiss = e.Module, s.dismiss
		return f
	}
	panic("gatehouse: internal error: no front-end for " + string(e.Protocol))
}

// ended notes that an endpoint is no longer served.
func (g *group) ended(e Endpoint, err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !(e.Once && (errors.Is(err, errServed) || errors.Is(err, io.EOF))) {
		select {
		case g.failed <- fmt.Errorf("%s on %s: %w", e.Protocol, addressOf(e), err):
		default: // one is enough
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.release()
}

// release notes that one endpoint less is served. mu is held.
func (g *group) release() {
	if g.serving--; g.serving == 0 {
		g.closing = true
		close(g.served)
	}
}

// shutdown stops accepting and lets the requests in flight finish. When ctx is done, it
// cuts off the rest and returns ctx's error. It returns after every goroutine of the
// group has ended.
func (g *group) shutdown(ctx context.Context) error {
	g.mu.Lock()
	g.closing = true
	fronts := slices.Collect(maps.Keys(g.retired))
	for _, f := range g.fronts {
		fronts = append(fronts, f.frontEnd)
	}
	g.mu.Unlock()
	errs := make([]error, len(fronts))
	var all sync.WaitGroup
	for i, f := range fronts {
		all.Go(func() { errs[i] = f.Shutdown(ctx) })
	}
	all.Wait()
	<-g.served
	g.mu.Lock()
	select {
	case <-g.over:
	default:
		close(g.over)
	}
	g.mu.Unlock()
	g.retiring.Wait()
	return cmp.Or(errs...)
}
