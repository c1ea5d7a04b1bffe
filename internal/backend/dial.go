package backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"gatehouse/cgi"
)

// errBacklog is that a unix socket has no room for another connection.
var errBacklog = errors.New("its backlog is full")

const (
	// A unix socket whose backlog is full is tried again after a pause, which doubles.
	backlogPause, backlogPauses = time.Millisecond, 50 * time.Millisecond
)

// dial connects to a target. A unix socket whose backlog is full is waited for.
func (p *Pool) dial(ctx context.Context, t *target, until time.Time) (net.Conn, error) {
	if t.addr.Network != "unix" {
		timeout := p.Limits.Dial
		if timeout == forever {
			timeout = 0
		}
		nc, err := Dial(ctx, t.addr, timeout)
		return nc, p.dialError(t, err)
	}
	var timer *time.Timer
	for pause := backlogPause; ; pause = min(2*pause, backlogPauses) {
		nc, err := net.Dial(t.addr.Network, t.addr.Address)
		if !errors.Is(err, syscall.EAGAIN) {
			return nc, p.dialError(t, err)
		}
		left := pause
		if !until.IsZero() {
			left = min(left, time.Until(until))
		}
		if left <= 0 {
			return nil, p.dialError(t, err)
		}
		if timer == nil {
			timer = time.NewTimer(left)
			defer timer.Stop()
		} else {
			timer.Reset(left)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Dial connects to an address, once. If timeout is not zero, it bounds the attempt.
func Dial(ctx context.Context, a Address, timeout time.Duration) (net.Conn, error) {
	if a.Network == "npipe" {
		return dialPipe(ctx, a.Address, timeout)
	}
	d := net.Dialer{Timeout: timeout, KeepAlive: -1}
	return d.DialContext(ctx, a.Network, a.Address)
}

// dialError returns the error for a client whose request has no connection.
func (p *Pool) dialError(t *target, err error) error {
	if err == nil {
		return nil
	}
	if s := cgi.Exhausted(Cause(err)); s != nil { // which is here, and not at the application
		s.Err = fmt.Errorf("%s: no connection: %w", t.name, s.Err)
		return s
	}
	var ne net.Error
	s := &cgi.StatusError{Code: http.StatusBadGateway, Err: DialError(t.name, err)}
	switch {
	case errors.Is(err, syscall.EAGAIN):
		s.Check = "queue_wait"
		s.Code, s.RetryAfter = http.StatusServiceUnavailable, max(time.Second, min(p.Limits.QueueWait, time.Minute))
		s.Err = fmt.Errorf("%s: %w, and had no room within %v (queue_wait): give the application more workers or a larger backlog, such as php-fpm's listen.backlog, or write fewer connections",
			t.name, errBacklog, p.Limits.QueueWait)
	case errors.As(err, &ne) && ne.Timeout():
		s.Check = "dial"
		s.Code, s.Err = http.StatusGatewayTimeout, fmt.Errorf("%s: no connection within %v (dial)", t.name, p.Limits.Dial)
	}
	return s
}

// DialError returns the error of a connection that could not be made to an address, with a
// remedy.
func DialError(name string, err error) error {
	remedy := ""
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		remedy = ": nobody listens there; is the application running?"
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(name, "npipe:"):
		remedy = ": there is no such pipe; is the application running?"
	case errors.Is(err, fs.ErrNotExist):
		remedy = ": there is no such socket; is the application running?"
	case errors.Is(err, fs.ErrPermission):
		remedy = ": let the user of gatehouse write to the socket, such as by php-fpm's listen.group"
	}
	return fmt.Errorf("%s: %w%s", name, Cause(err), remedy)
}

// Cause returns err without what names the address once more.
func Cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
