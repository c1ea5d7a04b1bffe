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

// A frontEnd serves one listener. Its Serve returns [http.ErrServerClosed] after
// Shutdown, which cuts off what is left when its context is done.
type frontEnd interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// A group is the front-ends of a Server that serves.
type group struct {
	fronts []frontEnd
	failed chan error    // gets the error of each endpoint that failed
	served chan struct{} // closed when every endpoint has come to its end
	ending sync.WaitGroup
}

// start begins to serve the endpoints, with one log line for each. shutdown must
// follow.
func (s *Server) start(endpoints []Endpoint) *group {
	g := &group{failed: make(chan error, len(endpoints)), served: make(chan struct{})}
	handler := s.handler()
	for _, e := range endpoints {
		f := s.frontEnd(e, handler)
		g.fronts = append(g.fronts, f)
		attrs := []any{"protocol", string(e.Protocol), "address", addressOf(e)}
		if a := e.Listener.Addr(); a.Network() == "unix" {
			attrs = append(attrs, socketAttrs(a.String())...)
		}
		s.log().Info("listening", attrs...)
		g.ending.Go(func() { g.serve(f, e) })
	}
	go func() {
		g.ending.Wait()
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

func (s *Server) frontEnd(e Endpoint, handler *cgi.Handler) frontEnd {
	limits := s.Limits
	if e.Once {
		limits.Connections = 1
	}
	switch e.Protocol {
	case FastCGI:
		return &fastcgi.Server{App: s.App, Authorizer: s.Authorizer, Handler: handler, Limits: limits, Paths: s.Paths,
			Allow: e.Allow, AllowUsers: e.AllowUsers, WebServerAddrs: e.WebServerAddrs, HalfClose: e.HalfClose,
			NoMultiplexing: s.NoMultiplexing, Log: s.log()}
	case SCGI:
		return &scgi.Server{App: s.App, Handler: handler, Limits: limits, Paths: s.Paths,
			Allow: e.Allow, AllowUsers: e.AllowUsers, HalfClose: e.HalfClose, Log: s.log()}
	case HTTP:
		return newHTTPServer(s.App, handler, limits, e.peers(), s.log())
	}
	panic("gatehouse: internal error: no front-end for " + string(e.Protocol))
}

// serve runs a front-end to its end.
func (g *group) serve(f frontEnd, e Endpoint) {
	err := f.Serve(e.Listener)
	if err == nil || errors.Is(err, http.ErrServerClosed) || e.Once && errors.Is(err, errServed) {
		return
	}
	g.failed <- fmt.Errorf("%s on %s: %w", e.Protocol, addressOf(e), err)
}

// shutdown stops accepting and lets the requests in flight end. At the end of ctx
// the rest is cut off, and ctx's error returned. It returns after every goroutine of
// the group has ended.
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
