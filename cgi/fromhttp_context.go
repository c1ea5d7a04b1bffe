package cgi

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// ScriptName returns the path at which the application is mounted, for a request that came
// through [FromHTTP]: the beginning of r.URL.Path without a trailing slash, or "" for the
// root. Links that an application makes begin with it.
//
// A [Mux] sets it. Without one it is SCRIPT_NAME, unless the web server sent the
// whole path there.
func ScriptName(r *http.Request) string {
	if x := exchangeOf(r); x != nil {
		return x.scriptName
	}
	return ""
}

// Env returns the CGI variables of a request that came through [FromHTTP], some of which
// have no place in an http.Request, such as REMOTE_USER and REQUEST_ID. They belong to the request: after
// the handler has returned, and for any other request, Env returns an empty Environ. See
// [CloneEnv].
func Env(r *http.Request) *Environ {
	if x := exchangeOf(r); x != nil {
		x.envMu.Lock()
		defer x.envMu.Unlock()
		if x.env != nil {
			x.from.setIDVariable()
			return x.env
		}
	}
	return new(Environ)
}

// CloneEnv returns a copy of what Env returns, which stays valid. Unlike [Environ.Clone] it
// is safe in a goroutine that may outlive the handler.
func CloneEnv(r *http.Request) *Environ {
	if x := exchangeOf(r); x != nil {
		x.envMu.Lock()
		defer x.envMu.Unlock()
		if x.env != nil {
			x.from.setIDVariable()
			return x.env.Clone()
		}
	}
	return new(Environ)
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// A baseSource is a ContextSource whose RequestContext may be called on any goroutine,
// and adds nothing but the cancelling to its BaseContext.
type baseSource interface {
	ContextSource
	BaseContext() context.Context
}

// An exchangeContext is the front-end's context, with the exchange as a value. Where
// the front-end lets it, that is made when something asks for it.
type exchangeContext struct {
	exchange *exchange

	mu      sync.Mutex
	request *Request        // nil once the context has been made, or the handler has returned
	base    context.Context // what the context is derived from
	ctx     context.Context
}

func (c *exchangeContext) attach(x *exchange, r *Request) {
	c.exchange = x
	if s, ok := r.source.(baseSource); ok && r.ctx == nil {
		c.request, c.base = r, s.BaseContext()
	} else {
		c.ctx = r.Context()
	}
}

// detach releases the request. A goroutine that the handler left behind may still ask for
// the context, which has been cancelled by then.
func (c *exchangeContext) detach() {
	c.mu.Lock()
	c.request = nil
	c.mu.Unlock()
}

// inner returns the front-end's context.
func (c *exchangeContext) inner() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ctx != nil:
	case c.request != nil:
		c.ctx = c.request.Context()
		c.request = nil
	default:
		ctx, cancel := context.WithCancel(c.base)
		cancel()
		c.ctx = ctx
	}
	return c.ctx
}

func (c *exchangeContext) Deadline() (time.Time, bool) { return c.inner().Deadline() }
func (c *exchangeContext) Done() <-chan struct{}       { return c.inner().Done() }
func (c *exchangeContext) Err() error                  { return c.inner().Err() }

func (c *exchangeContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.exchange
	}
	return c.inner().Value(key)
}

// AfterFunc spares each context derived from c a goroutine.
func (c *exchangeContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(c.inner(), f)
}
