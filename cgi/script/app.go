// Package script runs CGI programs (RFC 3875): one process for each request, with the
// variables as its environment, the body on its stdin and the response on its stdout.
//
// A program runs in its own process group and, unless [App].Dir names another one, in its
// own directory. It has no descriptors
// but its three, and no signals ignored or blocked except those that were blocked when
// this process started. Its output is passed on as it comes; it may write before it
// reads, and need not read at all. Its stderr goes to the log, with the request's id.
//
// # The end of a program
//
// The response is complete when the program has ended or has closed its stdout; a child
// that keeps the pipes open does not delay it. A non-zero exit status after a complete head
// is logged and reported, but is no error, because shell programs often end that way. A
// program that is ended by a signal has not completed its response. A program without a
// head is a 502.
//
// When the client leaves or a limit passes, the whole process group gets TERM and, after a
// grace, KILL. On Linux the same happens to descendants that have left the group, as long
// as their parents are there to find them by. A descendant that was orphaned on purpose (by
// a double fork, in a session of its own) is not tracked, unless
// [process.Cgroup].EachProgram is on.
//
// # Responses
//
// A local redirect (RFC 3875 § 6.2.2) is a head with a Location that begins with a slash,
// nothing else, and no body. A cgi.Redirector above the App follows it if
// [App].LocalRedirect allows; otherwise it is sent as 302.
//
// A program whose name begins with "nph-", or that [App].NPH names, sends a whole HTTP
// response. The connection to the client still belongs to the front-end, which keeps it
// valid: status and fields are passed on as for other programs, with the client's HTTP
// version and without the fields that concern the connection; a chunked body is decoded.
// Output of such a program is sent at once. Over FastCGI and SCGI, which know no such
// programs, its status line becomes the Status. Other programs may begin with a status line,
// too.
//
// # Finding the program
//
// [App.ServeCGI] says which program runs. What keeps one from running is a [Finding]: which
// check failed, on which file, and how to mend it. It is the error of the request, and
// [App.Explain] finds it beforehand.
//
// # Windows
//
// Windows runs .exe, .com, .bat and .cmd files. What else is in a root is run by an
// interpreter: that of its extension in [App].Interpreters, or else that of its "#!" line. One
// that is not where the line says is looked for by its name in the PATH that programs get, so
// that "#!/usr/bin/env python3" finds python3.exe or python.exe there. A file with neither is
// 403, as one without an x bit is elsewhere.
//
// Each program runs in a job object of its own, without a console. When the client leaves or
// a limit passes, all processes in it are terminated at once, without a grace: Windows has no
// signal that asks them to end. They also end with this process, however that ends. A program
// that crashes, with an exit status from 0xc0000000 on, has not completed its response.
//
// Whoever can write inside a root is trusted: a file is checked first and then executed by
// its path. [process.RunAs] and [process.Confinement] require less trust.
package script

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/cgi/process"
	"gatehouse/systemd/sandbox"
)

// An App is a cgi.App that runs CGI programs. At least one root is needed. The
// fields must not be changed once requests are served, and an App must not be
// copied then.
type App struct {
	// Roots are the absolute directories that programs lie in. A root may also be a
	// program, which then serves every path.
	Roots []string

	// Follow are files and directories that symlinks in the roots may lead to. Nothing else
	// outside the roots runs.
	Follow []string

	// Only, if not empty, names the programs in the roots that may run, by patterns of
	// path.Match: for the last part of the path or, with a "/", for the whole path below
	// the root. A root that is a program runs in any case.
	Only []string

	// Dir is the directory that programs start in, absolute, and as they see it if there is
	// a Confinement.Chroot. If empty, each starts in its own. It must exist, and cannot be
	// had together with what runs a program in its own directory: RunAs.Owner,
	// Confinement.CheckOwner and CheckMode. What the manner Fcgiwrap takes from FCGI_CHDIR
	// counts before it.
	Dir string

	// Args are arguments that every program gets, before the words of SearchArgs.
	Args []string

	// Env is the application's own environment, as "NAME=VALUE". It overrides what the
	// web server sends.
	Env []string

	// PassAuthorization lets HTTP_AUTHORIZATION and AUTH_PASSWORD reach the programs.
	PassAuthorization bool

	// Inherit names what programs get from the environment of this process, unless the
	// web server or Env sets it. If nil: PATH, LANG and TZ. With RunAs they also get HOME,
	// that of the user they run as and never that of this process.
	Inherit []string

	// InheritAll gives programs the whole environment of this process, as of its first
	// request, and not only what Inherit names. That is what fcgiwrap does. Left out are the
	// names of a request's own variables (AUTH_TYPE, HTTP_… and so on) and those that systemd
	// sets for this process (LISTEN_…, NOTIFY_SOCKET, WATCHDOG_…).
	InheritAll bool

	// Interpreters are the programs that run files with an extension, such as ".py", on
	// Windows, which knows nothing of "#!". Others run by their "#!" lines; see "Windows" in
	// the package documentation.
	Interpreters map[string]string

	// Manner says how programs are found, and how their environment is made. Only Gatehouse
	// needs Roots.
	Manner Manner

	// Stderr, if not nil, gets what programs write to stderr, unchanged, in place of the
	// log. It must be safe for concurrent writes.
	Stderr io.Writer

	// StderrToClient sends what programs write to stderr to the web server (FCGI_STDERR),
	// where the front-end can, in whole lines, in place of the log and Stderr. The Finding
	// of a refused request, and what is wrong with the head of a response, go there as well
	// as to the log; with the Manner Fcgiwrap they always do.
	StderrToClient bool

	// RunAs says which user programs run as, Confinement what they may not do, and
	// Cgroup in which control groups they run.
	RunAs       process.RunAs
	Confinement process.Confinement
	Cgroup      process.Cgroup

	// Reaper, if not nil, reaps what programs leave behind. It must outlive the App.
	Reaper *process.Reaper

	// LocalRedirect says who follows a local redirect. By default a cgi.Redirector above the
	// App does over HTTP, and the client does behind a web server.
	LocalRedirect cgi.RedirectPolicy

	// NPH names programs that send a whole HTTP response, as those do whose names begin with
	// "nph-" (RFC 3875 § 5), by patterns of path.Match for the last part of the path. See
	// the package documentation.
	NPH []string

	// Streaming starts programs at once, before their bodies have come, and sends their
	// responses while these still come: full duplex, for programs and clients that talk to
	// each other. nginx stops sending a body when it sees the head of the response. By default
	// a program starts when its body has come, or the first 64 KiB of it, so that clients that
	// send slowly hold no place among Limits.Programs until then.
	Streaming bool

	// SearchArgs gives programs the words of a query like "?one+two" as arguments (RFC
	// 3875 § 4.4): those of GET and HEAD requests without a "=", if every word consists of
	// ASCII letters, digits and ".,_-@", and begins with a letter or a digit. Otherwise,
	// for more than 64 words or one of more than 256 bytes, there are none.
	SearchArgs bool

	// Limits bound what programs take.
	Limits Limits

	// Sandbox is that of the process about which Explain is asked. If nil, it is this one.
	Sandbox *sandbox.Sandbox

	// Log receives what programs write to stderr, and exit statuses. If nil, it is
	// slog.Default().
	Log *slog.Logger

	once  sync.Once
	state state
}

// state is what an App makes of its fields at the first request.
type state struct {
	limits    Limits
	inherited []string
	dropped   notedNames // variables that do not reach the programs
	ambiguous notedNames // variables that were sent with two values
	gate      *admission.Gate
	null      *os.File
	err       error

	launcher *process.Launcher
	starter  process.Starter // the launcher

	mu      sync.Mutex
	closed  bool
	running map[*run]struct{}

	sandboxOnce sync.Once
	sandbox     *sandbox.Sandbox // of this process

	// testHook, if not nil, is called when a stage is reached: "begin", a program runs, and
	// its body is not passed on yet; "wait", before it is waited for; "leave", before its
	// place is free.
	testHook func(stage string)

	owned sync.WaitGroup // processes, and the goroutines that serve them
}

var errClosed = errors.New("the application is closed")

func (a *App) log() *slog.Logger {
	if a.Log != nil {
		return a.Log
	}
	return slog.Default()
}

// Prepare does what the first request would do: it opens and notes what the App needs
// from this process and its environment. A process that will change its user or its root
// directory calls it first.
func (a *App) Prepare() error {
	a.once.Do(a.init)
	return a.state.err
}

// Clone returns an App that is configured as a is, and has served nothing.
func (a *App) Clone() *App {
	return &App{
		Roots: a.Roots, Follow: a.Follow, Only: a.Only, Manner: a.Manner, Dir: a.Dir, Args: a.Args,
		Env: a.Env, PassAuthorization: a.PassAuthorization, Inherit: a.Inherit, InheritAll: a.InheritAll, Interpreters: a.Interpreters, SearchArgs: a.SearchArgs,
		Stderr: a.Stderr, StderrToClient: a.StderrToClient, LocalRedirect: a.LocalRedirect, NPH: a.NPH, Streaming: a.Streaming,
		RunAs: a.RunAs, Confinement: a.Confinement, Cgroup: a.Cgroup, Reaper: a.Reaper, Limits: a.Limits, Sandbox: a.Sandbox, Log: a.Log,
	}
}

// reached calls the hook of a test.
func (s *state) reached(stage string) {
	if s.testHook != nil {
		s.testHook(stage)
	}
}

// Load returns how busy a is at the moment.
func (a *App) Load() admission.Load {
	a.once.Do(a.init)
	return a.state.gate.Load()
}

// Measure implements cgi.Measured.
func (a *App) Measure() cgi.AppState {
	a.once.Do(a.init)
	s := cgi.AppState{Kind: "scripts"}
	a.state.gate.Measure(&s)
	return s
}

func (a *App) init() {
	s := &a.state
	s.limits = a.Limits.withDefaults()
	s.inherited = inherited(a.Inherit)
	if a.InheritAll {
		s.inherited = inheritedAll(os.Environ())
	}
	s.dropped.log, s.ambiguous.log = a.log(), a.log()
	s.dropped.message = "variable does not reach the programs; this is logged once for each name"
	s.dropped.beyond = "further names of variables that do not reach the programs are not logged"
	s.ambiguous.message = "variable was sent twice, with two values; this is logged once for each name"
	s.ambiguous.beyond = "further names of variables that were sent twice are not logged"
	s.gate = admission.New(s.limits.admission(), a.log())
	s.running = make(map[*run]struct{})
	s.null, s.err = os.Open(os.DevNull)
	if err := a.checkPatterns(); err != nil && s.err == nil {
		s.err = err
	}
	for _, dirs := range [][]string{a.Roots, a.Follow} {
		for _, d := range dirs {
			if !filepath.IsAbs(d) && s.err == nil {
				s.err = fmt.Errorf("script: the directory %q is not absolute", d)
			}
		}
	}
	if s.err == nil {
		s.launcher, s.err = a.newLauncher()
		s.starter = s.launcher
	}
}

// newLauncher returns what starts the programs.
func (a *App) newLauncher() (*process.Launcher, error) {
	if a.Limits.CPU > 0 && !process.KnowsCPUTime {
		return nil, fmt.Errorf("cpu: not on %s, only on Linux: remove it", runtime.GOOS)
	}
	dirErr := a.checkDir()
	l, err := process.NewLauncher(process.Rules{
		Roots:       a.Roots,
		Follow:      a.Follow,
		RunAs:       a.RunAs,
		Confinement: a.Confinement,
		Cgroup:      a.Cgroup,
		Limits: process.Limits{AddressSpace: a.Limits.AddressSpace, FileBytes: a.Limits.FileBytes,
			OpenFiles: a.Limits.OpenFiles, Processes: a.Limits.Processes},
	}, a.Reaper, a.log())
	if err == nil && dirErr != nil {
		err = l.Close()
	}
	if err = errors.Join(dirErr, err); err != nil {
		return nil, err
	}
	return l, nil
}

// Check returns what is wrong with Dir, RunAs, Confinement, Cgroup and the limits that
// go with them, for this process on this system: one line for each thing, which
// names its key. Requests are refused with 500 while it is not nil.
func (a *App) Check() error {
	l, err := a.newLauncher()
	if err != nil {
		return err
	}
	return l.Close()
}

// Close ends all programs and waits until they have been reaped. Later requests
// are refused with 503. It does not wait for ServeCGI calls to return, which they
// do without delay.
func (a *App) Close() error {
	a.once.Do(a.init)
	s := &a.state
	s.mu.Lock()
	again := s.closed
	s.closed = true
	running := make([]*run, 0, len(s.running))
	for u := range s.running {
		running = append(running, u)
	}
	s.mu.Unlock()
	for _, u := range running {
		u.abort(shutdown)
	}
	s.owned.Wait()
	if again {
		return nil
	}
	var errs []error
	if s.launcher != nil {
		errs = append(errs, s.launcher.Close())
	}
	if s.null != nil {
		errs = append(errs, s.null.Close())
	}
	return errors.Join(errs...)
}
