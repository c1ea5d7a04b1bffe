package frontend

import (
	"context"
	"maps"
	"net"
	"slices"
	"time"
)

// firstBytes is how long, from the beginning of a drain, a connection without a request
// yet may take to send the first byte of one. Its client had connected before, so that
// this is one way through the network, or a second one where a packet is lost.
const firstBytes = time.Second

// Shutdown stops accepting and drains the connections, those included that are queued on
// a Listener. When ctx is done first, it aborts the rest with the cause, and returns ctx's
// error. It returns after every connection, and every Serve, has ended.
func (a *Acceptor) Shutdown(ctx context.Context, cause error) error {
	empty, listeners, conns := a.beginClose()
	for _, l := range listeners {
		if own, ok := l.(interface{ Refuse() bool }); !ok || !own.Refuse() {
			l.Close()
		}
	}
	for _, c := range conns {
		c.Drain()
	}
	a.Wake()
	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = ctx.Err()
		a.abort(cause)
		<-empty
	}
	a.stopTick()
	return err
}

// Close stops accepting and aborts every connection with the cause. It returns after every
// connection, and every Serve, has ended.
func (a *Acceptor) Close(cause error) error {
	empty, _, _ := a.beginClose()
	a.abort(cause)
	<-empty
	a.stopTick()
	return nil
}

// beginClose keeps more listeners from being served. It returns those that are, the
// connections, and a channel that is closed when neither are left.
func (a *Acceptor) beginClose() (empty <-chan struct{}, listeners []net.Listener, conns []Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closing.Swap(true) && a.hurry != nil {
		a.patience.Store(int64(time.Since(a.began) + firstBytes))
		close(a.hurry)
	}
	if a.empty == nil {
		a.empty = make(chan struct{})
	}
	empty = a.empty
	a.checkEmpty()
	return empty, slices.Collect(maps.Keys(a.listeners)), slices.Collect(maps.Keys(a.conns))
}

// abort closes the listeners and aborts every connection.
func (a *Acceptor) abort(cause error) {
	a.mu.Lock()
	if a.aborted != nil && !a.isAborted() {
		close(a.aborted)
	}
	listeners, conns := slices.Collect(maps.Keys(a.listeners)), slices.Collect(maps.Keys(a.conns))
	a.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	for _, c := range conns {
		c.Abort(cause)
	}
}

// isAborted reports whether no connection is served any more. mu is held.
func (a *Acceptor) isAborted() bool {
	select {
	case <-a.aborted:
		return true
	default:
		return false
	}
}

func (a *Acceptor) stopTick() {
	a.mu.Lock()
	stop := a.stop
	if stop != nil {
		select {
		case <-stop:
		default:
			close(stop)
		}
	}
	a.mu.Unlock()
	a.ticking.Wait()
	a.logFloods(a.Now(), true)
	a.goroutines.close()
}

// checkEmpty tells who waits for the last connection. mu is held.
func (a *Acceptor) checkEmpty() {
	if len(a.conns) == 0 && a.serving == 0 && a.empty != nil {
		close(a.empty)
		a.empty = nil
	}
}

// Draining reports whether Shutdown has been called.
func (a *Acceptor) Draining() bool { return a.closing.Load() }

// Impatient reports whether a drain waits no longer for connections that have sent nothing.
func (a *Acceptor) Impatient() bool {
	until := a.patience.Load()
	return until != 0 && a.now.Load() >= until
}
