package frontend

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// staleTick is how long a tick may be late. It is many times what a busy machine takes.
const staleTick = 4 * idleTick

// A Pulse shows whether the accept loop of one listener and the tick of its Acceptor get on.
// The context that BaseContext returns carries it to the Acceptor; see WithPulse. A nil
// Pulse records nothing.
type Pulse struct {
	probed   func(net.Conn)
	acceptor atomic.Pointer[Acceptor] // nil until it accepts
	listener net.Listener
	loop     atomic.Uint64 // the number of steps of the accept loop, and in the last two bits the current one
	probe    atomic.Pointer[probe]
}

// A step is what an accept loop is doing.
type step uint64

const (
	working   step = iota // with a connection
	accepting             // in Accept
	waiting               // for a place or a descriptor, however long that takes
	ended
)

// NewPulse returns a Pulse. probed gets the connections of Check in place of the Acceptor's
// NewConn; it must not block. If it is nil, Check does not connect.
func NewPulse(probed func(net.Conn)) *Pulse { return &Pulse{probed: probed} }

type pulseKey struct{}

// WithPulse returns a context for BaseContext to return, with the Pulse of its listener.
func WithPulse(ctx context.Context, p *Pulse) context.Context {
	return context.WithValue(ctx, pulseKey{}, p)
}

// pulse returns the Pulse for the listener l, or nil.
func (a *Acceptor) pulse(base context.Context, l net.Listener) *Pulse {
	p, _ := base.Value(pulseKey{}).(*Pulse)
	if p != nil {
		p.listener = l
		p.acceptor.Store(a)
	}
	return p
}

// step notes what the accept loop is about to do. Only the loop calls it.
func (p *Pulse) step(s step) {
	if p != nil {
		p.loop.Store(p.loop.Load()&^3 + 4 | uint64(s))
	}
}

// Connections returns the number of open connections of the Acceptor.
func (p *Pulse) Connections() int {
	a := p.acceptor.Load()
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.conns)
}

// Ended reports whether nothing is accepted any more and no connection is open.
func (p *Pulse) Ended() bool { return step(p.loop.Load()&3) == ended && p.Connections() == 0 }

// lateTick returns how long ago the last tick was, if it is late.
func (a *Acceptor) lateTick() (age time.Duration, late bool) {
	select {
	case <-a.stop: // after the last connection
		return 0, false
	default:
	}
	age = time.Since(a.began) - a.Now()
	return age, age > staleTick
}
