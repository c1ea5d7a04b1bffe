// Package pool starts the processes of a FastCGI program, keeps them, and passes requests on
// to them. It stands in for spawn-fcgi, multiwatch, mod_fcgid and, for PHP, php-fpm.
//
//	app := &pool.App{Command: []string{"php-cgi"}, Root: "/srv/www", Index: "index.php"}
//	defer app.Close()
//	err := fastcgi.Serve(l, cgi.ToHTTP(app))
//
// # The processes
//
// Each process has a listening unix socket of its own as descriptor 0 (FCGI_LISTENSOCK_FILENO,
// FastCGI 1.0 § 2.2), as those have that spawn-fcgi starts. The socket has no name when the
// process starts, so nobody else can connect to it, and none is left behind. One connection to it is
// kept, over which a process serves one request after the other.
//
// A paired program (App.Paired) has no listening socket but a connection, for as long as it runs, and
// nobody can make another one.
//
// Processes are started on demand, up to Limits.Programs: one first, and others once it is ready. They
// are ended when they have been idle, but for Limits.Minimum. After one that does not start, or is not
// ready in time, the next is tried after a pause, which doubles from a second to thirty; meanwhile
// requests get 503 with Retry-After if no process is left, and the log says why, once. Those that end
// before their first request are not replaced at once, either, unless a request waits.
//
// # Which process is free
//
// After a response the first byte of the next request (the version of its BEGIN_REQUEST) is sent
// at once. A process is free when it has read that byte, and no request is sent to one that has
// not: not to one that still starts, still works behind its response, or has come to the end of
// PHP_FCGI_MAX_REQUESTS. So a request that could not be served was not begun, and may go to another.
// A paired process says itself that it is free. Of those that are free the one used last gets the
// request, and those last that were found at work behind their responses.
//
// # The end of a process
//
// A process that ends in the midst of a request has cost that request: 502, or a truncated
// response. It is replaced on demand. No request is sent twice. A process that exceeds a limit of
// time in a request is terminated, with its group, after it has written what it does, if it can
// (App.StackSignal). One whose client has left is asked to abort the request (FastCGI 1.0 § 5.4)
// and loses its connection, unless it is paired; it may go on, such as PHP after
// ignore_user_abort(), gets no request meanwhile, and is terminated after Limits.Silence.
//
// A process that has served Limits.Requests, has reached Limits.Age, or has grown beyond
// Limits.Memory serves on until another one is ready to take its place, and ends when it is free then.
// A quarter of the processes is replaced at once, or one. So none is missed, and if the application
// does not start any more, those that it has go on. Each process is ended by the end of its
// connection and by TERM, and after Limits.Grace by KILL; its place is taken at once.
//
// Close ends all. With a process.Reaper none outlives this process, even if that is killed.
//
// It is for Linux: who has read what of a unix socket is not known elsewhere.
package pool

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/cgi/process"
	"gatehouse/cgi/script"
	"gatehouse/fastcgi/upstream"
)

// An App is a cgi.App that keeps the processes of a FastCGI program. Only Command is needed.
// The fields must not be changed once requests are served, and an App must not be copied then.
type App struct {
	// Command is the program and its arguments. A program without a slash is looked up in
	// the PATH of this process.
	Command []string

	// Name names the application in messages; if empty, the path of the program does.
	Name string

	// Paired says that the program does not listen on descriptor 0: that is a connection to it, one
	// end of a pair of sockets, over which the processes get one request after the other (FastCGI 1.0)
	// until it ends. A process is ready when it has answered GET_VALUES, the first record that it
	// gets. After each request it says that it is free for the next one: by a GET_VALUES_RESULT
	// that nobody asked for, without content, ahead of the END_REQUEST or later. One whose request
	// is aborted (ABORT_REQUEST) keeps its connection, and ends that request as any other. At TERM
	// it ends the request that it has, and then itself. It may pass on an open file as the rest of a
	// response, and is free while that is sent: see client.Response.File. An appStatus other than 0 says
	// that it could not finish its response, which is then a truncated one.
	Paired bool

	// Preamble is what a paired process is sent ahead of all records.
	Preamble []byte

	// StackSignal, if not zero, has a process write to its stderr what it does, such as SIGUSR1 with
	// Python's faulthandler. One that has exceeded a limit of time in a request, or Limits.Ready, gets it
	// 200 ms before it is terminated.
	StackSignal syscall.Signal

	// Dir is the directory that the program starts in, as it sees it; "/" if empty.
	Dir string

	// Env are variables of the program's environment, as "NAME=VALUE". Unless it is paired, they
	// also go with each request, whatever the web server sends. PHP_FCGI_MAX_REQUESTS is 0 unless it is among
	// them: Limits.Requests does the same.
	Env []string

	// Inherit names what else the environment has, from that of this process. If nil: PATH,
	// LANG and TZ. With RunAs the program also gets HOME, that of its user.
	Inherit []string

	// RunAs says which user the program runs as, Confinement what it may not do, and Cgroup
	// in which control groups it runs.
	RunAs       process.RunAs
	Confinement process.Confinement
	Cgroup      process.Cgroup

	// Reaper, if not nil, reaps what processes leave behind. It must outlive the App.
	Reaper *process.Reaper

	// Root, Index, Follow, Translate, LocalRedirect, Streaming, SpoolRequests and SpoolResponses are
	// those of upstream.App. With Confinement.Chroot, paths are sent as the program sees them.
	Root, Index    string
	Follow         []string
	Translate      map[string]string
	LocalRedirect  cgi.RedirectPolicy
	Streaming      bool
	SpoolRequests  bool
	SpoolResponses bool

	// Limits bound what the application takes. Their zero value has the defaults.
	Limits Limits

	// Log receives what the processes write to stderr, and how they end. If nil, it is
	// slog.Default().
	Log *slog.Logger

	once      sync.Once
	err       error
	closing   sync.Once
	closeErr  error
	processes *processes
	upstream  *upstream.App
	launcher  *process.Launcher
}

// Prepare does what the first request would do, but for starting processes. The error is what
// is wrong with the fields: a line for each thing.
func (a *App) Prepare() error {
	a.once.Do(a.init)
	return a.err
}

func (a *App) init() {
	log := cmp.Or(a.Log, slog.Default())
	path, err := a.find()
	errs := []error{supported, err, a.checkEnvironment()}
	if a.Dir != "" && !filepath.IsAbs(a.Dir) {
		errs = append(errs, fmt.Errorf("directory: %q is not an absolute path", a.Dir))
	}
	if a.err = errors.Join(errs...); a.err != nil {
		return
	}
	roots := []string{path}
	if a.Root != "" {
		roots = append(append(roots, a.Root), a.Follow...)
	}
	a.launcher, a.err = process.NewLauncher(process.Rules{
		Roots: roots, RunAs: a.RunAs, Confinement: a.Confinement, Cgroup: a.Cgroup,
		Limits: process.Limits{AddressSpace: a.Limits.AddressSpace, FileBytes: a.Limits.FileBytes,
			OpenFiles: a.Limits.OpenFiles, Processes: a.Limits.Processes},
	}, a.Reaper, log)
	if a.err != nil {
		return
	}
	seen, err := a.launcher.Inside(path)
	if err != nil {
		a.err = fmt.Errorf("chroot: %w", err)
		return
	}
	translate := a.Translate
	if chroot := a.Confinement.Chroot; chroot != "" && translate[chroot] == "" {
		translate = maps.Clone(translate)
		if translate == nil {
			translate = make(map[string]string)
		}
		translate[chroot] = "/"
	}
	limits := a.Limits.withDefaults()
	link, env := linker(listen), a.Env
	if a.Paired {
		link, env = pair(a.Preamble), nil
	}
	a.processes = newProcesses(a.launcher, process.Command{
		Path: path, Args: append([]string{seen}, a.Command[1:]...), Dir: cmp.Or(a.Dir, "/"), Env: a.environment(path),
	}, cmp.Or(a.Name, path), link, limits, log)
	a.processes.stackSignal = a.StackSignal
	a.upstream = &upstream.App{Supplier: a.processes, Limits: limits.backend(), Root: a.Root, Index: a.Index, Follow: a.Follow,
		Translate: translate, Env: env, LocalRedirect: a.LocalRedirect, Streaming: a.Streaming,
		SpoolRequests: a.SpoolRequests, SpoolResponses: a.SpoolResponses, StatusTruncates: a.Paired, Explain: a.explain, Log: log}
	a.err = a.upstream.Prepare()
}

// explain returns which setting of a systemd unit is behind a line that a process has written in a request, or "".
func (a *App) explain(line string) string {
	if r := a.processes.sandbox().Said(line); r != nil {
		return r.String()
	}
	return ""
}

// find returns the absolute path of the program.
func (a *App) find() (string, error) {
	if len(a.Command) == 0 || a.Command[0] == "" {
		return "", errors.New("fastcgi_exec: no command: write the FastCGI program to start, such as php-cgi")
	}
	name := a.Command[0]
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	var e *exec.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("no such program in PATH (%s): install it, or write its whole path", os.Getenv("PATH"))
	}
	if err != nil {
		return "", fmt.Errorf("fastcgi_exec: %s: %w", name, err)
	}
	return path, nil
}

// Start starts Limits.Minimum processes. Without it that is left to the first request.
func (a *App) Start() {
	if a.Prepare() == nil {
		a.processes.fill()
	}
}

// ServeCGI passes r on to a process that is free, and its response back. Errors are those of
// upstream.App, and a *cgi.StatusError of 503 if no process can be started or is free.
func (a *App) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := a.Prepare(); err != nil {
		return err
	}
	return a.upstream.ServeCGI(w, r)
}

// Load returns how busy the application is at the moment.
func (a *App) Load() admission.Load {
	if a.Prepare() != nil {
		return admission.Load{}
	}
	return a.upstream.Load()
}

// Close ends all processes and waits until they have been reaped. Later requests are refused
// with 503. It does not wait for ServeCGI calls to return, which they do without delay. Closing
// again does nothing.
func (a *App) Close() error {
	a.Prepare()
	a.closing.Do(func() {
		if a.upstream != nil {
			a.upstream.Close()
		}
		if a.processes != nil {
			a.processes.close()
		}
		if a.launcher != nil {
			a.closeErr = a.launcher.Close()
		}
	})
	return a.closeErr
}

// Explain tells how the program is started, and with Root which file would serve r.
func (a *App) Explain(r *cgi.Request) (*script.Explanation, error) {
	if err := a.Prepare(); err != nil {
		return nil, err
	}
	c := a.processes.command
	e := &script.Explanation{Program: c.Path, Args: c.Args, Dir: c.Dir, Env: c.Env}
	if a.Root != "" {
		file, err := a.upstream.File(r)
		var se *cgi.StatusError
		if errors.As(err, &se) {
			e.Finding = &script.Finding{Check: script.CheckMissing, Detail: se.Err.Error(), Code: se.Code, Err: se.Err}
			return e, nil
		}
		e.Steps = append(e.Steps, script.Step{From: "root", Path: file})
	}
	if err := a.launcher.Check(&c); err != nil {
		e.Finding = &script.Finding{Check: script.CheckStart, Path: c.Path, Detail: strings.TrimPrefix(err.Error(), c.Path+": "), Code: 503, Err: err}
	}
	return e, nil
}
