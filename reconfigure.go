package gatehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/scgi"
)

// Reconfigure has s go on with the fields of next: what begins from now on is served by next's
// App. No connection is closed, and no request lost. Next must not be used otherwise, nor its
// fields changed any more. Reconfigure waits until Serve has begun.
//
// An endpoint stays if next has one with the same Listener, which must be comparable, as
// pointers are, and the same Protocol and Once. Others of next are new. Those of s that next
// does not have are no longer served: their listeners are closed, and their connections
// drained, without a limit of time until Serve drains the rest. If next has no Endpoints, those
// of s stay, with the same peers.
//
// A request that has begun keeps App, Handler, Paths, and the limits of its body, to its end.
// Who may connect, HalfClose and Limits.ParamsTotal apply to new connections, over HTTP also
// Limits.Idle and Limits.ParamsBytes; all other limits at once. Drain and Overdue apply when
// Serve drains. Log, HTTP and Limits.Shared stay as they are, and so do the totals of Limits where
// next has none. The numbers and the figures of requests go on, unless next has a Handler that has
// run requests already.
//
// ended is closed when the last request that began before has ended, so that its App can be
// closed; at the latest when Serve returns. Over HTTP, it is not waited for an App that a time
// limit of its Handler has left behind once Serve returns.
//
// After an error nothing has changed, and the listeners that are only in next are the
// caller's. It is [http.ErrServerClosed] when Serve drains or has returned.
func (s *Server) Reconfigure(next *Server) (ended <-chan struct{}, err error) {
	s.untilClose()
	<-s.begun
	g := s.running
	if g == nil {
		return nil, http.ErrServerClosed
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return nil, http.ErrServerClosed
	}
	next.Log, next.watch, next.dismiss = s.Log, s.watch, s.dismiss
	endpoints := next.Endpoints
	if len(endpoints) == 0 {
		for _, f := range g.fronts {
			endpoints = append(endpoints, f.Endpoint)
		}
	}
	if err := g.check(next, endpoints); err != nil {
		return nil, fmt.Errorf("gatehouse: %w", err)
	}
	g.limits = g.room.share(next, endpoints, g.limits)
	handler := next.handler(g.limits)
	if handler != g.handler && !handler.HasBegun() {
		handler.ContinueFrom(g.handler)
	}
	g.server, g.handler = next, handler
	return g.replace(endpoints), nil
}

// check returns why the group cannot serve next with endpoints. mu is held.
func (g *group) check(next *Server, endpoints []Endpoint) error {
	if next.App == nil {
		return errors.New("the server has no application: set App")
	}
	for _, e := range endpoints {
		peers := e.peers()
		if err := cmp.Or(e.checkProtocol(), peers.Check()); err != nil {
			return err
		}
		if f := g.find(e); f != nil && (f.Protocol != e.Protocol || f.Once != e.Once) {
			return fmt.Errorf("endpoint %s: the protocol of a listener that is served cannot be changed: open another one", addressOf(e))
		}
	}
	return nil
}

// find returns the front that serves the listener of e, or nil. mu is held.
func (g *group) find(e Endpoint) *front {
	i := slices.IndexFunc(g.fronts, func(f *front) bool { return f.Listener == e.Listener })
	if i < 0 {
		return nil
	}
	return g.fronts[i]
}

// replace has the group serve endpoints, in place of those that it serves, with what is set.
// The channel is closed when the last request that began before has ended. mu is held.
func (g *group) replace(endpoints []Endpoint) (ended <-chan struct{}) {
	old := g.fronts
	var stay []*front
	var fresh []Endpoint
	var waits []<-chan struct{}
	for _, e := range endpoints {
		f := g.find(e)
		if f == nil {
			fresh = append(fresh, e)
			continue
		}
		f.Endpoint = e
		stay = append(stay, f)
		waits = append(waits, g.reconfigure(f))
	}
	g.fronts = stay
	if f := g.server.Listening; f != nil {
		for _, e := range fresh {
			f(e.Listener.Addr())
		}
	}
	g.serving++ // until the fresh ones are
	for _, f := range old {
		if !slices.Contains(stay, f) {
			waits = append(waits, g.retire(f))
			<-f.listener.stopped // one of fresh may have the same socket
		}
	}
	g.begin(fresh)
	g.release()
	all := make(chan struct{})
	g.retiring.Go(func() {
		defer close(all)
		for _, c := range waits {
			select {
			case <-c:
			case <-g.over: // which a request that was left behind may outlive
			}
		}
	})
	return all
}

// reconfigure has a front serve with what is set. The channel is closed when the last request
// that began before has ended. mu is held.
func (g *group) reconfigure(f *front) (ended <-chan struct{}) {
	var err error
	next := g.server.frontEnd(f.Endpoint, g.limits, g.handler, nil)
	switch front := f.frontEnd.(type) {
	case *fastcgi.Server:
		ended, err = front.Reconfigure(next.(*fastcgi.Server))
	case *scgi.Server:
		ended, err = front.Reconfigure(next.(*scgi.Server))
	case *httpServer:
		ended, err = front.reconfigure(next.(*httpServer))
	}
	if err != nil {
		panic("gatehouse: internal error: " + err.Error()) // check finds everything
	}
	return ended
}

// retire drains a front whose endpoint is no longer served. The channel is closed when it has
// ended. mu is held.
func (g *group) retire(f *front) (ended <-chan struct{}) {
	g.server.log().Info("no longer listening", "protocol", string(f.Protocol), "address", addressOf(f.Endpoint))
	g.retired[f.frontEnd] = f.Protocol
	done := make(chan struct{})
	g.retiring.Go(func() {
		defer close(done)
		f.Shutdown(context.Background()) // or the one of the whole group cuts it off
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.retired, f.frontEnd)
		ended := f.Connections()
		ended.Open = cgi.Use{Waited: ended.Open.Waited}
		ended.Merge(g.past[f.Protocol])
		g.past[f.Protocol] = ended
	})
	return done
}

// current returns the Server whose fields apply.
func (g *group) current() *Server {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.server
}
