package pool

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
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
	served  int
	since   time.Time // idle since
	meant   string    // why it was ended, where that is usual
	failure error     // why it was terminated, where that is not
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
	free := false
	p.mu.Lock()
	err := w.connect()
	p.mu.Unlock()
	if err == nil {
		free = w.awaitReady()
	}
	p.mu.Lock()
	switch {
	case free:
		p.isReady(w)
	case err != nil:
		p.terminate(w, fmt.Errorf("%s: %w", w.name, err))
	default:
		select {
		case <-w.proc.Exited():
		default:
			p.terminate(w, fmt.Errorf("%s: it has not accepted a connection within %v (ready): is it a FastCGI program, which accepts them on descriptor 0?", w.name, p.limits.Ready))
		}
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
	w.conn = &conn{UnixConn: nc, worker: w, raw: raw}
	w.conn.sendAhead()
	return nil
}

// awaitReady reports whether the process has read from its first connection before it has
// ended, and within Limits.Ready.
func (w *worker) awaitReady() bool {
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
	free := c.awaitFree()
	close(done)
	<-stopped
	c.SetWriteDeadline(time.Time{})
	return free
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
	if line, _, _ := strings.Cut(printed, "\n"); printed != "" {
		remedy = fmt.Sprintf("it printed %.100q", line)
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.ContainsAny(name, " \t<") {
			remedy += ", as a CGI program does: serve it with scripts, or if it is PHP write php-cgi"
		}
	}
	return fmt.Errorf("%s: it ended before it accepted a connection, with %v: %s", w.name, w.proc.Status(), remedy)
}

// spent reports whether the process is to be replaced.
func (w *worker) spent() bool {
	l := &w.pool.limits
	return w.served >= l.Requests || l.Memory != forever && w.proc.Memory() > l.Memory
}

// Failed implements backend.Supplied.
func (c *conn) Failed(cause error) { c.failed = cause }

// Keep implements backend.Supplied.
func (c *conn) Keep(client any) {
	c.stopClock()
	c.client, c.failed = client, nil
	c.served++
	c.sendAhead()
	w := c.worker
	spent := w.served+1 >= w.pool.limits.Requests || w.pool.limits.Memory != forever && w.spent()
	w.pool.served(w, spent)
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
		err := error(&cgi.StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("%s: cpu of %v is over", c.Name(), limit)})
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
