package pool

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/internal/nowait"
)

// A worker is a process of the application. The mu of its pool guards all that changes, but for
// conn, which belongs to the request that has the worker.
type worker struct {
	pool   *processes
	name   string           // of the process, in messages
	proc   *process.Process // nil until it was started
	socket socket
	stdout output
	stderr output
	conn   *conn

	ready   bool // it has read from its first connection
	busy    bool // a request has it
	late    bool // it has been found at work behind its response, or has lost its client
	gone    bool // it has ended, or was terminated
	spent   bool // it is to be replaced when it is free
	served  int
	since   time.Time // idle since
	meant   string    // why it was ended, where that is usual
	failure error     // why it was terminated, where that is not

	orphan *time.Timer // it has ended in a request: closes its connection, or nil
}

// run starts the process, and returns when it has ended and been reaped.
func (w *worker) run() {
	p := w.pool
	defer p.owned.Done()
	if err := w.start(); err != nil {
		p.mu.Lock()
		p.ended(w, err)
		p.mu.Unlock()
		return
	}
	defer w.socket.close()
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		w.proc.Wait()
	}()
	p.mu.Lock()
	err := w.connect()
	p.mu.Unlock()
	if err == nil {
		err = w.awaitReady()
	}
	if err != nil && err != errNotReady { // it ends
		select {
		case <-w.proc.Exited():
		case <-time.After(min(p.limits.Ready, endDelay)):
		}
	}
	p.mu.Lock()
	if err == nil {
		p.isReady(w)
	} else if !w.proc.HasExited() {
		p.terminate(w, fmt.Errorf("%s: %w (limit: %v)", w.name, err, p.limits.Ready))
	}
	p.mu.Unlock()
	<-reaped
	<-w.stdout.done
	<-w.stderr.done
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended(w, w.startFailure())
}

// start starts the process.
func (w *worker) start() error {
	p := w.pool
	s, end, err := listen()
	if err != nil {
		return fmt.Errorf("%s: no socket for it: %w", p.Name(), err)
	}
	defer end.Close()
	c := p.command
	c.Stdin = end
	proc, err := p.starter.Start(&c)
	if err != nil {
		s.close()
		return err
	}
	w.socket = s
	w.name = fmt.Sprintf("%s[%d]", p.Name(), proc.PID())
	w.stdout = output{worker: w, from: proc.Stdout, message: "program stdout", done: make(chan struct{})}
	w.stderr = output{worker: w, from: proc.Stderr, message: "program stderr", done: make(chan struct{})}
	proc.Stderr.Open()
	go w.stdout.log()
	go w.stderr.log()
	p.mu.Lock()
	defer p.mu.Unlock()
	w.proc = proc
	if p.closed {
		p.end(w, "close")
	}
	return nil
}

// connect gives w a connection in place of the one it had.
func (w *worker) connect() error {
	nc, err := w.socket.dial()
	if err != nil {
		return err
	}
	raw, err := nc.SyscallConn()
	if err != nil {
		nc.Close()
		return err
	}
	w.conn = &conn{Conn: nowait.New(nc), worker: w, raw: raw}
	w.conn.sendAhead()
	return nil
}

var (
	errNotReady = errors.New("it has not accepted a connection in time (ready): is it a FastCGI program, which accepts them on descriptor 0?")
	errClosed0  = errors.New("it has closed descriptor 0, and goes on: is it a FastCGI program, which accepts connections there?")
)

// endDelay is how long a process has to end that has closed its socket.
const endDelay = time.Second

// awaitReady returns nil once the process has read from its first connection.
func (w *worker) awaitReady() error {
	c := w.conn
	if limit := w.pool.limits.Ready; limit != forever {
		c.SetWriteDeadline(time.Now().Add(limit))
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() { // a child that it has left may hold the socket open
		defer close(stopped)
		select {
		case <-w.proc.Exited():
			c.SetWriteDeadline(longPast)
		case <-done:
		}
	}()
	c.awaitFree()
	close(done)
	<-stopped
	c.SetWriteDeadline(time.Time{})
	switch free, open := c.free(); {
	case free:
		return nil
	case open:
		return errNotReady
	}
	return errClosed0
}

// longPast is a deadline that interrupts what is under way.
var longPast = time.Unix(1, 0)

// startFailure returns why a process that has ended was never ready, or nil.
func (w *worker) startFailure() error {
	switch {
	case w.ready || w.meant != "":
		return nil
	case w.failure != nil:
		return w.failure
	}
	printed := strings.TrimSpace(string(w.stdout.first))
	remedy := "a FastCGI program accepts connections on descriptor 0 until it is told to end; see what it writes to stderr"
	if line, _, _ := strings.Cut(strings.ReplaceAll(printed, "\r", ""), "\n"); printed != "" {
		remedy = fmt.Sprintf("it printed %.100q", line)
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.ContainsAny(name, " \t<") {
			remedy += ", as a CGI program does: serve it with scripts, or if it is PHP write php-cgi"
		}
	}
	return fmt.Errorf("%s: it ended before it accepted a connection, with %v: %s", w.name, w.proc.Status(), remedy)
}

// Failed implements backend.Supplied.
func (c *conn) Failed(cause error) { c.failed = cause }

// Keep implements backend.Supplied.
func (c *conn) Keep(client any) {
	c.stopClock()
	c.client, c.failed = client, nil
	c.served++
	c.sendAhead()
	w, l := c.worker, &c.worker.pool.limits
	grown := l.Memory != forever && w.proc.Memory() > l.Memory
	w.pool.served(w, grown)
}

// GiveUp implements backend.Supplied.
func (c *conn) GiveUp() {
	c.stopClock()
	c.worker.pool.givenUp(c.worker, c.failed)
}

// startClock starts the clock of Limits.CPU for a request.
func (c *conn) startClock() {
	limit := c.worker.pool.limits.CPU
	if limit == forever {
		return
	}
	proc, begun := c.worker.proc, c.worker.proc.CPUTime()
	pause := func(used time.Duration) time.Duration {
		return max((limit-used)/time.Duration(runtime.NumCPU()), 10*time.Millisecond)
	}
	c.clock = newClock(pause(0), func() time.Duration {
		used := proc.CPUTime() - begun
		if used < limit {
			return pause(used)
		}
		err := error(&cgi.StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("%s: cpu of %v is over", c.Name(), limit), Check: "cpu"})
		c.cause.Store(&err)
		c.worker.pool.cutOff(c.worker, err)
		return 0
	})
}

func (c *conn) stopClock() {
	if c.clock != nil {
		c.clock.stop()
		c.clock = nil
	}
}
