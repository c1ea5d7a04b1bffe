package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
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
	place  place
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

// watchTime starts the clock of the limits. It looks when the nearest of them may
// be over, and not at every byte.
func (u *run) watchTime() {
	u.mu.Lock()
	defer u.mu.Unlock()
	first := min(attendAfter, u.limits.FirstByte, u.limits.Silence, u.limits.Run)
	if u.limits.CPU != forever {
		first = min(first, u.cpuPause(0))
	}
	u.timer = time.AfterFunc(first, u.tick)
}

func (u *run) tick() {
	if u.proc.hasExited() {
		return
	}
	u.attend()
	now, l := time.Duration(u.since()), u.limits
	next := time.Duration(forever)
	over := func(name string, from, limit time.Duration) bool {
		if limit == forever {
			return false
		}
		if now-from < limit {
			next = min(next, limit-(now-from))
			return false
		}
		u.end(u.errorf(http.StatusGatewayTimeout, "%s of %v is over", name, limit))
		return true
	}
	if over("run", 0, l.Run) {
		return
	}
	if l.CPU != forever {
		used := u.proc.cpuTime()
		if used >= l.CPU {
			u.end(u.errorf(http.StatusGatewayTimeout, "cpu of %v is over", l.CPU))
			return
		}
		next = min(next, u.cpuPause(used))
	}
	if !u.answered.Load() {
		if passed := u.passed.Load(); passed == 0 {
			next = min(next, l.FirstByte)
		} else if over("first_byte", time.Duration(passed), l.FirstByte) {
			return
		}
	}
	if u.sending.Load() {
		next = min(next, l.Silence)
	} else if over("silence", time.Duration(u.last.Load()), l.Silence) {
		return
	}
	if next != forever {
		u.mu.Lock()
		u.timer.Reset(max(next, time.Millisecond))
		u.mu.Unlock()
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

// answer passes the program's answer on. When it returns, either the program has
// ended, or it is being ended, or it has closed its stdout.
func (u *run) answer() error {
	buf := bufferPool.Get().(*[copyBuffer]byte)
	defer bufferPool.Put(buf)
	u.parser = parserPool.Get().(*cgi.HeadParser)
	u.parser.Reset(u.limits.HeadBytes)
	defer func() {
		u.parser.Reset(0)
		parserPool.Put(u.parser)
	}()
	out := u.proc.stdout
	for {
		n, ready, err := out.readOr(buf[:], u.spliceLeast())
		if ready > 0 {
			if err := u.pass(ready); err != nil {
				return err
			}
			continue
		}
		if n > 0 {
			u.touch()
			u.answered.Store(true)
			if err := u.take(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if cause := u.endCause(); cause != nil {
				return cause
			}
			if u.proc.hasExited() {
				return u.drain(buf[:])
			}
			if err := u.flush(); err != nil {
				return err
			}
		case err == io.EOF:
			return u.ended()
		default:
			err = u.errorf(http.StatusBadGateway, "reading its output: %w", err)
			u.end(err)
			return err
		}
	}
}

// drain takes what a program that has ended left in its stdout, which a child of
// its may still hold open.
func (u *run) drain(buf []byte) error {
	for left := u.proc.stdout.pending(); left > 0; {
		n, err := u.proc.stdout.readNow(buf[:min(left, len(buf))])
		if n > 0 {
			u.answered.Store(true)
			if err := u.take(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			break
		}
		left -= n
	}
	return u.ended()
}

// take takes a piece of output. An error ends the program.
func (u *run) take(b []byte) error {
	if !u.headDone {
		n, done, err := u.parser.Feed(b)
		if err != nil {
			err = u.errorf(http.StatusBadGateway, "%w", err)
			u.end(err)
			return err
		}
		if !done {
			return nil
		}
		u.headDone = true
		b = b[n:]
		u.redirects = u.follows && u.parser.Head().LocalRedirect
		if !u.redirects {
			if err := u.begin(); err != nil {
				return err
			}
		}
	}
	if u.redirects {
		if len(b) == 0 {
			return nil
		}
		u.redirects = false // a document goes with it, for the client
		if err := u.begin(); err != nil {
			return err
		}
	}
	if u.chunks != nil {
		return u.takeChunks(b)
	}
	return u.takeBody(b)
}

// takeBody takes a piece of the body.
func (u *run) takeBody(b []byte) error {
	if u.overrun {
		return u.discard(len(b))
	}
	if len(b) == 0 {
		return u.unflush()
	}
	u.sending.Store(true)
	_, err := u.w.Write(b)
	u.touch()
	u.sending.Store(false)
	switch {
	case err == nil:
		return u.unflush()
	case errors.Is(err, cgi.ErrContentLength):
		u.overrun = true
		return nil
	}
	u.end(err)
	return err
}

// begin begins the response with the program's head. An error ends the program.
func (u *run) begin() error {
	h := u.parser.Head()
	if h.Traceback {
		u.app.log().LogAttrs(context.Background(), slog.LevelWarn, "program failed, and shows its traceback (cgitb) in the answer",
			slog.Uint64("request", u.id), slog.String("script", u.target.path))
	}
	if u.nph {
		if err := u.beginNPH(h); err != nil {
			return err
		}
	}
	err := u.w.StartResponse(h.Status, h.Fields)
	if err != nil {
		err = u.errorf(http.StatusBadGateway, "%w", err)
		u.end(err)
	}
	return err
}

// spliceLeast returns how many bytes of output are moved without a copy; 0 for none.
func (u *run) spliceLeast() int {
	if !u.headDone || u.redirects || u.chunks != nil || u.overrun || u.copying {
		return 0
	}
	return spliceMin
}

// pass has n bytes of output, which stand in the pipe, moved on. An error ends the
// program.
func (u *run) pass(n int) error {
	u.touch()
	u.sending.Store(true)
	_, err := u.proc.stdout.send(u.w, n)
	u.touch()
	u.sending.Store(false)
	switch {
	case err == nil:
		if u.unflushed {
			u.unflushed = false
			u.proc.stdout.waitUntil(time.Time{})
		}
		return nil
	case errors.Is(err, http.ErrNotSupported):
		u.copying = true
		return nil
	}
	u.end(err)
	return err
}

// discard counts what nobody gets.
func (u *run) discard(n int) error {
	if u.discarded += n; u.discarded <= discardBytes {
		return nil
	}
	u.end(cgi.ErrContentLength)
	return cgi.ErrContentLength
}

// unflush notes that something waits to be sent on.
func (u *run) unflush() error {
	if u.unflushed {
		return nil
	}
	u.unflushed = true
	if u.nph {
		return u.flush()
	}
	u.proc.stdout.waitUntil(time.Now().Add(flushDelay))
	return nil
}

func (u *run) flush() error {
	u.proc.stdout.waitUntil(time.Time{})
	if !u.unflushed {
		return nil
	}
	u.unflushed = false
	u.sending.Store(true)
	err := u.w.Flush()
	u.touch()
	u.sending.Store(false)
	if err != nil {
		u.end(err)
	}
	return err
}

// ended settles the answer at the end of the program's output.
func (u *run) ended() error {
	if !u.settle() && !u.proc.hasExited() {
		timer := time.NewTimer(exitDelay)
		defer timer.Stop()
		select {
		case <-u.proc.exited:
		case <-timer.C:
		}
	}
	if cause := u.endCause(); cause != nil {
		return cause
	}
	if !u.proc.hasExited() {
		if u.headDone {
			return u.complete()
		}
		err := u.errorf(http.StatusBadGateway, "%w; it has closed its stdout and runs on", u.parser.End())
		u.end(err)
		return err
	}
	s := u.proc.status
	switch {
	case !u.headDone:
		return u.errorf(http.StatusBadGateway, "%w; %v", u.parser.End(), s)
	case s.signal != "":
		return u.errorf(http.StatusBadGateway, "%v", s)
	case s.code != 0:
		cgi.SetExitStatus(u.w, s.code)
		u.app.log().LogAttrs(context.Background(), slog.LevelWarn, "program ended with a status",
			slog.Uint64("request", u.id), slog.String("script", u.target.path), slog.Int("status", s.code))
	}
	return u.complete()
}

// complete returns nil if the answer is whole, or the error that asks for a local
// redirect if it was one.
func (u *run) complete() error {
	switch {
	case u.redirects:
		return fmt.Errorf("%s: %w", u.target.path, &cgi.LocalRedirect{Location: u.parser.Head().Location()})
	case u.chunks != nil && !u.chunks.done():
		return u.errorf(http.StatusBadGateway, "its chunked body has no end: %w", io.ErrUnexpectedEOF)
	}
	return nil
}
