package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/daemon/admin"
	"gatehouse/fastcgi/pool"
	"gatehouse/fastcgi/pool/python"
	"gatehouse/fastcgi/upstream"
	"gatehouse/iis"
	"gatehouse/internal/sources"
)

// A generation is a configuration with its prepared applications and open listeners.
// One can be made while another serves: what belongs to the process, such as signals,
// the log and the reaper, is in the Daemon.
type generation struct {
	config    Config
	log       *slog.Logger
	mounted   mounted
	kept      map[string]keeper // by where they are mounted: those that keep processes
	reserve   int               // descriptors that the applications take
	handler   *cgi.Handler
	program   bool // this process is a CGI program
	endpoints []endpoint
	module    *iis.Module // of IIS, that has started this process; nil for none
	started   bool        // the server owns their listeners
	token     string      // of Admin.TokenFile
	logs      *logSetup
	sources   *sources.Tree  // of its applications, as they were before it began; nil if unwatched
	closers   []func() error // close what was opened, in reverse order
	warnings  []string
}

// newGeneration checks everything that needs no socket, and prepares the applications.
// The error has a line for each problem.
func newGeneration(c Config, p preparation) (*generation, error) {
	c.Limits.share(p.before)
	err := c.check()
	token, _ := readToken(c.Admin.TokenFile) // check has its error
	p.limits.Spool, p.validate = c.Limits.Spool, c.Validate
	apps, closeApps, wrong := prepare(c.Apps, p)
	if err = errors.Join(err, wrong); err != nil {
		return nil, errors.Join(err, closeApps())
	}
	kept := make(map[string]keeper)
	for i, a := range apps {
		if g, ok := a.(*upstream.Guard); ok {
			a = g.App
		}
		if a, ok := a.(keeper); ok {
			kept[c.Apps[i].mountPoint()] = a
		}
	}
	m, err := mount(c.Apps, apps, c.Validate, p.log)
	if err != nil {
		return nil, errors.Join(err, closeApps())
	}
	return &generation{config: c, log: p.log, mounted: m, kept: kept, token: token,
		reserve: cgi.Descriptors(apps...),
		handler: &cgi.Handler{Log: p.log, Spool: c.Limits.Spool, RequestIDFrom: c.RequestIDFrom, ErrorRequestID: !c.PlainErrorPages},
		closers: []func() error{closeApps, m.close}}, nil
}

// openLogs opens the logs. They are written as the configuration says once logs.begin is called.
func (g *generation) openLogs(l *logs) (err error) {
	if g.logs, err = l.open(&g.config); err != nil {
		return err
	}
	g.handler.AccessLog = g.logs.accessLog()
	g.closers = slices.Insert(g.closers, 0, g.logs.close) // after the applications
	return nil
}

// A keeper is an application that keeps processes.
type keeper interface {
	Start()
	Retire() (ended <-chan struct{})
}

// succeed readies next to take the place of an application of the same kind. One of another kind
// has nothing to go by, and starts when next serves.
func succeed(ctx context.Context, next, before keeper) error {
	switch next := next.(type) {
	case *pool.App:
		if before, ok := before.(*pool.App); ok {
			return next.Succeed(ctx, before)
		}
	case *python.App:
		if before, ok := before.(*python.App); ok {
			return next.Succeed(ctx, before)
		}
	}
	return nil
}

// An endpoint is where a generation listens.
type endpoint struct {
	gatehouse.Endpoint
	address Address      // that names it in a configuration
	fd      int          // the descriptor as which it was passed
	kept    bool         // the generation before has the listener, too
	moved   net.Listener // of another protocol, that this one is to replace; or nil
}

// newServer returns a server for the generation. overdue is called if requests in flight are
// cut off because they took longer than drain.
func (g *generation) newServer(d *Daemon, overdue func()) *gatehouse.Server {
	limits := &g.config.Limits
	return &gatehouse.Server{
		App: g.pinged(d), Authorizer: g.mounted.authorizer,
		Endpoints:      g.served(),
		Handler:        g.handler,
		Limits:         limits.Front,
		Reserve:        g.reserve + len(g.adminEndpoints())*admin.Descriptors,
		Paths:          g.config.Paths,
		NoMultiplexing: g.config.NoMultiplexing,
		TrustedProxies: g.config.TrustedProxies, TrustUnixProxies: g.config.TrustUnixProxies,
		Drain: g.drain(), Overdue: overdue,
		Notifier: d.notifier, ReadyFD: d.readyFD,
		IdleExit: g.config.IdleExit,
		Log:      g.log,
	}
}

// start serves in the background until ctx is done, and then drains; d.cutOff ends it at
// once. The channel receives the result after the last request: nil, or the error of a
// listener. A CGI program serves one request.
func (g *generation) start(ctx context.Context, d *Daemon, overdue func()) (served <-chan error) {
	server := g.newServer(d, overdue)
	d.mu.Lock()
	d.server = server
	d.mu.Unlock()
	g.begin()
	result := make(chan error, 1)
	go func() {
		serve := d.server.Serve
		if g.program {
			serve = d.server.ServeProgram
		}
		err := serve(ctx)
		if err == context.DeadlineExceeded || err == http.ErrServerClosed {
			err = nil
		}
		result <- err
	}()
	return result
}

// begin has the applications start what they keep. The server owns the listeners now.
func (g *generation) begin() {
	g.started = true
	for _, a := range g.kept {
		a.Start()
	}
}

// succeed has the applications that keep processes start those that are to take the place of
// old's, and returns when they are ready. The error has a line for each application that
// does not start.
func (g *generation) succeed(ctx context.Context, old *generation) error {
	var all sync.WaitGroup
	errs := make([]error, len(g.config.Apps))
	for i, a := range g.config.Apps {
		next, before := g.kept[a.mountPoint()], old.kept[a.mountPoint()]
		if next != nil && before != nil {
			all.Go(func() {
				if err := succeed(ctx, next, before); err != nil {
					errs[i] = fmt.Errorf("%s: %w", a.place(), err)
				}
			})
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// retire ends kept processes when they are free, and returns when all have ended, or over is
// closed.
func (g *generation) retire(over <-chan struct{}) {
	var ended []<-chan struct{}
	for _, a := range g.kept {
		ended = append(ended, a.Retire())
	}
	for _, c := range ended {
		select {
		case <-c:
		case <-over:
			return
		}
	}
}

// drain returns how long requests in flight may take to end at a shutdown.
func (g *generation) drain() time.Duration { return cmp.Or(g.config.Limits.Drain, defaultDrain) }

// grace returns the longest time between SIGTERM and SIGKILL for any program.
func (g *generation) grace() time.Duration {
	longest := 3 * time.Second
	for _, a := range g.config.Apps {
		longest = max(longest, a.Limits.Grace)
	}
	return longest
}

// close closes the applications and then its logs, and the listeners if the
// generation was not started.
func (g *generation) close() error {
	if !g.started {
		for _, e := range g.endpoints {
			e.Listener.Close()
		}
	}
	var errs []error
	for _, f := range slices.Backward(g.closers) {
		errs = append(errs, f())
	}
	g.closers = nil
	return errors.Join(errs...)
}
