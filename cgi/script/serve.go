package script

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/cgi/process"
	"gatehouse/cgi/relay"
)

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
// length that is too much to keep. A body that comes too slowly is 408.
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
		return a.complain(w, a.sandboxed(err))
	}
	r.Script = t.path
	if a.Streaming {
		_ = cgi.EnableFullDuplex(w)
	}
	b, err := a.takeBody(r)
	if err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	ctx := r.Context()
	r.UpdateUsage(func(u *cgi.Usage) { *u = cgi.Usage{Program: t.path, Queued: u.Queued} })
	r.SetStage(cgi.StageQueued)
	p, err := a.state.gate.Admit(ctx, r, t.path)
	r.SetStage(cgi.StageServing)
	if err != nil {
		b.Close()
		return fmt.Errorf("%s: %w", t.path, err)
	}
	u, err := a.start(w, r, t, &b, p)
	if err != nil {
		return a.complain(w, a.sandboxed(err))
	}
	r.SetWorker(u)
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
	c.Args = []string{seen}
	if associates {
		line, f := commandLine(t.path, a.Interpreters, pathOf(c.Env))
		if f != nil {
			return nil, f.status()
		}
		c.Path, c.Args = line[0], line
	}
	c.Args = append(c.Args, a.args(r)...)
	return c, nil
}

// start starts the program. From then on the place in the queue, the body's spool and
// the process belong to the goroutine that watches the process; after an error they have
// been given back.
func (a *App) start(w cgi.ResponseWriter, r *cgi.Request, t *target, b *body, p admission.Place) (u *run, err error) {
	s := &a.state
	defer func() {
		if err != nil {
			b.Close()
			s.gate.Leave(p)
		}
	}()
	c, err := a.command(r, t, b.Length, s.dropped.note)
	if err != nil {
		return nil, err
	}
	for _, name := range a.ambiguous(r) {
		s.ambiguous.note(name, lastCounts)
	}
	switch {
	case b.Length == 0:
		c.Stdin = s.null
	default:
		c.Stdin = b.File()
	}
	// Close waits for what is counted here, and nothing is counted once it waits.
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: time.Second, Err: errClosed}
	}
	s.owned.Add(2)
	s.mu.Unlock()
	u = &run{app: a, place: p, about: r.LogAttr(), tally: r.Tally(), request: r, target: t, body: b, limits: &s.limits,
		stderrDone: make(chan struct{})}
	u.activity.Start()
	if u.proc, err = s.starter.Start(c); err != nil {
		s.owned.Add(-2)
		return nil, a.Manner.finder().startFailure(a.startFinding(c, err)).status()
	}
	r.UpdateUsage(func(now *cgi.Usage) { now.PID = u.proc.PID() })
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
