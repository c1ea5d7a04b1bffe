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
// Whoever can write inside a root is trusted: a file is checked first and then executed by
// its path. [process.RunAs] and [process.Confinement] require less trust.
package script

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/cgi/process"
	"gatehouse/cgi/relay"
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

	// SearchArgs gives programs the words of a query like "?one+two" as arguments (RFC
	// 3875 § 4.4): those of GET and HEAD requests without a "=", if every word consists of
	// ASCII letters, digits and ".,_-@", and begins with a letter or a digit. Otherwise,
	// for more than 64 words or one of more than 256 bytes, there are none.
	SearchArgs bool

	// Limits bound what programs take.
	Limits Limits

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
		Roots: a.Roots, Follow: a.Follow, Only: a.Only, Manner: a.Manner, Dir: a.Dir,
		Env: a.Env, PassAuthorization: a.PassAuthorization, Inherit: a.Inherit, InheritAll: a.InheritAll, SearchArgs: a.SearchArgs,
		Stderr: a.Stderr, StderrToClient: a.StderrToClient, LocalRedirect: a.LocalRedirect, NPH: a.NPH,
		RunAs: a.RunAs, Confinement: a.Confinement, Cgroup: a.Cgroup, Reaper: a.Reaper, Limits: a.Limits, Log: a.Log,
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

// filterFinding refuses to run a program as a Filter.
func filterFinding() *Finding {
	return &Finding{Check: CheckFilter, Detail: "a CGI program cannot be a filter: it has no second input", Code: http.StatusInternalServerError}
}

// ServeCGI runs the program for r.
//
// If SCRIPT_FILENAME names a file in a root, that is the program, with SCRIPT_NAME
// and PATH_INFO as the web server sent them. If it goes on behind the file, as in
// "/srv/cgi/a.cgi/x", the rest is moved from SCRIPT_NAME to PATH_INFO. Apache's forms
// "proxy:fcgi://HOST/path" and "proxy:unix:SOCKET|fcgi://HOST/path" name the path if it lies in
// a root. If SCRIPT_FILENAME names a file elsewhere, the
// response is 403. Otherwise the path, below the prefix at which a cgi.Mux has mounted
// the App, is followed down from each root to the first regular file, and what is
// left of it is PATH_INFO.
//
// A program that is asked as an Authorizer (FastCGI 1.0 § 6.3) has FCGI_ROLE set to
// AUTHORIZER, and nothing on stdin; it lets a request in with status 200, which is also
// the status without a Status field. A CGI program cannot be a Filter.
//
// Errors are a *cgi.StatusError, that of a program that does not run with a *[Finding],
// which names the path and the check: 404 for a
// missing file, 403 for one that is outside, a directory or not executable, 502 for
// a program that cannot be started or gives no proper head, 503 when too many
// programs run, 504 for one that is too slow, 413 and 503 for a body of unknown
// length that is too much to keep.
func (a *App) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	a.once.Do(a.init)
	if a.state.err != nil {
		return a.state.err
	}
	if r.Role == cgi.Filter {
		return filterFinding().status()
	}
	t, err := a.Manner.finder().find(a, r, nil)
	if err != nil {
		return a.complain(w, err)
	}
	r.Script = t.path
	b, err := a.takeBody(r)
	if err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	ctx := r.Context()
	p, err := a.state.gate.Enter(ctx, t.path, r.Env.Get("REMOTE_ADDR"))
	if err != nil {
		b.close()
		return fmt.Errorf("%s: %w", t.path, err)
	}
	u, err := a.start(w, r, t, &b, p)
	if err != nil {
		return a.complain(w, err)
	}
	return a.complain(w, u.serve(ctx, r, &b))
}

// lastCounts is what is said of an ambiguous variable.
const lastCounts = "the last one counts: let the web server send it once"

// ambiguous returns the variables of r of which it takes a look at the web server's
// configuration to tell which value is meant. The manners of other gateways have rules of
// their own.
func (a *App) ambiguous(r *cgi.Request) []string {
	if a.Manner != Gatehouse {
		return nil
	}
	return r.Env.Ambiguous()
}

// command returns the command of the program t for r. The error is that of a [Finding].
func (a *App) command(r *cgi.Request, t *target, length int64, dropped func(name, reason string)) (*process.Command, error) {
	c := &process.Command{Path: t.path, Dir: a.startDir(r, t), Env: a.environment(r, t, length, dropped)}
	seen, err := a.state.launcher.Inside(t.path)
	if err != nil {
		return nil, a.startFinding(c, err).status()
	}
	if a.Confinement.Chroot != "" {
		if a.Dir == "" {
			c.Dir = filepath.Dir(seen)
		}
		for i, v := range c.Env {
			if strings.HasPrefix(v, "SCRIPT_FILENAME=") {
				c.Env[i] = "SCRIPT_FILENAME=" + seen
			}
		}
	}
	c.Args = append([]string{seen}, a.args(r)...)
	return c, nil
}

// start starts the program. From then on the place in the queue, the body's spool and
// the process belong to the goroutine that watches the process; after an error they have
// been given back.
func (a *App) start(w cgi.ResponseWriter, r *cgi.Request, t *target, b *body, p admission.Place) (u *run, err error) {
	s := &a.state
	defer func() {
		if err != nil {
			b.close()
			s.gate.Leave(p)
		}
	}()
	c, err := a.command(r, t, b.length, s.dropped.note)
	if err != nil {
		return nil, err
	}
	for _, name := range a.ambiguous(r) {
		s.ambiguous.note(name, lastCounts)
	}
	switch {
	case b.length == 0:
		c.Stdin = s.null
	case b.spool != nil:
		c.Stdin = b.spool.File()
	}
	// Close waits for what is counted here, and nothing is counted once it waits.
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: time.Second, Err: errClosed}
	}
	s.owned.Add(2)
	s.mu.Unlock()
	u = &run{app: a, place: p, id: r.ID, request: r, target: t, body: b, limits: &s.limits,
		stderrDone: make(chan struct{})}
	u.activity.Start()
	if u.proc, err = s.starter.Start(c); err != nil {
		s.owned.Add(-2)
		return nil, a.Manner.finder().startFailure(a.startFinding(c, err)).status()
	}
	u.relay = relay.Relay{
		Output:           u.proc.Stdout,
		Response:         w,
		Name:             t.path,
		HeadBytes:        s.limits.HeadBytes,
		Whole:            a.sendsHTTP(t.path),
		NoBody:           r.Env.Get("REQUEST_METHOD") == http.MethodHead,
		FollowsRedirects: r.FollowsRedirects(a.LocalRedirect),
		HeadParsed:       u.noteHead,
		Activity:         &u.activity,
	}
	u.timer = time.AfterFunc(forever, u.tick)
	if u.proc.Stdin != nil {
		u.pump = &pump{run: u, done: make(chan struct{})}
	}
	// From here on Close, the pump or the clock may abort the program, and watch may finish
	// u before the next line. So all that they use is there.
	s.mu.Lock()
	s.running[u] = struct{}{}
	closed := s.closed
	s.mu.Unlock()
	s.reached("begin")
	if u.pump != nil {
		go u.pump.pass(b)
	} else {
		u.activity.BodyPassed()
	}
	u.watchTime()
	if closed {
		u.abort(shutdown)
	}
	return u, nil
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
