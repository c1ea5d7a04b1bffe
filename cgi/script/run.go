package script

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
)

const (
	// flushDelay is how long output may wait for more before it is sent on, counted
	// from its first byte: a program that has written its answer mostly ends sooner,
	// and the answer is then one write with a Content-Length.
	flushDelay = 4 * time.Millisecond

	// exitDelay is how long the end of the answer waits for the program's own end,
	// which tells whether it is whole. A program that closes its stdout and works on
	// does not hold its answer any longer.
	exitDelay = time.Second

	// discardBytes is how much is read and thrown away of an answer that is longer
	// than the program said, so that the program can come to its end.
	discardBytes = 1 << 20
)

// A run is one program at work on one request.
type run struct {
	app    *App
	place  admission.Place
	w      cgi.ResponseWriter
	id     uint64
	target *target
	proc   *process
	body   *body
	pump   *pump // nil if the program gets no pipe for its stdin
	limits *Limits

	attending  sync.Mutex
	attendance attendance

	stderrDone chan struct{} // closed when stderr has been read to its end
	stderrMu   sync.Mutex    // held while stderr is sent to the web server
	stderrLeft bool          // nothing is sent there any more

	started  time.Time
	last     atomic.Int64 // when a byte last went either way, since started
	passed   atomic.Int64 // when the body had been passed, since started; 0: not yet
	answered atomic.Bool  // the first byte of the answer is there
	sending  atomic.Bool  // waiting for the client, which is not the program's silence
	timer    *time.Timer

	mu      sync.Mutex
	cause   error        // why the program was ended
	request *cgi.Request // whose body is read; nil once ServeCGI returns

	// What follows belongs to the goroutine of ServeCGI.
	parser    *cgi.HeadParser
	headDone  bool
	follows   bool         // a local redirect is followed in this process
	redirects bool         // the head is one, and is kept until the end shows that it has no body
	nph       bool         // the program answers with a whole HTTP response
	chunks    *chunkedBody // of its body, or nil
	unflushed bool
	copying   bool // the front-end takes nothing from a pipe
	discarded int  // bytes beyond the declared Content-Length
	overrun   bool
}

var parserPool = sync.Pool{New: func() any { return cgi.NewHeadParser(0) }}

func (u *run) since() int64 { return int64(time.Since(u.started)) }

func (u *run) touch() { u.last.Store(u.since()) }

func (u *run) bodyPassed() { u.passed.Store(max(1, u.since())) }

// end ends the program because of cause, unless it has ended or is ending.
func (u *run) end(cause error) {
	u.mu.Lock()
	if u.proc.end(u.limits.Grace) {
		u.cause = cause
		u.proc.stdout.wake()
		if u.request == nil {
			// The answer had its end before, and nobody else tells this.
			u.app.log().LogAttrs(context.Background(), slog.LevelWarn, "program ended after its answer",
				slog.Uint64("request", u.id), slog.String("script", u.target.path), slog.String("error", cause.Error()))
		}
	}
	u.mu.Unlock()
	u.attend()
}

func (u *run) endCause() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.cause
}

// leaveBody ends the reading of a body that nobody will read any more.
func (u *run) leaveBody() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.pump != nil && u.request != nil && !u.pump.ended() {
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

// gone returns why the context of the request was cancelled.
func (u *run) gone(ctx context.Context) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, cgi.ErrShutdown):
		return shutdown
	case errors.Is(cause, context.DeadlineExceeded):
		return u.errorf(http.StatusGatewayTimeout, "%w", cause)
	}
	return fmt.Errorf("%s: %w", u.target.path, cause)
}

// serve passes the answer on, and leaves nothing that uses the request.
func (u *run) serve(ctx context.Context, r *cgi.Request, b *body) (err error) {
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { u.end(u.gone(ctx)) })
		defer stop()
	}
	returned := false
	defer func() {
		if !returned { // the response writer panicked
			u.end(errors.New("the response failed"))
		}
		u.mu.Lock()
		u.request = nil
		u.mu.Unlock()
		if u.pump != nil {
			u.pump.stop(r, b)
		}
		u.proc.stdout.close()
		if u.proc.hasExited() {
			<-u.stderrDone
		}
		u.leaveStderr()
	}()
	err = u.answer()
	returned = true
	return err
}
