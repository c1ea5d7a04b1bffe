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
)

// A worker is a process of the application. The mu of its pool guards all that changes, but for
// conn, which belongs to the request that has the worker.
type worker struct {
	pool   *processes
	name   string           // of the process, in messages
	proc   *process.Process // nil until it was started
	link   link
	stdout output
	stderr output
	conn   *conn

	ready   bool // it has waited for its first request
	busy    bool // a request has it
	late    bool // it has been found at work behind its response, or has lost its client
	gone    bool // it has ended, or was terminated
	spent   bool // it is to be replaced …
	leaving bool // … has been, or is not needed: ends when it is free
	served  int
	since   time.Time // idle since
	meant   string    // why it was ended, where that is usual
	failure error     // why it was terminated, where that is not

	born        time.Time
	maxAge      time.Duration // after which it is spent
	maxRequests int
	measured    time.Time // when its memory was looked at
	unmeasured  bool      // it has served a request since
	heir        *worker   // that is to take its place, or has, or nil
	replaces    *worker   // whose place it is to take, or nil

	moment *time.Timer // terminates it, or nil
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
	defer w.link.close()
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		w.proc.Wait()
	}()
	p.mu.Lock()
	err := w.link.connect(w)
	p.mu.Unlock()
	if err == nil {
		err = w.link.awaitReady(w)
	}
	if err != nil && !errors.Is(err, errNotReady) { // it ends
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
	l, end, err := p.link()
	if err != nil {
		return fmt.Errorf("%s: no socket for it: %w", p.Name(), err)
	}
	defer end.Close()
	c := p.command
	c.Stdin = end
	proc, err := p.starter.Start(&c)
	if err != nil {
		l.close()
		return err
	}
	w.link = l
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

// endDelay is how long a process has to end that has closed its socket.
const endDelay = time.Second

// startFailure returns why a process was never ready that has ended by itself, or nil.
func (w *worker) startFailure() error {
	if w.ready || w.gone {
		return nil
	}
	printed := strings.TrimSpace(string(w.stdout.first))
	return fmt.Errorf("%s: %s", w.name, w.link.unready(w.proc.Status(), printed, w.stderr.lastLine()))
}

// Failed implements backend.Supplied.
func (c *conn) Failed(cause error) { c.failed = cause }

// Keep implements backend.Supplied.
func (c *conn) Keep(client any) {
	c.stopClock()
	c.client, c.failed = client, nil
	c.served++
	w := c.worker
	err := w.link.served(c)
	w.unmeasured = w.pool.limits.Memory != forever
	w.pool.served(w, w.grown(time.Now()), err)
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
