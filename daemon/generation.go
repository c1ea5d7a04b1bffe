package daemon

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/fastcgi/upstream"
)

// A generation is a configuration with its prepared applications and open listeners.
// One can be made while another serves: what belongs to the process, such as signals,
// the log and the reaper, is in the Daemon.
type generation struct {
	config    Config
	log       *slog.Logger
	mounted   mounted
	starters  []func()                       // of the applications that keep processes
	reserve   int                            // descriptors that the applications take
	access    func(*cgi.Request, cgi.Result) // nil for no access log
	program   bool                           // this process is a CGI program
	endpoints []gatehouse.Endpoint
	server    *gatehouse.Server // once it serves
	closers   []func() error    // close what was opened, in reverse order
}

// newGeneration checks everything that needs no socket, and prepares the applications.
// The error has a line for each problem.
func newGeneration(c Config, p preparation) (*generation, error) {
	c.Limits.share()
	err := c.check()
	p.limits.Spool = c.Limits.Spool
	apps, closeApps, wrong := prepare(c.Apps, p)
	if err = errors.Join(err, wrong); err != nil {
		return nil, errors.Join(err, closeApps())
	}
	reserve := 0
	var starters []func()
	for _, a := range apps {
		if g, ok := a.(*upstream.Guard); ok {
			a = g.App
		}
		if a, ok := a.(interface{ Start() }); ok {
			starters = append(starters, a.Start)
		}
		if a, ok := a.(interface{ Descriptors() int }); ok {
			reserve = min(reserve+a.Descriptors(), math.MaxInt32)
		}
	}
	m, err := mount(c.Apps, apps, c.Validate)
	if err != nil {
		return nil, errors.Join(err, closeApps())
	}
	return &generation{config: c, log: p.log, mounted: m, starters: starters, reserve: reserve, closers: []func() error{closeApps}}, nil
}

// openLog opens the access log.
func (g *generation) openLog(stderr io.Writer) error {
	access, closeLog, err := openAccessLog(g.config.AccessLog, stderr, g.log)
	if err != nil {
		return err
	}
	g.access = access
	g.closers = slices.Insert(g.closers, 0, closeLog) // after the applications
	return nil
}

// start serves in the background until ctx is done, and then drains; cutOff ends it at
// once. The channel receives the result after the last request: nil, or the error of a
// listener. overdue is called if requests in flight are cut off because they took longer
// than drain. A CGI program serves one request.
func (g *generation) start(ctx context.Context, overdue func()) (served <-chan error) {
	limits := &g.config.Limits
	g.server = &gatehouse.Server{
		App: g.mounted.app, Authorizer: g.mounted.authorizer,
		Endpoints:      g.endpoints,
		Handler:        &cgi.Handler{Log: g.log, AccessLog: g.access, Spool: limits.Spool},
		Limits:         limits.Front,
		Reserve:        g.reserve,
		Paths:          g.config.Paths,
		NoMultiplexing: g.config.NoMultiplexing,
		Drain:          cmp.Or(limits.Drain, defaultDrain),
		Overdue:        overdue,
		Log:            g.log,
	}
	g.endpoints = nil // the server owns their listeners now
	for _, start := range g.starters {
		start()
	}
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

// cutOff cuts off the requests in flight. The result of start follows soon.
func (g *generation) cutOff() { g.server.Close() }

// grace returns the longest time between SIGTERM and SIGKILL for any program.
func (g *generation) grace() time.Duration {
	longest := 3 * time.Second
	for _, a := range g.config.Apps {
		longest = max(longest, a.Limits.Grace)
	}
	return longest
}

// close closes the applications and then the access log, and the listeners if the
// generation was not started.
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
