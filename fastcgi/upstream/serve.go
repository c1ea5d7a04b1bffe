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
	"gatehouse/cgi/relay"
	"gatehouse/fastcgi/client"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/backend"
)

// ServeCGI passes r on, in its role, and the response back.
func (a *App) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := a.Prepare(); err != nil {
		return err
	}
	p, err := a.params(r)
	if err != nil {
		return err
	}
	body := new(backend.Body)
	if r.Role != cgi.Authorizer { // it has none (FastCGI 1.0 § 6.3)
		if body, err = backend.TakeBody(r, a.pool.Limits.Spool); err != nil {
			return fmt.Errorf("%s: %w", a.pool.Name(), err)
		}
		p.setLength(body.Length)
	}
	defer body.Free()
	req := client.Request{Role: record.Role(r.Role), Params: p.all, Data: r.Data,
		Stderr: &stderr{app: a, request: r, params: p, left: a.pool.Limits.StderrBytes}}
	return a.exchange(w, r, &req, body)
}

// exchange sends a request, whose body is body, and passes the response to w.
func (a *App) exchange(w cgi.ResponseWriter, r *cgi.Request, req *client.Request, body *backend.Body) error {
	ctx := r.Context()
	turn, err := a.pool.Enter(ctx, r.Env.Get("REMOTE_ADDR"))
	if err != nil {
		return err
	}
	defer turn.Leave()
	var activity relay.Activity
	c, resp, err := begin(ctx, &turn, req, body, &activity)
	if err != nil {
		return err
	}
	defer resp.Close()
	output := backend.Output{Turn: &turn, Source: resp, Activity: &activity, Body: body}
	if err := output.Copy(ctx, w, r.FollowsRedirects(a.LocalRedirect), refusal(turn.Name())); err != nil {
		return err
	}
	if end, _ := resp.End(); end.AppStatus != 0 {
		cgi.SetExitStatus(w, int(end.AppStatus))
		a.log().LogAttrs(ctx, slog.LevelWarn, "application ended a request with a status", slog.Uint64("request", r.ID),
			slog.String("address", turn.Name()), slog.Int64("status", int64(end.AppStatus)))
	}
	resp.Close()
	if req.KeepConn && c.Err() == nil && resp.Sent() {
		turn.Keep(c)
	}
	return output.Complete()
}

// begin sends a request on a connection that takes it. A kept connection to which nothing at
// all can be written is closed, and the next one tried.
func begin(ctx context.Context, turn *backend.Turn, req *client.Request, body *backend.Body, a *relay.Activity) (*client.Conn, *client.Response, error) {
	for {
		if err := turn.Connect(ctx); err != nil {
			return nil, nil, err
		}
		c, ok := turn.Client.(*client.Conn)
		if !ok {
			c = client.New(turn.Conn)
			c.ParamsBytes = -1 // the front-end has bounded them
		}
		body.Start(a)
		req.Stdin, req.KeepConn = body.Reader(), turn.Keeps()
		req.ID = uint16(1 + turn.Served()%0xffff) // what comes late for the last request is none for this one
		turn.BoundWrite(turn.Conn)
		resp, err := c.Begin(ctx, req)
		body.UnboundWrite(turn.Conn)
		var ne net.Error
		switch {
		case err == nil:
			return c, resp, nil
		case ctx.Err() == nil && errors.As(err, &ne) && ne.Timeout():
			turn.Failed(err)
			return nil, nil, &cgi.StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("%s: it took nothing of the request: silence is over: %w", turn.Name(), err)}
		case errors.Is(err, client.ErrNotSent) && turn.Kept():
			turn.Drop()
			continue
		case ctx.Err() != nil:
			return nil, nil, fmt.Errorf("%s: %w", turn.Name(), err)
		}
		turn.Failed(err)
		return nil, nil, &cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: %w", turn.Name(), err)}
	}
}

// refusal returns what makes the error for a request that the application has refused in so
// many words (FastCGI 1.0 § 5.5), or that its supplier has ended, or nil.
func refusal(name string) func(error) error {
	return func(err error) error {
		var ended *cgi.StatusError
		if errors.As(err, &ended) {
			return ended
		}
		var end *client.EndError
		if !errors.As(err, &end) {
			return nil
		}
		s := &cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: %w", name, end)}
		if ps := end.End.ProtocolStatus; ps == record.Overloaded || ps == record.CantMpxConn {
			s.Code, s.RetryAfter = http.StatusServiceUnavailable, time.Second
		}
		return s
	}
}
