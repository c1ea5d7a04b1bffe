package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/relay"
	"gatehouse/internal/nowait"
)

// An Output is the response of an application on its way to a client, held to the limits of
// time by the goroutine that reads it.
type Output struct {
	Turn     *Turn
	Source   relay.Output // the connection
	Activity *relay.Activity
	Body     *Body // of the request

	// Watch, if not nil, is called once the response has taken longer than a small one does.
	// From then on the end of the context has to interrupt the Source.
	Watch func()

	// Ahead, if not nil, has the response read ahead of a client that does not keep up, into a
	// spool with the Limits of the Pool.
	Ahead Ahead

	relay   relay.Relay
	passing passing
	until   time.Time // the relay's own deadline
	expired error     // the limit that has passed
	limit   string    // its key
	failed  error     // the error of the Source

	ctx      context.Context
	answered bool       // something has come
	got      int64      // bytes of the response
	held     bool       // some of it waits for more, or has
	ended    bool       // the Source has come to its end, without having been read ahead
	ahead    *readAhead // nil until the client may have to be waited for
	released bool       // the connection has been given back
}

// Copy passes the response to w until the application ends it. follows is that of a
// relay.Relay, and reword, if not nil, may replace the error of the Source by a
// *cgi.StatusError. After an error the response is not complete; after none, Complete tells.
func (o *Output) Copy(ctx context.Context, w cgi.ResponseWriter, follows bool, reword func(error) error) error {
	name := o.Turn.Name()
	o.ctx = ctx
	o.passing.source, _ = o.Source.(pipeSource)
	if o.Ahead != nil {
		o.passing.bound = o.Files()
	}
	defer o.passing.close(&o.Turn.pool.pipes)
	defer o.closeAhead()
	o.relay = relay.Relay{
		Output:           outputReader{o},
		Response:         w,
		Name:             name,
		HeadBytes:        o.Turn.pool.Limits.HeadBytes,
		FollowsRedirects: follows,
		Sending:          outputReader{o},
	}
	err := o.relay.Copy()
	o.closeAhead()
	if err == nil && o.relay.HeadDone() {
		if !o.released {
			o.Turn.succeeded()
		}
		return nil
	}
	if err == nil {
		o.Turn.Failed(o.relay.HeadError())
		return nil
	}
	if !o.released {
		o.sourceFailed(err)
	}
	switch {
	case o.Body.Err() != nil:
		return fmt.Errorf("%s: %w", name, o.Body.Err())
	case ctx.Err() != nil:
		return cancelled(ctx, name)
	case o.expired != nil:
		return &cgi.StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("%s: %w", name, o.expired), Check: o.limit}
	case o.failed != nil && reword != nil:
		if s := reword(o.failed); s != nil {
			return s
		}
	}
	return err
}

// sourceFailed notes err as a failure of the Source, unless that is the end of the request.
func (o *Output) sourceFailed(err error) {
	gone := o.ctx.Err() != nil || o.Body.Err() != nil // which is why the rest failed
	if !gone && (o.expired != nil || o.failed != nil) {
		o.Turn.Failed(err)
	}
}

// Complete tells whether the response is whole, now that Copy has returned nil.
func (o *Output) Complete() error { return o.relay.Complete() }

// WatchAfter is how long a response takes before Watch is called.
const WatchAfter = 10 * time.Millisecond

// An ExpiredError is that a limit of time has passed. It is wrapped by what Turn.Failed is told.
type ExpiredError struct {
	Name  string // the key of the limit
	Limit time.Duration
}

func (e *ExpiredError) Error() string { return fmt.Sprintf("%s of %v is over", e.Name, e.Limit) }

// An outputReader is what the relay of an Output reads.
type outputReader struct{ *Output }

// SetReadDeadline implements relay.Output.
func (o outputReader) SetReadDeadline(t time.Time) error {
	o.until = t
	return nil
}

// Read implements relay.Output.
func (o outputReader) Read(p []byte) (int, error) {
	n, _, err := o.ReadOr(p, 0)
	return n, err
}

// SetSending implements relay.Sender.
func (o outputReader) SetSending(on bool) {
	switch {
	case o.ahead != nil:
		o.ahead.setSending(on)
	case o.ended:
		if o.Ahead != nil && o.got > heldBack && o.relay.HeadDone() {
			o.release()
		}
		o.Activity.SetSending(on)
	case on && o.Ahead != nil && (o.got > heldBack || o.held):
		if o.Watch != nil { // which is for the goroutine that serves the request
			o.Watch()
			o.Watch = nil
		}
		o.ahead = newReadAhead(o.Output)
		o.ahead.setSending(on)
	default:
		o.Activity.SetSending(on)
	}
}

// closeAhead ends the reading ahead.
func (o *Output) closeAhead() {
	if o.ahead != nil {
		o.ahead.close()
		o.ahead = nil
	}
}

// readOr reads what has been read ahead or, if there is nothing, as read does.
func (o outputReader) readOr(p []byte, least int) (n, moved int, err error) {
	if o.ahead != nil {
		if n, ok, err := o.ahead.read(p, o.until); ok {
			o.held = o.held || err != nil
			return n, 0, err
		}
	}
	n, moved, err = o.read(p, least, o.until)
	if err == io.EOF {
		o.ended = true
	} else if err != nil {
		o.held = true
	}
	return n, moved, err
}

// release gives the connection back, whose response has come to its end.
func (o *Output) release() {
	if !o.released {
		o.released = true
		o.Turn.succeeded()
		o.Ahead.Release(true)
	}
}

// read reads from the Source until the deadline, if there is one, or, if least is not zero, has it
// move least bytes or more to the pipe.
func (o outputReader) read(p []byte, least int, until time.Time) (n, moved int, err error) {
	limits := o.Turn.pool.Limits.relay()
	for {
		now := time.Now()
		elapsed := o.Activity.ElapsedAt(now)
		name, limit, next := o.Activity.ExpiredAt(elapsed, limits)
		if name != "" {
			o.limit, o.expired = name, &ExpiredError{name, limit}
			return 0, 0, o.expired
		}
		wake := until
		if next != forever && (wake.IsZero() || now.Add(next).Before(wake)) {
			wake = now.Add(next)
		}
		soon := func(left time.Duration) {
			if t := now.Add(left); wake.IsZero() || t.Before(wake) {
				wake = t
			}
		}
		if o.Watch != nil {
			if left := WatchAfter - elapsed; left > 0 {
				soon(left)
			} else {
				o.Watch()
				o.Watch = nil
			}
		}
		if !o.answered {
			if left := UnansweredAfter - elapsed; left > 0 {
				soon(left)
			} else {
				o.Turn.Unanswered()
			}
		}
		o.Source.SetReadDeadline(wake)
		if least > 0 {
			n, moved, err = o.passing.source.ReadPipe(p, o.passing.pipe.In(), least)
		} else {
			n, err = o.Source.Read(p)
		}
		if n > 0 && !o.answered {
			o.answered = true
			o.Turn.Answered()
		}
		if n > 0 || moved > 0 {
			o.Activity.Received()
			o.got += int64(n + moved)
		}
		switch {
		case n > 0 || err == nil || err == io.EOF:
			return n, moved, err
		case !errors.Is(err, os.ErrDeadlineExceeded):
			o.failed = err
			return 0, 0, err
		}
		if !until.IsZero() && !time.Now().Before(until) {
			return 0, 0, os.ErrDeadlineExceeded
		}
	}
}

// cancelled returns why the context of a request was cancelled.
func cancelled(ctx context.Context, name string) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, cgi.ErrShutdown):
		return &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: time.Second, Err: cause}
	case errors.Is(cause, context.DeadlineExceeded):
		return &cgi.StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("%s: %w", name, cause)}
	}
	return fmt.Errorf("%s: %w", name, cause)
}

// A Source reads a connection, and can be interrupted.
type Source struct {
	net.Conn

	mu  sync.Mutex
	err error

	splicer *nowait.Conn // Conn, once a pipe is used
	copied  bool         // none is
}

// Interrupt makes what is read and written fail, now and later: Read returns err, unless it
// has been interrupted before.
func (s *Source) Interrupt(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.Conn.SetDeadline(time.Unix(1, 0))
	}
}

// SetReadDeadline bounds the next reads.
func (s *Source) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil
	}
	return s.Conn.SetReadDeadline(t)
}

// SetWriteDeadline bounds the next writes.
func (s *Source) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil
	}
	return s.Conn.SetWriteDeadline(t)
}

// Read implements io.Reader.
func (s *Source) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err != nil && n == 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err != nil {
			err = s.err
		}
	}
	return n, err
}

// ReadPipe implements pipeSource: what has come is moved if it is least bytes or more.
func (s *Source) ReadPipe(p []byte, pipe, least int) (n, moved int, err error) {
	if s.splicer == nil && !s.copied {
		s.splicer = nowait.New(s.Conn)
		s.copied = s.splicer == nil
	}
	if !s.copied && s.splicer.Queued() >= least {
		moved, err = s.splicer.SpliceTo(pipe, nowait.Most)
		if moved > 0 {
			return 0, moved, nil
		}
		s.copied = !errors.Is(err, os.ErrDeadlineExceeded) // whatever it is, a Read has it, too
	}
	n, err = s.Read(p)
	return n, 0, err
}
