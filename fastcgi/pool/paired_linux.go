package pool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/cgi/process"
	"gatehouse/fastcgi/client"
	"gatehouse/fastcgi/record"
)

// A paired link is one of two sockets that are connected to each other. The connection lasts as long
// as the process, which tells by a management record that it is free: see App.Paired.
type paired struct {
	preamble []byte
	near     *net.UnixConn // until it is connected
	client   *client.Conn  // over it, then
	waits    bool          // the process waits for a request
	failure  error         // that of connect
}

// pair returns the linker of paired links.
func pair(preamble []byte) linker {
	return func() (link, *os.File, error) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, nil, os.NewSyscallError("socketpair", err)
		}
		near, far := os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
		defer near.Close()
		nc, err := net.FileConn(near)
		if err != nil {
			far.Close()
			return nil, nil, err
		}
		return &paired{preamble: preamble, near: nc.(*net.UnixConn)}, far, nil
	}
}

// connect implements link. There is one connection.
func (l *paired) connect(w *worker) (err error) {
	if l.client != nil {
		return l.failure
	}
	if w.conn, err = newConn(w, l.near); err != nil {
		return err
	}
	w.conn.ReceiveFiles()
	l.client = client.New(w.conn)
	l.client.ParamsBytes = -1 // the front-end has bounded them
	l.client.KeepAborted = true
	w.conn.client = l.client
	return nil
}

// awaitReady sends the preamble, and returns nil once the process has answered GET_VALUES.
func (l *paired) awaitReady(w *worker) error {
	ctx, cancel := context.WithCancel(context.Background())
	if limit := w.pool.limits.Ready; limit != forever {
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errNotReady)
	}
	stopped := make(chan struct{})
	go func() { // a child that it has left may hold the socket open
		defer close(stopped)
		select {
		case <-w.proc.Exited():
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() {
		cancel()
		<-stopped
	}()
	err := l.client.Send(ctx, l.preamble)
	if err == nil {
		_, err = l.client.GetValues(ctx, client.MpxsConns)
	}
	switch {
	case err == nil:
		l.waits = true
		return nil
	case context.Cause(ctx) == errNotReady:
		return fmt.Errorf("it has not said that it is ready %w: what does it do so long, such as in an import?", errNotReady)
	case l.reason(err) == errEnding:
		return errors.New("it has closed its connection, and goes on")
	}
	return err
}

// reason returns errEnding if err is that the connection has ended, and otherwise err.
func (l *paired) reason(err error) error {
	var wrong *client.ProtocolError
	if errors.As(err, &wrong) || errors.Is(err, record.ErrVersion) {
		return err
	}
	return errEnding
}

// served implements link. A process that works on behind its response says later that it is free.
func (l *paired) served(*conn) error {
	l.waits = l.client.Unasked() == l.client.Begun()
	return l.excess()
}

// errExcess is that a process was free for more requests than it has had.
var errExcess = errors.New("it has sent more management records than it had requests, each of which says once that it is free")

func (l *paired) excess() error {
	if l.client.Unasked() > l.client.Begun() {
		return errExcess
	}
	return nil
}

// givenUp lets the process go on with what was aborted.
func (l *paired) givenUp(*conn) error {
	l.waits = false
	if err := l.client.Err(); err != nil {
		return l.reason(err)
	}
	return nil
}

// free implements link. One that has said so is not asked.
func (l *paired) free(c *conn) (free, open bool) {
	if !l.waits && l.failure == nil {
		c.atOnce = true
		l.await(longPast)
		c.atOnce = false
	}
	return l.waits, l.failure == nil
}

// awaitFree implements link.
func (l *paired) awaitFree(_ *conn, until time.Time) (free bool) {
	l.await(until)
	return l.waits
}

// await reads until the process has said that it is free, or the time has passed.
func (l *paired) await(until time.Time) {
	err := l.client.AwaitUnasked(l.client.Begun(), until)
	if err == nil {
		err = l.excess()
	}
	switch {
	case err == nil:
		l.waits = true
	case err == errExcess:
		l.failure = err
	case !errors.Is(err, os.ErrDeadlineExceeded):
		l.failure = l.reason(err)
	}
}

// unready implements link.
func (l *paired) unready(s process.Status, _, last string) string {
	if last == "" {
		return fmt.Sprintf("it ended before it was ready, with %v, and wrote nothing to stderr", s)
	}
	return fmt.Sprintf("it ended before it was ready, with %v: %s (the log has all that it wrote)", s, last)
}

// close implements link.
func (l *paired) close() {
	if l.client == nil {
		l.near.Close()
	}
}
