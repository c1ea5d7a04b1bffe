package gatehouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/scgi"
)

// A frontEnd serves one listener. Serve returns [http.ErrServerClosed] after Shutdown.
// Shutdown cuts off the remaining requests when its context is done.
type frontEnd interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// A group holds the front-ends of a running Server.
type group struct {
	fronts  []frontEnd
	failed  chan error    // receives the error of each endpoint that fails
	served  chan struct{} // closed when no endpoint is served any more
	serving sync.WaitGroup
}

// start starts to serve the endpoints, and logs a line for each. It returns when their
// front-ends know of them, so that shutdown finds what is queued. The caller must call
// shutdown.
func (s *Server) start(endpoints []Endpoint) *group {
	g := &group{failed: make(chan error, len(endpoints)), served: make(chan struct{})}
	limits := s.share(endpoints)
	handler := s.handler(limits)
	var beginning sync.WaitGroup
	for _, e := range endpoints {
		beginning.Add(1)
		begun := sync.OnceFunc(beginning.Done)
		f := s.frontEnd(e, limits, handler, func(net.Listener) context.Context {
			defer begun()
			return s.watch.base(e)
		})
		g.fronts = append(g.fronts, f)
		attrs := []any{"protocol", string(e.Protocol), "address", addressOf(e)}
		if a := e.Listener.Addr(); a.Network() == "unix" {
			attrs = append(attrs, socketAttrs(a.String())...)
		}
		s.log().Info("listening", attrs...)
		g.serving.Go(func() {
			defer begun()
			g.serve(f, e)
		})
	}
	beginning.Wait()
	go func() {
		g.serving.Wait()
		close(g.served)
	}()
	return g
}

// addressOf names an endpoint in the log.
func addressOf(e Endpoint) string {
	a := e.Listener.Addr()
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

// frontEnd returns the front-end for an endpoint. It calls base when it has begun.
func (s *Server) frontEnd(e Endpoint, limits cgi.Limits, handler *cgi.Handler, base func(net.Listener) context.Context) frontEnd {
	if e.Once {
		limits.Connections = 1
	}
	app, authorizer := s.watch.count(s.App), s.watch.count(s.Authorizer)
	switch e.Protocol {
	case FastCGI:
		return &fastcgi.Server{App: app, Authorizer: authorizer, Handler: handler, Limits: limits, Paths: s.Paths,
			Allow: e.Allow, AllowUsers: e.AllowUsers, WebServerAddrs: e.WebServerAddrs, HalfClose: e.HalfClose,
			NoMultiplexing: s.NoMultiplexing, Log: s.log(), BaseContext: base}
	case SCGI:
		return &scgi.Server{App: app, Handler: handler, Limits: limits, Paths: s.Paths,
			Allow: e.Allow, AllowUsers: e.AllowUsers, HalfClose: e.HalfClose, Log: s.log(), BaseContext: base}
	case HTTP:
		f := newHTTPServer(app, handler, limits, e.peers(), s.log())
		f.acceptor.BaseContext = base
		return f
	}
	panic("gatehouse: internal error: no front-end for " + string(e.Protocol))
}

// serve runs a front-end until it ends.
func (g *group) serve(f frontEnd, e Endpoint) {
	err := f.Serve(e.Listener)
	if err == nil || errors.Is(err, http.ErrServerClosed) || e.Once && errors.Is(err, errServed) {
		return
	}
	g.failed <- fmt.Errorf("%s on %s: %w", e.Protocol, addressOf(e), err)
}

// shutdown stops accepting and lets the requests in flight finish. When ctx is done, it
// cuts off the rest and returns ctx's error. It returns after every goroutine of the
// group has ended.
func (g *group) shutdown(ctx context.Context) error {
	errs := make([]error, len(g.fronts))
	var all sync.WaitGroup
	for i, f := range g.fronts {
		all.Go(func() { errs[i] = f.Shutdown(ctx) })
	}
	all.Wait()
	<-g.served
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
