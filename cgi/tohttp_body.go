package cgi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// An httpBody is the body of a request that came over net/http, held to the
// limits on its length and on the wait for its next byte.
type httpBody struct {
	body    io.Reader
	control *http.ResponseController
	wait    time.Duration
	rate    int64 // bytes a second
	linger  time.Duration
	limit   int64 // of bytes
	shared  bool  // the connection carries other requests at the same time (HTTP/2)
	read    int64
	pace    Pace
	err     error // what every later Read returns

	mu          sync.Mutex // guards what follows, and orders it with the deadlines
	idle        sync.Cond  // signalled when reading becomes false
	reading     bool       // a Read is under way
	closed      bool
	ownDeadline bool // the application has set a deadline of its own
	until       time.Time
	expired     bool // a Read has met a deadline, or was interrupted
	eof         bool // the body has been read to its end
	detached    bool // the request is over, and the connection may carry another
}

func newHTTPBody(r io.Reader, c *http.ResponseController, l Limits) *httpBody {
	b := &httpBody{body: r, control: c, wait: l.BodyRead, rate: l.BodyRate, linger: l.Linger, limit: l.BodyBytes}
	b.idle.L = &b.mu
	return b
}

// Read implements io.Reader.
func (b *httpBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	began := time.Now()
	if err := b.arm(began); err != nil {
		return 0, err
	}
	n, closed, own, err := b.readArmed(p)
	waited := time.Since(began)
	if b.read += int64(n); b.read > b.limit {
		// What is over the limit was read only to see whether the body ends.
		n -= int(b.read - b.limit)
		b.read, err = b.limit, tooLarge(b.limit)
	}
	var slow error
	if !own {
		slow = b.pace.Measure(waited, b.read, b.rate)
	}
	if err == nil {
		b.err = slow
		return n, nil
	}
	switch {
	case closed && err != io.EOF:
		err = ErrBodyClosed
	case !errors.Is(err, os.ErrDeadlineExceeded) || own:
	case slow != nil && waited < b.wait:
		err = slow
	default:
		err = &StatusError{Code: http.StatusRequestTimeout,
			Err: fmt.Errorf("no byte of the body for %v (body_read): %w", b.wait, err), Check: "body_read"}
	}
	b.err = err
	return n, err
}

// arm begins a Read.
func (b *httpBody) arm(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrBodyClosed
	}
	b.reading = true
	if !b.ownDeadline {
		b.setDeadline(now.Add(min(b.wait, b.pace.left(b.rate))))
	}
	return nil
}

// readArmed reads, and disarms also if the reader panics, as a middleware's may.
func (b *httpBody) readArmed(p []byte) (n int, closed, own bool, err error) {
	defer func() { closed, own = b.disarm(err) }()
	n, err = b.body.Read(p)
	return n, false, false, b.trailerError(err)
}

// trailerError returns err, but the kind of error that it is where a chunked body ends in its
// trailers: for that net/http has an error of its own, without a name and without a cause.
func (b *httpBody) trailerError(err error) error {
	switch {
	case err == nil || err.Error() != "http: unexpected EOF reading trailer":
		return err
	case b.timedOut():
		return os.ErrDeadlineExceeded
	}
	return io.ErrUnexpectedEOF
}

// disarm ends a Read. While nobody waits for the body its limit does not run, and net/http
// would take an expired deadline for a client that has gone.
func (b *httpBody) disarm(err error) (closed, own bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading, b.eof = false, b.eof || err == io.EOF
	b.expired = b.expired || errors.Is(err, os.ErrDeadlineExceeded)
	b.idle.Broadcast()
	if !b.closed && !b.ownDeadline {
		b.setDeadline(time.Time{})
	}
	return b.closed, b.ownDeadline
}

// setDeadline sets the connection's deadline, and reports whether it has one: where
// a server gives none there is no limit to hold. The mu is held.
func (b *httpBody) setDeadline(t time.Time) bool {
	b.until = t
	return !b.detached && b.control.SetReadDeadline(t) == nil
}

// timedOut reports whether a deadline has ended the reading, which net/http takes for a
// client that has gone.
func (b *httpBody) timedOut() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.expired || b.reading && !b.until.IsZero() && !time.Now().Before(b.until)
}

// setOwnDeadline sets a deadline of the application's, in place of the limit.
func (b *httpBody) setOwnDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.detached {
		return ErrBodyClosed
	}
	b.ownDeadline, b.until = true, t
	return b.control.SetReadDeadline(t)
}

// Close implements io.Closer. A Read that is under way returns.
func (b *httpBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.reading {
		b.setDeadline(aLongTimeAgo)
	}
	return nil
}

// closeAndWait closes the body and waits for a Read that is under way. It reports whether
// the body has been read to its end. The mu is held.
func (b *httpBody) closeAndWait() (eof bool) {
	b.closed = true
	if b.reading && b.setDeadline(aLongTimeAgo) {
		for b.reading {
			b.idle.Wait()
		}
	}
	return b.eof
}

// hasUnread reports whether something of the body is left on a connection of its own.
func (b *httpBody) hasUnread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.eof && !b.shared
}

// drain sends the response and then reads what is left of the body, for at most
// Limits.Linger, so that a connection that is closed is not reset before the client has read
// the response.
func (b *httpBody) drain(s *httpSink) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closeAndWait() || b.reading || b.shared {
		return
	}
	if s.Flush() != nil || !b.setDeadline(time.Now().Add(b.linger)) {
		return
	}
	_, err := io.Copy(io.Discard, b.body)
	b.eof = err == nil
}

// detach closes the body when the request is over. net/http is not to wait for what drain
// has left unread.
func (b *httpBody) detach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closeAndWait() {
		b.setDeadline(time.Time{})
	} else {
		b.setDeadline(aLongTimeAgo)
	}
	b.detached = true
}
