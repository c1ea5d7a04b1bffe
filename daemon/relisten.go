package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"gatehouse/daemon/admin"
	"gatehouse/internal/frontend"
)

// relisten opens what the configuration names, in place of old, of which it takes over the
// listeners that stay. Until Reconfigure, all of old goes on as it is, except that the owner
// and mode of sockets have changed; abandon undoes that.
func (g *generation) relisten(old *generation) error {
	g.module = old.module
	var errs []error
	left := slices.Clone(old.endpoints)
	if !g.config.Listens() {
		errs = append(errs, g.relistenInherited(old))
		left = slices.DeleteFunc(left, func(x endpoint) bool { return !isAdmin(x.Protocol) })
	}
	for _, e := range append(g.config.addresses(), g.config.Admin.addresses()...) {
		taken := take(&left, e)
		if len(taken) == 0 {
			errs = append(errs, g.openLate(old, e))
		}
		for _, x := range taken {
			errs = append(errs, g.takeOver(e, x))
		}
	}
	for _, x := range left {
		if x.Module != nil && x.address == moduleAddress(x.Module) {
			errs = append(errs, g.addEndpoint(x.Endpoint, x.address, 0))
			g.last().kept = true
			continue
		}
		if _, ok := adminProtocol(x.address.Name); ok && isAdmin(x.Protocol) && x.address.isPassed() {
			errs = append(errs, g.addEndpoint(x.Endpoint, x.address, x.fd))
			g.last().kept = true
			continue
		}
		if x.address.isPassed() {
			errs = append(errs, errUnused(x.address, x.address))
		}
	}
	return errors.Join(append(errs, g.checkIdleExit())...)
}

// relistenInherited goes on with what the process was started with.
func (g *generation) relistenInherited(old *generation) error {
	if old.config.Listens() {
		return errors.New("there is no address to listen on any more: write one (fastcgi, scgi, http), or restart gatehouse to serve what it is started with")
	}
	var errs []error
	for _, x := range old.endpoints {
		if !isAdmin(x.Protocol) {
			errs = append(errs, g.addEndpoint(x.Endpoint, x.address, x.fd))
			g.last().kept = true
		}
	}
	return errors.Join(errs...)
}

// last returns the endpoint that was added last.
func (g *generation) last() *endpoint { return &g.endpoints[len(g.endpoints)-1] }

// isPassed reports whether a listener on a is passed to the process.
func (a Address) isPassed() bool { return a.Kind == AddressSystemd || a.Kind == AddressDescriptor }

// sameAs reports whether a listener on b is one on a.
func (a Address) sameAs(b Address) bool {
	if key := a.key(); key != "" {
		return key == b.key()
	}
	a.HalfClose, b.HalfClose = false, false // of a free port, whatever it is
	return a == b
}

// take removes from left the endpoints on an address, and returns them. Only a name of systemd
// may have several. One of the same protocol comes first.
func take(left *[]endpoint, e protocolAddress) (taken []endpoint) {
	for _, same := range []bool{true, false} {
		for len(taken) == 0 || e.address.Kind == AddressSystemd {
			i := slices.IndexFunc(*left, func(x endpoint) bool {
				return (x.Protocol == e.protocol) == same && e.address.sameAs(x.address) && isInPlace(x.Listener)
			})
			if i < 0 {
				break
			}
			taken = append(taken, (*left)[i])
			*left = slices.Delete(*left, i, i+1)
		}
	}
	return taken
}

// openLate opens an address that old does not have.
func (g *generation) openLate(old *generation, e protocolAddress) error {
	if e.address.isPassed() {
		return fmt.Errorf("%v: sockets are passed only when gatehouse is started: restart it", e.address)
	}
	list, err := listen(e.address, new(inheritance))
	if errors.Is(err, errPortInUse) {
		for _, x := range old.endpoints {
			if x.address.Kind == AddressTCP && x.address.Port == e.address.Port {
				return fmt.Errorf("%v is in use by this gatehouse, as %v: restart it to change that", e.address, x.address)
			}
		}
	}
	if err != nil {
		return err
	}
	if e.address.onlyRoot() {
		g.warnings = append(g.warnings, e.address.onlyRootWarning())
	}
	return g.addConfigured(e, list[0].listener, 0)
}

// takeOver has g serve the listener of x, under the address of e.
func (g *generation) takeOver(e protocolAddress, x endpoint) error {
	if err := setOptions(x.Listener, x.address, e.address); err != nil {
		return err
	}
	if x.Protocol == e.protocol {
		err := g.addConfigured(e, x.Listener, x.fd)
		g.last().kept = true
		return err
	}
	l, err := duplicate(x.Listener)
	if err != nil {
		return fmt.Errorf("%v: its protocol cannot be changed: %w: restart gatehouse", e.address, bare(err))
	}
	err = g.addConfigured(e, l, x.fd)
	g.last().moved = x.Listener
	return err
}

// share prepares the listeners of which the socket goes on, under another protocol, after they
// are closed.
func (g *generation) share() {
	for _, e := range g.endpoints {
		if l, ok := e.moved.(interface{ Share() }); ok {
			l.Share()
		}
	}
}

// takeFrom has a server leave the listeners whose sockets are to serve something else, so that
// it answers nobody who is not meant for it.
func (g *generation) takeFrom(s *admin.Server) {
	for i := range g.endpoints {
		e := &g.endpoints[i]
		if e.moved != nil && s.Leave(e.moved) {
			e.moved = nil // the socket is g's alone
		}
	}
}

// abandon closes what only g has, and undoes what relisten did to old.
func (g *generation) abandon(old *generation) error {
	var errs []error
	for _, e := range g.endpoints {
		if e.kept {
			continue
		}
		if l, ok := e.Listener.(interface{ Share() }); ok && e.moved != nil {
			l.Share() // its socket stays in the file system
		}
		e.Listener.Close()
	}
	for _, x := range old.endpoints {
		addresses := append(g.config.addresses(), g.config.Admin.addresses()...)
		i := slices.IndexFunc(addresses, func(e protocolAddress) bool { return e.address.sameAs(x.address) })
		if i >= 0 {
			errs = append(errs, setOptions(x.Listener, addresses[i].address, x.address))
		}
	}
	g.started = true // so that it closes no listener
	return errors.Join(append(errs, g.close())...)
}

// duplicate returns another listener for the socket of l.
func duplicate(l net.Listener) (net.Listener, error) {
	if l, ok := l.(interface{ duplicate() (net.Listener, error) }); ok {
		return l.duplicate()
	}
	inner := l
	own, isOwn := l.(*frontend.Listener)
	if isOwn {
		inner = own.Listener
	}
	f, ok := inner.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.ErrUnsupported
	}
	file, err := f.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	d, err := net.FileListener(file)
	if err != nil || !isOwn {
		return d, err
	}
	return frontend.Own(d), nil
}
