package script

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/cgi/cgihead"
	"gatehouse/cgi/process"
	"gatehouse/cgi/relay"
)

// exitDelay is how long the end of the response waits for the program's own end, which
// tells whether it is whole, where nothing tells whether the program is about to end.
const exitDelay = time.Second

// A run is one program at work on one request.
type run struct {
	app      *App
	place    admission.Place
	about    slog.Attr  // the request, in the log
	tally    *cgi.Tally // of the application
	target   *target
	proc     *process.Process
	body     *body
	pump     *pump // nil if the program gets no pipe for its stdin
	limits   *Limits
	relay    relay.Relay
	activity relay.Activity
	timer    *time.Timer

	attending  sync.Mutex
	attendance attendance

	finished   chan struct{} // closed when all has been given back; nil unless goroutines attend to the program
	stderrDone chan struct{} // closed when stderr has been read to its end
	stderrMu   sync.Mutex    // held while stderr is sent to the web server
	stderrLeft bool          // nothing is sent there any more

	aborted  chan struct{} // closed with cause
	mu       sync.Mutex
	cause    error        // why the program was terminated
	request  *cgi.Request // whose body is read; nil once ServeCGI returns
	outlived bool         // the response was complete, and the program had not ended
}

// Name implements cgi.Worker.
func (u *run) Name() string { return u.target.path }

// Silence implements cgi.Worker.
func (u *run) Silence() (d time.Duration, responded bool) { return u.activity.Silence() }

// Inspect returns what the program and its descendants do at the moment.
func (u *run) Inspect() process.Inspection { return u.proc.Inspect() }

// CPUTime returns the processor time that the program has taken so far; 0 where that is not
// known.
func (u *run) CPUTime() time.Duration { return u.proc.CPUTime() }

// logAttrs logs a line about the program.
func (u *run) logAttrs(message string, more ...slog.Attr) {
	attrs := append([]slog.Attr{u.about, slog.String("script", u.target.path)}, more...)
	u.app.log().LogAttrs(context.Background(), slog.LevelWarn, message, attrs...)
}

// abort terminates the program because of cause, unless it has ended or is being
// terminated.
func (u *run) abort(cause error) {
	u.mu.Lock()
	if u.proc.Terminate(u.limits.Grace) {
		u.cause = cause
		if u.aborted != nil {
			close(u.aborted)
		}
		u.proc.Stdout.Interrupt()
		if u.outlived { // nobody else tells this
			u.logAttrs("program ended after its response", slog.String("error", cause.Error()))
		}
	}
	u.mu.Unlock()
	u.attend()
}

func (u *run) abortCause() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.cause
}

// leaveBody ends the reading of a body that nobody will read any more.
func (u *run) leaveBody() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.pump != nil && u.request != nil && !u.pump.hasEnded() {
		u.pump.stopped.Store(true)
		u.request.CloseBody()
	}
}

// errorf returns an error with the program's path.
func (u *run) errorf(code int, format string, args ...any) error {
	return &cgi.StatusError{Code: code, Err: fmt.Errorf(u.target.path+": "+format, args...)}
}

// shutdown is the cause of programs that Close ends.
var shutdown = &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: time.Second, Err: cgi.ErrShutdown}

// cancelCause returns why the context of the request was cancelled.
func (u *run) cancelCause(ctx context.Context) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, cgi.ErrShutdown):
		return shutdown
	case errors.Is(cause, context.DeadlineExceeded):
		return u.errorf(http.StatusGatewayTimeout, "%w", cause)
	}
	return fmt.Errorf("%s: %w", u.target.path, cause)
}

// serve passes the response on. When it returns, nothing uses the request any more.
func (u *run) serve(ctx context.Context, r *cgi.Request, b *body) (err error) {
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { u.abort(u.cancelCause(ctx)) })
		defer stop()
	}
	returned := false
	defer func() {
		if !returned { // the response writer panicked
			u.abort(errors.New("the response failed"))
		}
		u.mu.Lock()
		u.request = nil
		u.mu.Unlock()
		if u.pump != nil {
			u.pump.stop(r, b)
		}
		u.proc.Stdout.Close()
		if u.proc.HasExited() {
			<-u.stderrDone
		}
		u.leaveStderr()
	}()
	err = u.respond()
	returned = true
	if u.proc.HasExited() {
		r.UpdateUsage(u.addTo)
	}
	return err
}

// addTo adds what the program took, which has ended.
func (u *run) addTo(now *cgi.Usage) {
	s, used := u.proc.Status(), u.proc.Usage()
	now.Exited, now.ExitStatus, now.Signal = true, s.Code, s.Signal
	now.User, now.System, now.PeakMemory = used.User, used.System, used.PeakMemory
}

// respond passes the response on. When it returns, either the program has ended, or it
// is being terminated, or it has closed its stdout.
func (u *run) respond() error {
	err := u.relay.Copy()
	switch {
	case err == nil:
		return u.conclude()
	case errors.Is(err, process.ErrInterrupted):
		return u.abortCause()
	}
	u.abort(err)
	return err
}

// conclude returns what the program's own end makes of a response whose output has
// ended.
func (u *run) conclude() error {
	if !u.reap() {
		u.awaitExit()
	}
	// In one step: what comes later is logged by whoever notices it.
	u.mu.Lock()
	cause, exited := u.cause, u.proc.HasExited()
	u.outlived = cause == nil && !exited && u.relay.HeadDone()
	u.mu.Unlock()
	switch {
	case cause != nil:
		return cause
	case u.outlived:
		return u.relay.Complete()
	case !exited:
		err := u.errorf(http.StatusBadGateway, "%w; it has closed its stdout and keeps running", u.relay.HeadError())
		u.abort(err)
		return err
	}
	s := u.proc.Status()
	switch {
	case !u.relay.HeadDone():
		return u.errorf(http.StatusBadGateway, "%w; %v", headError(u.relay.HeadError(), s.Code != 0 || s.Signal != ""), u.ending(s))
	case s.Signal != "":
		return u.errorf(http.StatusBadGateway, "%v", u.ending(s))
	case s.Code != 0:
		cgi.SetExitStatus(u.relay.Response, s.Code)
		attrs := []slog.Attr{slog.Int("status", s.Code)}
		if r := u.sandboxReason(s); r != nil {
			attrs = append(attrs, slog.String("sandbox", r.String()))
		}
		u.logAttrs("program ended with a status", attrs...)
	}
	return u.relay.Complete()
}

// headError returns what is wrong with a head. A program that failed before it printed
// anything needs no advice on what to print.
func headError(err error, failed bool) error {
	var e *cgihead.Error
	if !failed || !errors.As(err, &e) || e.Text != "" || e.Remedy == "" {
		return err
	}
	without := *e
	without.Remedy = "its stderr may say why"
	return &without
}

// awaitExit returns when a program that is ending has ended and its place is free. One
// that has closed its stdout and goes on does not delay its response.
func (u *run) awaitExit() {
	exiting, known := u.proc.Exiting()
	if known && !exiting {
		return
	}
	aborted := make(chan struct{}) // by a limit that passes, or because the client has gone
	u.mu.Lock()
	if u.aborted = aborted; u.cause != nil {
		close(aborted)
	}
	u.mu.Unlock()
	var timeout <-chan time.Time
	if !known {
		timer := time.NewTimer(exitDelay)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-u.finished:
	case <-aborted:
	case <-timeout:
	}
}

// noteHead logs what is odd about a head that is passed on all the same.
func (u *run) noteHead(h *cgihead.Head) {
	if h.Traceback {
		u.logAttrs("program failed, and shows its traceback (cgitb) in the response")
	}
	if h.ContentTypes > 1 {
		for _, f := range h.Fields {
			if strings.EqualFold(f.Name, "Content-Type") {
				u.logAttrs("program printed Content-Type more than once, and the last one counts: let it print only one",
					slog.Int("times", h.ContentTypes), slog.String("used", f.Value))
			}
		}
	}
}
