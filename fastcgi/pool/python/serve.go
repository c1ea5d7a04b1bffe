package python

import (
	"cmp"
	"context"
	"runtime"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
)

// withDefaults returns l with the defaults of this package.
func withDefaults(l Limits) Limits {
	l.Programs = cmp.Or(l.Programs, runtime.NumCPU()+1)
	if l.Minimum == 0 && l.Programs > 0 {
		l.Minimum = l.Programs
	}
	return l
}

// Start starts workers. Without it that is left to the first request.
func (a *App) Start() {
	if a.Prepare() == nil {
		a.pool.Start()
	}
}

// ServeCGI passes r on to a worker, and its response back. Errors are those of pool.App.
func (a *App) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := a.Prepare(); err != nil {
		return err
	}
	if _, _, mounted := r.Mounted(); !mounted {
		var m cgi.Mux
		if err := m.Mount("/", cgi.AppFunc(a.serve)); err != nil {
			return err
		}
		return m.ServeCGI(w, r)
	}
	return a.serve(w, r)
}

// serve serves a request whose path has been split.
func (a *App) serve(w cgi.ResponseWriter, r *cgi.Request) error {
	complete(r.Env)
	return a.pool.ServeCGI(w, r)
}

// unsent are variables that a WSGI application does not get: the headers of the connection to
// the web server, and what that server says of a file of its own.
var unsent = [...]string{"HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_TE", "HTTP_TRANSFER_ENCODING", "HTTP_UPGRADE",
	"HTTP_PROXY_AUTHENTICATE", "HTTP_PROXY_AUTHORIZATION", "HTTP_PROXY_CONNECTION",
	"SCRIPT_FILENAME", "PATH_TRANSLATED"}

// complete makes the variables those of a WSGI application (PEP 3333, environ Variables).
func complete(env *cgi.Environ) {
	for _, name := range unsent {
		env.Del(name)
	}
	env.SetDefault("SERVER_PROTOCOL", "HTTP/1.0")
	env.SetDefault("SCRIPT_NAME", "")
	env.SetDefault("PATH_INFO", "")
	env.SetDefault("QUERY_STRING", "")
}

// Load returns how busy the application is at the moment.
func (a *App) Load() admission.Load {
	if a.Prepare() != nil {
		return admission.Load{}
	}
	return a.pool.Load()
}

// Measure implements cgi.Measured.
func (a *App) Measure() cgi.AppState {
	var s cgi.AppState
	if a.Prepare() == nil {
		s = a.pool.Measure()
	}
	s.Kind = "wsgi"
	return s
}

// Succeed readies a to take the place of old, as pool.App.Succeed does.
func (a *App) Succeed(ctx context.Context, old *App) error {
	if err := a.Prepare(); err != nil {
		return err
	}
	if old.Prepare() != nil {
		return nil
	}
	return a.pool.Succeed(ctx, old.pool)
}

// Retire ends each worker as soon as it is free, as pool.App.Retire does.
func (a *App) Retire() (ended <-chan struct{}) {
	if a.Prepare() != nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	return a.pool.Retire()
}

// Descriptors returns how many descriptors of this process its workers take at most, besides
// the spools of bodies.
func (a *App) Descriptors() int {
	if a.Prepare() != nil {
		return 0
	}
	return a.pool.Descriptors()
}

// Close ends all workers, as pool.App.Close does.
func (a *App) Close() error {
	if a.Prepare() != nil {
		return nil
	}
	return a.pool.Close()
}
