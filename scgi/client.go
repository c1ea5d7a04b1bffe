package scgi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/cgi/relay"
	"gatehouse/internal/backend"
)

// ClientLimits bound what requests take that a Client passes on. SCGI keeps no connections,
// so that Keep, KeepIdle and KeepRequests do not matter.
type ClientLimits = backend.Limits

// A Client is a cgi.App that passes requests on to an SCGI application, such as fossil. At
// least one address is needed. The fields must not be changed once requests are served, and
// a Client must not be copied then.
//
// A request with a body of at most 8 KiB is one write. A longer body is sent while the
// response is read; one of unknown length is kept until its end. Errors are a
// *cgi.StatusError that names the address: 502, 503 and 504 as package
// gatehouse/fastcgi/upstream has them, which describes how addresses are chosen, too.
//
// The end of the connection is the end of the response. That it broke off shows only by a reset, or
// by a Content-Length.
type Client struct {
	// Addresses are where the application listens: "unix:PATH" or "HOST:PORT".
	Addresses []string

	// Limits bound what requests take. Their zero value has the defaults.
	Limits ClientLimits

	// Env are variables for the application, as "NAME=VALUE", whatever the web server sends.
	Env []string

	// Streaming begins each request at once, before any of its body has come, and lets the
	// response be sent while the body still comes (full duplex). Otherwise a request takes its
	// place among Limits.Connections when its body has come or, of a longer one, its first
	// 64 KiB, so that clients which send slowly hold no connection.
	Streaming bool

	// LocalRedirect says who follows a local redirect. By default a cgi.Redirector above the
	// Client does over HTTP, and the web server's client does behind one.
	LocalRedirect cgi.RedirectPolicy

	// Log receives what befalls addresses. If nil, it is slog.Default().
	Log *slog.Logger

	once sync.Once
	pool *backend.Pool
	err  error
}

// Prepare does what the first request would do. The error is what is wrong with the fields.
func (c *Client) Prepare() error {
	c.once.Do(func() {
		if c.pool, c.err = backend.New(c.Addresses, c.Limits, cmp.Or(c.Log, slog.Default())); c.err != nil {
			c.err = fmt.Errorf("scgi: %w", c.err)
		}
	})
	return c.err
}

// Load returns how busy the application is at the moment.
func (c *Client) Load() admission.Load {
	if c.Prepare() != nil {
		return admission.Load{}
	}
	return c.pool.Load()
}

// Measure implements cgi.Measured.
func (c *Client) Measure() cgi.AppState {
	s := cgi.AppState{Kind: "scgi"}
	if c.Prepare() == nil {
		c.pool.Measure(&s)
	}
	return s
}

// Descriptors returns how many descriptors of this process its connections take at most.
func (c *Client) Descriptors() int {
	if c.Prepare() != nil {
		return 0
	}
	return c.pool.Descriptors()
}

// Close has later requests refused with 503. It does not wait for requests under way, which
// the front-end ends.
func (c *Client) Close() error {
	if c.Prepare() == nil {
		c.pool.Close()
	}
	return nil
}

// ServeCGI passes r on, and the response back. SCGI knows Responders alone.
func (c *Client) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := c.Prepare(); err != nil {
		return err
	}
	if r.Role != 0 && r.Role != cgi.Responder {
		return fmt.Errorf("scgi: an SCGI application cannot be a %v: only FastCGI knows that role", r.Role)
	}
	if c.Streaming {
		_ = cgi.EnableFullDuplex(w)
	}
	body, err := backend.TakeBody(r, c.pool.Limits.Spool, c.Streaming)
	if err != nil {
		return fmt.Errorf("%s: %w", c.pool.Name(), err)
	}
	defer body.Free()
	request, err := c.request(r, body.Length)
	if err != nil {
		return &cgi.StatusError{Code: http.StatusBadRequest, Err: fmt.Errorf("%s: %w", c.pool.Name(), err)}
	}
	ctx := r.Context()
	r.SetStage(cgi.StageQueued)
	turn, err := c.pool.Admit(ctx, r)
	r.SetStage(cgi.StageServing)
	if err != nil {
		return err
	}
	defer turn.Leave()
	r.SetStage(cgi.StageConnecting)
	err = turn.Connect(ctx)
	r.SetStage(cgi.StageServing)
	if err != nil {
		return err
	}
	var activity relay.Activity
	body.Start(&activity)
	turn.Show(r, &activity)
	source := &backend.Source{Conn: turn.Conn}
	defer context.AfterFunc(ctx, func() { source.Interrupt(context.Cause(ctx)) })()
	turn.BoundWrite(source)
	stop := send(source, request, body)
	defer stop()
	output := backend.Output{Turn: &turn, Source: source, Activity: &activity, Body: body}
	if err := output.Copy(ctx, w, r.FollowsRedirects(c.LocalRedirect), nil); err != nil {
		return err
	}
	return output.Complete()
}

// request returns the netstring of a request.
func (c *Client) request(r *cgi.Request, length int64) ([]byte, error) {
	env := r.Env.Clone()
	env.Del("HTTP_PROXY")
	name, port := env.Server()
	env.Set("SERVER_NAME", name)
	env.Set("SERVER_PORT", port)
	if id := r.RequestID(); id != "" {
		env.Set("REQUEST_ID", id)
	}
	for _, v := range c.Env {
		name, value, _ := strings.Cut(v, "=")
		env.Set(name, value)
	}
	headers, err := AppendHeaders(make([]byte, 0, 2048), env, length)
	if err != nil {
		return nil, err
	}
	return AppendNetstring(make([]byte, 0, len(headers)+16+backend.SmallBody), headers), nil
}

// errBody is what interrupts a response whose request has no body to the end.
var errBody = errors.New("the body of the request broke off")

// send sends a request: at once if its body is short, else the body by a goroutine, which
// stop ends. What the application does not take is its own affair: its response tells.
func send(to *backend.Source, request []byte, body *backend.Body) (stop func()) {
	from := body.Reader()
	if known, ok := from.(interface{ Len() int }); ok {
		n := len(request)
		request = append(request, make([]byte, known.Len())...)
		from.Read(request[n:])
		from = nil
	}
	to.Write(request)
	body.UnboundWrite(to)
	if from == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				if _, err := to.Write(buf[:n]); err != nil {
					body.Close()
					return
				}
			}
			if err != nil {
				if body.Err() != nil {
					to.Interrupt(errBody)
				}
				return
			}
		}
	}()
	return func() {
		body.Close()
		to.Interrupt(errBody)
		<-done
	}
}
