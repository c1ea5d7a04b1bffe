package frontend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// selfCheckPoll is how often Check looks at what the accept loop does.
const selfCheckPoll = 10 * time.Millisecond

// A probe is a connection that Check makes to the own listener.
type probe struct {
	from     string        // its address
	accepted chan struct{} // closed by the accept loop
	hidden   bool          // the listener wraps connections, as for TLS
}

// Check returns an error if the tick or the accept loop hangs. It connects to the listener
// and has exchange, which must end when ctx is done, talk to whoever gets the connection:
// the accept loop knows it by its address and gives it to the Pulse, before it asks who the
// peer is and whether there is a place. An accept loop that waits for a place or for a
// descriptor does not hang. Nothing is sent before the loop has accepted the connection:
// another process may have the socket, too.
//
// Where connecting does not succeed, because this user may not, the backlog is full, or the
// listener is neither a TCP nor a unix socket, the loop hangs if it neither gets on until
// ctx is done nor waits at an empty backlog. So it does where another process took the
// connection. Check must not be called again before it has returned.
func (p *Pulse) Check(ctx context.Context, exchange func(context.Context, net.Conn) error) error {
	a := p.acceptor.Load()
	if a == nil {
		return nil
	}
	if age, late := a.lateTick(); late {
		return fmt.Errorf("the time limits have not been looked at for %v", age.Round(time.Millisecond))
	}
	begun := p.loop.Load()
	if alive(begun) {
		return nil
	}
	x := &probe{accepted: make(chan struct{})}
	half := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		half, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	c, err := p.connect(half, x)
	if err == nil {
		defer c.Close()
	}
	poll := time.NewTicker(selfCheckPoll)
	defer poll.Stop()
	for {
		select {
		case <-x.accepted:
			if x.hidden || err != nil { // accepted, but too late for us to connect
				return nil
			}
			return exchange(ctx, c)
		default:
		}
		now := p.loop.Load()
		if alive(now) || now != begun && err != nil {
			return nil
		}
		select {
		case <-x.accepted:
		case <-poll.C:
			if step(now&3) == accepting && isEmpty(p.listener, err != nil) && p.loop.Load() == now && !x.isAccepted() {
				return nil
			}
		case <-ctx.Done():
			if p.loop.Load() != begun {
				return nil
			}
			return errors.New("no connection is accepted")
		}
	}
}

func (x *probe) isAccepted() bool {
	select {
	case <-x.accepted:
		return true
	default:
		return false
	}
}

// alive reports whether an accept loop has a reason not to accept.
func alive(loop uint64) bool { return step(loop&3) == waiting || step(loop&3) == ended }

// isEmpty reports whether no connection waits to be accepted. Where the system does not
// tell, it returns unknown.
func isEmpty(l net.Listener, unknown bool) bool {
	var more bool
	if err := control(l, func(fd uintptr) (err error) {
		more, err = isQueued(fd)
		return err
	}); err != nil {
		return unknown
	}
	return !more
}

// claim reports whether c is the connection of the last Check, which it passes on. That Check
// may have returned.
func (p *Pulse) claim(c net.Conn) bool {
	if p == nil {
		return false
	}
	x := p.probe.Load()
	if x == nil {
		return false
	}
	if a := c.RemoteAddr(); a == nil || a.String() != x.from || !p.probe.CompareAndSwap(x, nil) {
		return false
	}
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
		p.probed(c)
	default:
		x.hidden = true
		c.Close()
	}
	close(x.accepted)
	return true
}

// probeAddress returns where to connect to reach a listener, and false if that is not known.
func probeAddress(a net.Addr) (address net.Addr, ok bool) {
	switch a := a.(type) {
	case *net.UnixAddr:
		return a, a.Net == "unix" && a.Name != ""
	case *net.TCPAddr:
		to := *a
		switch {
		case !a.IP.IsUnspecified():
		case a.IP.To4() != nil:
			to.IP = net.IPv4(127, 0, 0, 1)
		default:
			to.IP = net.IPv6loopback
		}
		return &to, to.Zone == ""
	}
	return nil, false
}
