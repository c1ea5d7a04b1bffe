package daemon

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/cgi/spool"
)

// A generation is a configuration with its applications, prepared, and its listeners,
// open. One can be made beside another that serves: what belongs to the process, as the
// signals, its log and the reaper, is the Daemon's.
type generation struct {
	config    Config
	log       *slog.Logger
	mounted   mounted
	access    func(*cgi.Request, cgi.Result) // nil for no access log
	program   bool                           // this process is a CGI program
	endpoints []gatehouse.Endpoint
	server    *gatehouse.Server // once it serves
	closers   []func() error    // of what was opened, in order
}

// newGeneration prepares the applications of a configuration, after all has been
// checked that needs no socket. The error has a line for each thing that is wrong.
func newGeneration(c Config, p preparation) (*generation, error) {
	// One budget is for all spools, those of the front-ends and the handler's.
	c.Limits.Spool.Total = spool.NewBudget(c.Limits.SpoolTotal)
	c.Limits.Front.Spool = c.Limits.Spool
	err := c.check()
	p.limits.Spool = c.Limits.Spool
	apps, end, wrong := prepare(c.Apps, p)
	if err = errors.Join(err, wrong); err != nil {
		return nil, errors.Join(err, end())
	}
	m, err := mount(c.Apps, apps, c.Validate)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return &generation{config: c, log: p.log, mounted: m, closers: []func() error{end}}, nil
}

// openLog opens the access log.
func (g *generation) openLog(stderr io.Writer) error {
	access, closeLog, err := openAccessLog(g.config.AccessLog, stderr, g.log)
	if err != nil {
		return err
	}
	g.access = access
	g.closers = slices.Insert(g.closers, 0, closeLog) // the applications end first
	return nil
}

// start begins to serve, until ctx is done. Then it drains, and cutOff, too, ends it.
// The channel gets the result after the last request: nil, or the error of a listener.
// overdue is called if requests in flight are cut off because they took longer than
// drain. As a CGI program it answers one request.
func (g *generation) start(ctx context.Context, overdue func()) (served <-chan error) {
	limits := &g.config.Limits
	g.server = &gatehouse.Server{
		App: g.mounted.app, Authorizer: g.mounted.authorizer,
		Endpoints:      g.endpoints,
		Handler:        &cgi.Handler{Log: g.log, AccessLog: g.access, Spool: limits.Spool},
		Limits:         limits.Front,
		Paths:          g.config.Paths,
		NoMultiplexing: g.config.NoMultiplexing,
		Drain:          cmp.Or(limits.Drain, defaultDrain),
		Overdue:        overdue,
		Log:            g.log,
	}
	g.endpoints = nil // their listeners are the server's
	result := make(chan error, 1)
	go func() {
		serve := g.server.Serve
		if g.program {
			serve = g.server.ServeProgram
		}
		err := serve(ctx)
		if err == context.DeadlineExceeded || err == http.ErrServerClosed {
			err = nil
		}
		result <- err
	}()
	return result
}

// cutOff cuts off the requests in flight, and makes start's result come soon.
func (g *generation) cutOff() { g.server.Close() }

// grace returns the longest time that a program may take between TERM and KILL.
func (g *generation) grace() time.Duration {
	longest := 3 * time.Second
	for _, a := range g.config.Apps {
		longest = max(longest, a.Limits.Grace)
	}
	return longest
}

// close closes the listeners, if it was not started, ends the applications, and closes
// what they log to.
func (g *generation) close() error {
	for _, e := range g.endpoints {
		e.Listener.Close()
	}
	var errs []error
	for _, f := range slices.Backward(g.closers) {
		errs = append(errs, f())
	}
	g.endpoints, g.closers = nil, nil
	return errors.Join(errs...)
}
