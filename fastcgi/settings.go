package fastcgi

import (
	"log/slog"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// settings are what a Server serves requests with.
type settings struct {
	responder, authorizer, filter cgi.App

	handler     *cgi.Handler
	limits      cgi.Limits
	paths       cgi.PathPolicy
	halfClose   bool
	noStderr    bool
	requestsKey string // what bounds the requests of a connection
}

// app returns the application that plays a role, or nil.
func (s *settings) app(role cgi.Role) cgi.App {
	switch role {
	case cgi.Responder:
		return s.responder
	case cgi.Authorizer:
		return s.authorizer
	case cgi.Filter:
		return s.filter
	}
	return nil
}

// settings returns those in the fields of s.
func (s *Server) settings(log *slog.Logger) settings {
	set := settings{responder: s.App, authorizer: s.Authorizer, filter: s.Filter,
		handler: s.Handler, limits: s.Limits.WithDefaults(), paths: s.Paths, halfClose: s.HalfClose, noStderr: s.NoStderr, requestsKey: "max_requests"}
	if s.NoMultiplexing {
		set.limits.Requests, set.requestsKey = 1, "multiplex"
	}
	if set.handler == nil {
		set.handler = &cgi.Handler{Log: log, Spool: set.limits.Spool}
	}
	return set
}

func (s *Server) peers() frontend.Peers {
	return frontend.Peers{Allow: s.Allow, WebServers: s.WebServerAddrs, Users: s.AllowUsers}
}

// Reconfigure has s serve what begins from now on with the fields of next, which must not be
// changed any more. No connection is closed. A request that has begun keeps the applications,
// the Handler, Paths, NoStderr, and the limits of its body to its end. Who may connect, HalfClose and
// Limits.ParamsTotal apply to new connections, and all other limits at once.
//
// Log, ErrorLog, BaseContext, ConnContext and Limits.Shared stay as they are, and so do the
// totals of Limits and the numbers of requests where next has none of its own.
//
// ended is closed when the last request that began before has ended, so that its applications
// can be closed. After an error nothing has changed.
func (s *Server) Reconfigure(next *Server) (ended <-chan struct{}, err error) {
	if err := next.check(); err != nil {
		return nil, err
	}
	s.once.Do(s.init)
	old := s.current.Get()
	next.Limits = next.Limits.KeepTotals(old.limits)
	set := next.settings(s.logger)
	if next.Handler == nil {
		set.handler.ContinueFrom(old.handler)
	}
	if err := s.acceptor.Reconfigure(set.limits.Connections, next.peers()); err != nil {
		return nil, err
	}
	return s.current.Replace(frontend.NewSettings(set)), nil
}
