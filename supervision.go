package gatehouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
	"gatehouse/systemd"
)

const (
	// statusEvery is how often STATUS= is sent at most.
	statusEvery = 5 * time.Second

	// extendEvery is how often the service manager is asked for more time while the Server
	// drains. It is asked for twice as much.
	extendEvery = 5 * time.Second

	// minIdleExit keeps a process from being started and ended all the time.
	minIdleExit = time.Second
)

// A supervision tells whoever supervises this process how a Server is: the service manager
// by its notifications, s6 by a descriptor, and Serve that nobody needs it.
type supervision struct {
	server   *Server
	notifier *systemd.Notifier
	ready    *os.File // nil: none, or written to
	load     load
	check    selfCheck
	idle     chan struct{} // closed when there has been no request for IdleExit

	mu     sync.Mutex
	pulses []checked

	end      context.Context
	endNow   context.CancelFunc
	draining chan struct{}
	running  sync.WaitGroup
	failing  atomic.Bool // to notify
}

// A checked is an endpoint as the supervision sees it.
type checked struct {
	protocol Protocol
	address  string
	pulse    *frontend.Pulse
}

// supervise returns the supervision of s, or nil if nobody has asked for any.
func (s *Server) supervise(endpoints []Endpoint) (*supervision, error) {
	n := s.Notifier
	if n == nil {
		var err error
		if n, err = s.process.Notifier(); err != nil {
			return nil, err
		}
	}
	if n == nil && s.ReadyFD == 0 && s.IdleExit == 0 {
		return nil, nil
	}
	if err := CheckIdleExit(s.IdleExit, endpoints); err != nil {
		return nil, err
	}
	v := &supervision{server: s, notifier: n, idle: make(chan struct{}), draining: make(chan struct{})}
	v.load.began = time.Now()
	v.end, v.endNow = context.WithCancel(context.Background())
	if s.ReadyFD != 0 {
		if err := systemd.CheckReadyFD(s.ReadyFD); err != nil {
			return nil, err
		}
		v.ready = os.NewFile(uintptr(s.ReadyFD), "ready-fd")
	}
	return v, nil
}

// CheckIdleExit returns an error if Server.IdleExit cannot be d with these endpoints: whoever
// connects after the exit to a listener that this process has opened would be refused.
func CheckIdleExit(d time.Duration, endpoints []Endpoint) error {
	if d == 0 {
		return nil
	}
	if d < minIdleExit {
		return fmt.Errorf("idle exit after %v: it must be %v or more (idle_exit)", d, minIdleExit)
	}
	for _, e := range endpoints {
		if own, ok := e.Listener.(interface{ Shared() bool }); ok && !own.Shared() {
			return fmt.Errorf("idle exit needs sockets that are passed to this process, as by a systemd socket unit: nobody would serve %s after it: "+
				"listen on systemd:NAME, or remove idle_exit", addressOf(e))
		}
	}
	return nil
}

// base returns the context for the BaseContext of an endpoint.
func (v *supervision) base(e Endpoint) context.Context {
	if v == nil {
		return context.Background()
	}
	c := checked{protocol: e.Protocol, address: addressOf(e)}
	if v.notifier.Watchdog() > 0 && !e.Once {
		c.pulse = frontend.NewPulse(v.check.queue(e.Protocol))
	} else {
		c.pulse = frontend.NewPulse(nil)
	}
	v.mu.Lock()
	v.pulses = append(slices.DeleteFunc(v.pulses, func(c checked) bool { return c.pulse.Ended() }), c)
	v.mu.Unlock()
	return frontend.WithPulse(context.Background(), c.pulse)
}

// count returns app, whose requests IdleExit waits for.
func (v *supervision) count(app cgi.App) cgi.App {
	if v == nil || v.server.IdleExit == 0 {
		return app
	}
	return v.load.of(app)
}

// begin says that every endpoint accepts, and goes on to say how they are until close.
func (v *supervision) begin() {
	if v == nil {
		return
	}
	v.tell(v.notifier.Ready())
	if v.ready != nil {
		_, err := v.ready.WriteString("\n")
		if err = errors.Join(err, v.ready.Close()); err != nil {
			v.server.log().Warn("readiness cannot be told (ready-fd)", "error", err)
		}
		v.ready = nil
	}
	if v.notifier != nil {
		v.running.Go(v.report)
	}
	if limit := v.notifier.Watchdog(); limit > 0 {
		v.running.Go(func() {
			keepAlive(v.end, limit, v.selfCheck, func() { v.tell(v.notifier.Alive()) }, func(err error) {
				v.server.log().Error("self-check failed: the service manager ends this process unless one succeeds soon", "error", err, "watchdog", limit.String())
			})
		})
	}
	if v.server.IdleExit > 0 {
		v.running.Go(v.waitIdle)
	}
}

// drain says that the Server drains.
func (v *supervision) drain() {
	if v == nil {
		return
	}
	v.tell(v.notifier.Stopping())
	close(v.draining)
}

// close ends what begin has begun.
func (v *supervision) close() {
	if v == nil {
		return
	}
	v.endNow()
	v.running.Wait()
	v.check.close()
	if v.ready != nil {
		v.ready.Close()
	}
}

// done returns a channel that is closed when there has been no request for IdleExit.
func (v *supervision) done() <-chan struct{} {
	if v == nil {
		return nil
	}
	return v.idle
}

// tell logs that the service manager cannot be told, once until it can.
func (v *supervision) tell(err error) {
	if err != nil && !v.failing.Swap(true) {
		v.server.log().Warn("notification lost", "error", err)
	} else if err == nil {
		v.failing.Store(false)
	}
}

// report sends the status and, while the Server drains, asks for time to do so.
func (v *supervision) report() {
	var s status
	tick, extend := time.NewTicker(statusEvery), time.NewTicker(extendEvery)
	defer tick.Stop()
	defer extend.Stop()
	extend.Stop()
	draining, limit := v.draining, v.server.drainLimit()
	var left time.Duration
	for {
		if line, changed := s.next(v.server.requests(), v.connections(), draining == nil); changed {
			v.tell(v.notifier.Status(line))
		}
		select {
		case <-tick.C:
			continue
		case <-draining:
			draining, left = nil, limit
			extend.Reset(extendEvery)
		case <-extend.C:
			left -= extendEvery
		case <-v.end.Done():
			return
		}
		if left > 0 || limit < 0 {
			v.tell(v.notifier.ExtendTimeout(2 * extendEvery))
		}
	}
}

// connections returns the number of open connections.
func (v *supervision) connections() int {
	n := 0
	for _, c := range v.endpoints() {
		n += c.pulse.Connections()
	}
	return n
}

// endpoints returns the endpoints that are served.
func (v *supervision) endpoints() []checked {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.pulses)
}

// selfCheck checks every endpoint at the same time.
func (v *supervision) selfCheck(ctx context.Context) error {
	list := v.endpoints()
	errs := make([]error, len(list))
	var all sync.WaitGroup
	for i, c := range list {
		all.Go(func() {
			if err := c.pulse.Check(ctx, func(ctx context.Context, conn net.Conn) error { return exchange(ctx, c.protocol, conn) }); err != nil {
				errs[i] = fmt.Errorf("%s on %s: %w", c.protocol, c.address, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// waitIdle closes idle when there has been no request for IdleExit.
func (v *supervision) waitIdle() {
	t := time.NewTimer(v.server.IdleExit)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-v.end.Done():
			return
		}
		left := v.server.IdleExit - v.load.idle()
		if left <= 0 {
			v.server.log().Info("no request has come for long: ending (idle_exit)", "idle_exit", v.server.IdleExit.String())
			close(v.idle)
			return
		}
		t.Reset(left)
	}
}
