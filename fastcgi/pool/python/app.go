// Package python runs the WSGI applications of Python (PEP 3333): Django, Flask, and their like.
//
//	app := &python.App{Application: "project.wsgi:application", Dir: "/srv/project"}
//	defer app.Close()
//	err := fastcgi.Serve(l, cgi.ToHTTP(app))
//
// # The workers
//
// The application runs in processes of its own, the workers, which a [pool.App] starts, supervises
// and replaces. Each imports the application for itself, and serves one request at a time. Nothing needs to be
// installed for that but Python 3.8 or newer: the program of a worker, worker.py, is part of this
// package, and is handed to the Python over the worker's connection.
//
// A worker that cannot import the application writes the traceback to the log, and
// requests get 503 with Retry-After until one can.
//
// # What an application may rely on
//
// The rules are wsgiref's, and those that PEP 3333 adds. environ is an exact dict with str values of
// latin-1, made of the bytes that the web server sent. wsgi.input ends with the body, always: a body of which the client
// has sent too little is an OSError, and wsgi.input_terminated is true. wsgi.errors takes any str, and
// its lines are in the log with the id of the request, which environ has as REQUEST_ID; so are those
// of sys.stderr, in a request. What is written to sys.stdout, or to descriptor 2, is in the log, too, without
// that id, and never in a response.
//
// An error before the head has been sent is wsgiref's page of status 500, and a later one a
// response that is visibly truncated, as is a response shorter than its Content-Length. What
// exceeds Content-Length is cut. Both are logged. The iterable is closed exactly once.
//
// The end of a response is sent with its last block, and before close() is called, where it is
// known: of a list or tuple, and where Content-Length has been reached. A worker that is
// still in close() serves no other request.
//
// What befalls applications that do what they should not is in docs/wsgi.md.
package python

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/fastcgi/pool"
)

// Limits bound what an application takes. Programs is the number of workers, one more than there are
// processors by default. All of them are kept, unless Minimum says otherwise.
type Limits = pool.Limits

// An App is a cgi.App that runs a WSGI application. Only Application is needed. The fields
// must not be changed once requests are served, and an App must not be copied then.
type App struct {
	// Application is the module and the attribute of the application, such as
	// "project.wsgi:application".
	Application string

	// Python is the Python to run, or the directory of a virtual environment: see
	// [FindInterpreter], which finds one if this is empty.
	Python string

	// Dir is the directory that workers start in, and import from, as they see it; "/" if empty.
	Dir string

	// InheritAll has workers inherit the whole environment of this process, but what is for that
	// alone (LISTEN_FDS, NOTIFY_SOCKET and the like), and not only what Inherit names.
	InheritAll bool

	// Env, Inherit, RunAs, Confinement, Cgroup and Reaper are those of pool.App. Variables of Env are in
	// os.environ, not in environ.
	Env         []string
	Inherit     []string
	RunAs       process.RunAs
	Confinement process.Confinement
	Cgroup      process.Cgroup
	Reaper      *process.Reaper

	// Validate wraps the application in wsgiref.validate, which raises an AssertionError where
	// it breaks the rules of PEP 3333.
	Validate bool

	// Streaming is that of pool.App.
	Streaming bool

	// Limits bound what the application takes. Their zero value has the defaults.
	Limits Limits

	// Log receives what workers write to stdout and stderr, and how they end. If nil, it is
	// slog.Default().
	Log *slog.Logger

	once        sync.Once
	err         error
	interpreter *Interpreter
	pool        *pool.App
}

// worker is the program of a worker, which Python executes under the name that is in bootstrap.
//
//go:embed worker.py
var worker string

// bootstrap receives the program over descriptor 0, with its length ahead, and executes it. Nothing
// is read beyond: what follows is for the program.
const bootstrap = "import socket as s; c = s.socket(fileno=0); r = lambda n: c.recv(n, s.MSG_WAITALL); " +
	"exec(compile(r(int(r(8))), 'gatehouse-worker.py', 'exec'), {'__name__': 'gatehouse-worker', 'connection': c})"

// preamble is what a worker receives ahead of all records.
func preamble() []byte { return fmt.Appendf(nil, "%-8d%s", len(worker), worker) }

// Prepare does what the first request would do, but for starting workers. The error is what is
// wrong with the fields: a line for each thing.
func (a *App) Prepare() error {
	a.once.Do(a.init)
	return a.err
}

func (a *App) init() {
	_, _, err := SplitApplication(a.Application)
	if err != nil {
		err = fmt.Errorf("wsgi: %w", err)
	}
	var perr error
	if a.interpreter, perr = FindInterpreter(a.Python, a.Dir, a.Confinement.Chroot); perr != nil {
		perr = fmt.Errorf("python: %w", perr)
	}
	if a.Dir != "" && !filepath.IsAbs(a.Dir) {
		perr = errors.Join(perr, fmt.Errorf("directory: %q is not an absolute path", a.Dir))
	}
	if a.err = errors.Join(err, perr); a.err != nil {
		return
	}
	a.pool = &pool.App{Name: a.Application, Command: a.command(a.interpreter), Paired: true, Preamble: preamble(), StackSignal: stackSignal,
		Dir: a.Dir, Env: a.Env, Inherit: a.inherit(), RunAs: a.RunAs, Confinement: a.Confinement, Cgroup: a.Cgroup,
		Reaper: a.Reaper, LocalRedirect: cgi.RedirectClient, Streaming: a.Streaming,
		SpoolRequests: true, SpoolResponses: true, Limits: withDefaults(a.Limits), Log: cmp.Or(a.Log, slog.Default())}
	a.err = a.pool.Prepare()
}

// command returns that of a worker.
func (a *App) command(i *Interpreter) []string {
	command := []string{i.Path, "-c", bootstrap, "wsgi", a.Application}
	if withDefaults(a.Limits).Programs > 1 {
		command = append(command, "--multiprocess")
	}
	if a.Validate {
		command = append(command, "--validate")
	}
	return command
}

// inherit returns the names of the variables that workers inherit, or nil for the usual ones.
func (a *App) inherit() []string {
	if !a.InheritAll {
		return a.Inherit
	}
	names := []string{}
	for _, v := range os.Environ() {
		if name, _, ok := strings.Cut(v, "="); ok && name != "" && !process.IsManagers(name) {
			names = append(names, name)
		}
	}
	return names
}
