package daemon

import (
	"errors"
	"fmt"
	"io"
	"net"

	"gatehouse"
	"gatehouse/systemd"
)

// Where a daemon listens if nothing is configured or passed.
var (
	bareHTTP    = Address{Host: "127.0.0.1", Port: 8080}
	bareFastCGI = Address{Host: "127.0.0.1", Port: 9000}
	bareSCGI    = Address{Host: "127.0.0.1", Port: 4000}
)

// listen opens what the configuration names, or what the process was started with.
func (g *generation) listen(env Environment) error {
	if err := g.open(env); err != nil {
		return err
	}
	return gatehouse.CheckIdleExit(g.config.IdleExit, g.endpoints)
}

func (g *generation) open(env Environment) error {
	if g.config.Listens() {
		return g.openConfigured(env.Process)
	}
	start, err := gatehouse.FindStart(env.Process)
	if err != nil {
		return err
	}
	for _, u := range start.Unused {
		g.log.Warn("inherited descriptor is not used: there is a listening socket on descriptor 0", "descriptor", u.String())
	}
	switch start.Kind {
	case gatehouse.CGIProgram:
		g.program = true
		return nil
	case gatehouse.Bare:
		if env.Started {
			return ErrBare
		}
		return g.openBare(env.Stdout)
	}
	return g.openInherited(start.Descriptors)
}

// openConfigured opens what the configuration names. It returns an error if a passed
// socket is not used.
func (g *generation) openConfigured(process systemd.Process) error {
	descriptors, err := process.Descriptors()
	if err != nil {
		return err
	}
	passed := &inheritance{descriptors: descriptors, used: make(map[int]bool)}
	var errs []error
	for _, e := range g.config.addresses() {
		list, err := listen(e.address, passed)
		errs = append(errs, err)
		if e.address.onlyRoot() && len(list) > 0 {
			g.log.Warn(fmt.Sprintf("only root may connect to %v: if the web server runs as another user, write its group, as in %v,group=www-data", e.address, e.address))
		}
		for _, l := range list {
			x := gatehouse.Endpoint{Protocol: e.protocol, Listener: l, HalfClose: e.address.HalfClose}
			if e.protocol == gatehouse.FastCGI && e.address.Kind == AddressDescriptor && e.address.FD == 0 {
				x.WebServerAddrs, err = gatehouse.WebServerAddrs()
				errs = append(errs, err)
			}
			errs = append(errs, g.addEndpoint(x))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return passed.checkUnused()
}

// openInherited makes endpoints of the descriptors that the process was started with.
func (g *generation) openInherited(descriptors []systemd.Descriptor) error {
	for _, x := range descriptors {
		e, err := gatehouse.Inherit(x)
		if err != nil {
			return err
		}
		if err := g.addEndpoint(e); err != nil {
			return err
		}
	}
	return nil
}

// openBare opens the three default ports on loopback, and prints how to use them. Only
// the port of HTTP must be free.
func (g *generation) openBare(stdout io.Writer) error {
	l, err := listenTCP(bareHTTP)
	if err != nil {
		return fmt.Errorf("%w (--http)", err)
	}
	if err := g.addEndpoint(gatehouse.Endpoint{Protocol: gatehouse.HTTP, Listener: l}); err != nil {
		return err
	}
	fastcgi, err := g.openOptional(gatehouse.FastCGI, bareFastCGI)
	if err != nil {
		return err
	}
	scgi, err := g.openOptional(gatehouse.SCGI, bareSCGI)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, guide(l.Addr(), fastcgi, scgi))
	if err != nil {
		return fmt.Errorf("standard output: %w", bare(err))
	}
	return nil
}

func (g *generation) openOptional(p gatehouse.Protocol, a Address) (net.Addr, error) {
	l, err := listenTCP(a)
	if err != nil {
		g.log.Warn("not listening", "protocol", string(p), "error", fmt.Sprintf("%v (--%s)", err, p))
		return nil, nil
	}
	return l.Addr(), g.addEndpoint(gatehouse.Endpoint{Protocol: p, Listener: l})
}

// guide returns the URL of the page, and the configuration for nginx.
func guide(http, fastcgi, scgi net.Addr) string {
	s := fmt.Sprintf("http://%v/\n", http)
	if fastcgi == nil && scgi == nil {
		return s
	}
	s += "\nTo put nginx in front, write in a server block:\n\n"
	if fastcgi != nil {
		s += fmt.Sprintf("    location / { include fastcgi_params; fastcgi_pass %v; }\n", fastcgi)
	}
	if fastcgi != nil && scgi != nil {
		s += "\nor\n\n"
	}
	if scgi != nil {
		s += fmt.Sprintf("    location / { include scgi_params; scgi_pass %v; }\n", scgi)
	}
	return s + "\n"
}

// addEndpoint adds an endpoint, which it owns even if it returns an error.
func (g *generation) addEndpoint(e gatehouse.Endpoint) error {
	e.AllowUsers = g.config.AllowUsers
	if !e.Loopback() {
		e.Allow = g.config.Allow
	}
	g.endpoints = append(g.endpoints, e)
	if len(e.WebServerAddrs) > 0 {
		return nil // the list says who may connect
	}
	return g.config.checkListener(e.Protocol, e.Listener)
}
