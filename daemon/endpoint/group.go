package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/scgi"
	"gatehouse/systemd"
)

// A frontEnd serves one listener.
type frontEnd interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

// A Group serves one application on several endpoints. Its fields must not be
// changed after Start.
type Group struct {
	App cgi.App
	// Authorizer answers FastCGI's requests of that role. If nil, they are refused.
	Authorizer cgi.App
	Handler    *cgi.Handler // if nil, one that logs to Log
	Limits     cgi.Limits
	Paths      cgi.PathPolicy
	Log        *slog.Logger // if nil, slog.Default()

	// NoMultiplexing keeps FastCGI connections to one request at a time.
	NoMultiplexing bool

	fronts []frontEnd
	failed chan error
	served chan struct{} // closed when every endpoint has come to its own end
	ending sync.WaitGroup
}

func (g *Group) log() *slog.Logger {
	if g.Log != nil {
		return g.Log
	}
	return slog.Default()
}

// Start begins to serve the endpoints, with one log line for each, and returns.
// It owns their listeners from then on. Shutdown must follow.
func (g *Group) Start(endpoints []Endpoint) {
	handler := g.Handler
	if handler == nil {
		handler = &cgi.Handler{Log: g.log()}
	}
	g.failed = make(chan error, len(endpoints))
	g.served = make(chan struct{})
	for _, e := range endpoints {
		f := g.frontEnd(e, handler)
		g.fronts = append(g.fronts, f)
		g.log().Info("listening", "protocol", string(e.Protocol), "address", addressOf(e))
		g.ending.Go(func() { g.serve(f, e) })
	}
	go func() {
		g.ending.Wait()
		close(g.served)
	}()
}

// addressOf names an endpoint in the log.
func addressOf(e Endpoint) string {
	a := e.Listener.Addr()
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

func (g *Group) frontEnd(e Endpoint, handler *cgi.Handler) frontEnd {
	limits := g.Limits
	if e.Once {
		limits.Connections = 1
	}
	switch e.Protocol {
	case systemd.FastCGI:
		return &fastcgi.Server{App: g.App, Authorizer: g.Authorizer, Handler: handler, Limits: limits, Paths: g.Paths,
			Allow: e.Allow, AllowUsers: e.AllowUsers, WebServerAddrs: e.WebServerAddrs, HalfClose: e.HalfClose,
			NoMultiplexing: g.NoMultiplexing, Log: g.log()}
	case systemd.SCGI:
		return &scgi.Server{App: g.App, Handler: handler, Limits: limits, Paths: g.Paths,
			Allow: e.Allow, AllowUsers: e.AllowUsers, HalfClose: e.HalfClose, Log: g.log()}
	case systemd.HTTP:
		return newHTTPServer(g.App, handler, limits, e.peers(), g.log())
	}
	panic("endpoint: internal error: no front-end for " + string(e.Protocol))
}

// serve runs a front-end to its end.
func (g *Group) serve(f frontEnd, e Endpoint) {
	err := f.Serve(e.Listener)
	if err == nil || errors.Is(err, http.ErrServerClosed) || e.Once && errors.Is(err, errServed) {
		return
	}
	g.failed <- fmt.Errorf("%s on %s: %w", e.Protocol, addressOf(e), err)
}

// Failed returns a channel with the error of each endpoint that failed.
func (g *Group) Failed() <-chan error { return g.failed }

// Served returns a channel that is closed when every endpoint has come to its
// end: the only connection has been served, or accepting has failed or was stopped.
func (g *Group) Served() <-chan struct{} { return g.served }

// Shutdown stops accepting and lets the requests in flight end. At the end of ctx
// the rest is cut off, and ctx's error returned. It returns after every goroutine of
// the group has ended.
func (g *Group) Shutdown(ctx context.Context) error {
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
