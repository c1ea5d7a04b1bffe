package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/client"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/backend"
)

// ServeCGI passes r on, in its role, and the response back.
func (a *App) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := a.Prepare(); err != nil {
		return err
	}
	p := passages.Get().(*passage)
	p.params = params{app: a, env: r.Env, role: r.Role}
	if err := p.params.settle(r); err != nil {
		return err
	}
	err := a.forward(w, r, p)
	p.free(r)
	return err
}

// Forward is ServeCGI for a request whose variables are settled: Root, Translate and Env are
// not used.
func (a *App) Forward(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := a.Prepare(); err != nil {
		return err
	}
	p := newPassage()
	p.params = params{app: new(App), env: r.Env}
	return a.forward(w, r, p)
}

// forward passes r on with the variables of p.
func (a *App) forward(w cgi.ResponseWriter, r *cgi.Request, p *passage) error {
	if r.Role != cgi.Authorizer { // it has no body (FastCGI 1.0 § 6.3)
		if a.Streaming {
			_ = cgi.EnableFullDuplex(w)
		}
		p.body = &p.empty
		if a.Streaming || r.ContentLength != 0 {
			var err error
			if a.SpoolRequests && !a.Streaming {
				p.body, err = backend.TakeWholeBody(r, a.pool.Limits.Spool)
			} else {
				p.body, err = backend.TakeBody(r, a.pool.Limits.Spool, a.Streaming)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", a.pool.Name(), err)
			}
		}
		p.params.setLength(p.body.Length)
	}
	return a.exchange(w, r, p)
}

// exchange sends a request, and passes the response to w. Of p, it needs params, body, and the
// Data of request.
func (a *App) exchange(w cgi.ResponseWriter, r *cgi.Request, p *passage) error {
	if p.body == nil {
		p.body = &p.empty
	}
	defer p.body.Free()
	p.stderr = stderr{app: a, request: r, params: &p.params, left: a.pool.Limits.StderrBytes}
	p.request.Role, p.request.Params, p.request.Stderr = record.Role(r.Role), p.all, &p.stderr
	if r.Role == cgi.Filter {
		p.request.Data = r.Data
	}
	ctx := lateContext{r}
	turn := &p.turn
	var err error
	r.SetStage(cgi.StageQueued)
	*turn, err = a.pool.Admit(ctx, r)
	r.SetStage(cgi.StageServing)
	if err != nil {
		return err
	}
	defer p.leave()
	defer r.SetWorker(nil)
	c, resp, err := begin(ctx, p)
	if err != nil {
		return err
	}
	defer p.closeFile()
	defer resp.Close()
	p.conn = c
	p.output = backend.Output{Turn: turn, Source: resp, Activity: &p.activity, Body: p.body, Watch: p.watches}
	if a.SpoolResponses {
		p.output.Ahead = p
	}
	if err := p.output.Copy(ctx, w, r.FollowsRedirects(a.LocalRedirect), p.rewords); err != nil {
		return err
	}
	end, _ := resp.End()
	status := end.AppStatus
	if status != 0 && !a.StatusTruncates {
		cgi.SetExitStatus(w, int(status))
		a.log().LogAttrs(ctx, slog.LevelWarn, "application ended a request with a status", r.LogAttr(),
			slog.String("address", turn.Name()), slog.Int64("status", int64(status)))
	}
	p.takeFile()
	if p.file != nil {
		return p.sendFile(w)
	}
	p.Release(true)
	if a.StatusTruncates && status != 0 {
		return &cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: it could not finish its response, and ended it with status %d", turn.Name(), status)}
	}
	return p.output.Complete()
}

// A lateContext is the context of a request, which the front-end only makes when it is used.
// A small request never does.
type lateContext struct{ r *cgi.Request }

// Context returns the context itself, for who may ask it once the request is over.
func (c lateContext) Context() context.Context { return c.r.Context() }

func (c lateContext) Deadline() (time.Time, bool) { return c.r.Context().Deadline() }
func (c lateContext) Done() <-chan struct{}       { return c.r.Context().Done() }
func (c lateContext) Err() error                  { return c.r.Context().Err() }
func (c lateContext) Value(key any) any           { return c.r.Context().Value(key) }

// begin sends a request on a connection that takes it. A kept connection to which nothing at
// all can be written is closed, and the next one tried.
func begin(ctx lateContext, p *passage) (*client.Conn, *client.Response, error) {
	turn, req, body, a := &p.turn, &p.request, p.body, &p.activity
	for p.sent = &p.response; ; {
		ctx.r.SetStage(cgi.StageConnecting)
		err := turn.Connect(ctx)
		ctx.r.SetStage(cgi.StageServing)
		if err != nil {
			return nil, nil, err
		}
		c, ok := turn.Client.(*client.Conn)
		if !ok {
			c = client.New(turn.Conn)
			c.ParamsBytes = -1 // the front-end has bounded them
		}
		body.Start(a)
		turn.Show(ctx.r, a)
		req.Stdin, req.KeepConn = body.Reader(), turn.Keeps()
		req.ID = uint16(1 + turn.Served()%0xffff) // what comes late for the last request is none for this one
		req.Await, req.SendTimeout = backend.WatchAfter, turn.WriteTimeout()
		if err = p.sent.Begin(ctx, c, req); err == nil {
			return c, p.sent, nil
		}
		var ne net.Error
		switch {
		case ctx.Err() == nil && errors.As(err, &ne) && ne.Timeout():
			err = &cgi.StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("%s: it took nothing of the request: silence is over: %w", turn.Name(), err), Check: "silence"}
			turn.Failed(err)
			return nil, nil, err
		case errors.Is(err, client.ErrNotSent) && turn.Kept():
			turn.Drop()
			p.sent = new(client.Response) // who watches the context may still have the last one
			continue
		case ctx.Err() != nil:
			return nil, nil, fmt.Errorf("%s: %w", turn.Name(), err)
		}
		turn.Failed(err)
		return nil, nil, &cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: %w", turn.Name(), err)}
	}
}

// reword makes the error for a request that the application has refused in so many words
// (FastCGI 1.0 § 5.5), or that its supplier has ended, or nil.
func (p *passage) reword(err error) error {
	var ended *cgi.StatusError
	if errors.As(err, &ended) {
		return ended
	}
	var end *client.EndError
	if !errors.As(err, &end) {
		return nil
	}
	s := &cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: %w", p.turn.Name(), end)}
	if ps := end.End.ProtocolStatus; ps == record.Overloaded || ps == record.CantMpxConn {
		s.Code, s.RetryAfter = http.StatusServiceUnavailable, time.Second
	}
	return s
}
