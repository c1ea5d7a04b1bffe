package daemon

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"gatehouse"
	"gatehouse/iis"
	"gatehouse/systemd"
)

// Where a daemon listens if nothing is configured or passed.
var (
	bareHTTP    = Address{Host: "127.0.0.1", Port: 8080}
	bareFastCGI = Address{Host: "127.0.0.1", Port: 9000}
	bareSCGI    = Address{Host: "127.0.0.1", Port: 4000}
)

// errPipe: IIS would wait at its pipe for an answer that never comes.
var errPipe = errors.New("IIS's FastCGI module has started this process, which gets its requests through a pipe: " +
	"leave out fastcgi, scgi and http, on which only one of the processes that IIS starts could listen")

// listen opens what the configuration names, or what the process was started with.
func (g *generation) listen(env Environment) error {
	passed := &inheritance{used: make(map[int]bool), predecessor: env.Predecessor}
	if err := g.open(env, passed); err != nil {
		return err
	}
	return g.checkIdleExit()
}

// checkIdleExit returns an error if the endpoints cannot be left when nobody needs them.
func (g *generation) checkIdleExit() error {
	return gatehouse.CheckIdleExit(g.config.IdleExit, g.served())
}

// served returns the endpoints in the form of a server.
func (g *generation) served() (list []gatehouse.Endpoint) {
	for _, e := range g.endpoints {
		if !isAdmin(e.Protocol) {
			list = append(list, e.Endpoint)
		}
	}
	return list
}

func (g *generation) open(env Environment, passed *inheritance) error {
	pipe := iis.Started()
	if g.config.Listens() {
		if pipe {
			return errPipe
		}
		return errors.Join(g.findModule(env.Process), g.openConfigured(env.Process, passed), g.openModule())
	}
	if err := g.openFound(env, passed); err != nil || g.program {
		return err
	}
	return g.openAdmin(passed, pipe)
}

// openFound opens what the process was started with.
func (g *generation) openFound(env Environment, passed *inheritance) error {
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
	case gatehouse.IISPipe:
		e, err := gatehouse.InheritIIS()
		if err != nil {
			return err
		}
		return g.addEndpoint(e, Address{Kind: AddressDescriptor}, 0)
	case gatehouse.Bare:
		if env.Started {
			return ErrBare
		}
		return g.openBare(env.Stdout, passed)
	case gatehouse.StartedByIIS:
		g.module = start.Module
		return g.openModule()
	}
	return g.openInherited(start.Descriptors)
}

// findModule notes which module of IIS has started this process, if any.
func (g *generation) findModule(process systemd.Process) (err error) {
	g.module, err = gatehouse.FindModule(process)
	return err
}

// openModule opens the port that a module of IIS connects to, unless the configuration names
// it. The module chooses another one for each process, so no configuration need name it.
func (g *generation) openModule() error {
	if g.module == nil || slices.ContainsFunc(g.endpoints, func(e endpoint) bool { return e.Module != nil }) {
		return nil
	}
	e, err := gatehouse.ListenModule(g.module)
	if err != nil {
		return err
	}
	return g.addEndpoint(e, moduleAddress(g.module), 0)
}

func moduleAddress(m *iis.Module) Address { return Address{Host: "127.0.0.1", Port: m.Port} }

// isModules reports whether a module of IIS connects to an endpoint.
func (g *generation) isModules(e gatehouse.Endpoint) bool {
	tcp, ok := e.Listener.Addr().(*net.TCPAddr)
	return g.module != nil && e.Protocol == gatehouse.HTTP && ok && tcp.Port == int(g.module.Port)
}

// openConfigured opens what the configuration names. It returns an error if a passed
// socket is not used.
func (g *generation) openConfigured(process systemd.Process, passed *inheritance) (err error) {
	if passed.descriptors, err = process.Descriptors(); err != nil {
		return err
	}
	var errs []error
	for _, e := range append(g.config.addresses(), g.config.Admin.addresses()...) {
		list, err := listen(e.address, passed)
		errs = append(errs, err)
		if e.address.onlyRoot() && len(list) > 0 {
			g.log.Warn(e.address.onlyRootWarning())
		}
		for _, x := range list {
			errs = append(errs, g.addConfigured(e, x.listener, x.fd))
		}
	}
	errs = append(errs, g.openPassedAdmin(passed))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return passed.checkUnused()
}

func (a Address) onlyRootWarning() string {
	return fmt.Sprintf("only root may connect to %v: if the web server runs as another user, write its group, as in %[1]v,group=www-data", a)
}

// addConfigured adds an endpoint for a listener on an address of the configuration, which
// was passed as fd if it was passed.
func (g *generation) addConfigured(e protocolAddress, l net.Listener, fd int) error {
	x := gatehouse.Endpoint{Protocol: e.protocol, Listener: l, HalfClose: e.address.HalfClose}
	var err error
	if e.protocol == gatehouse.FastCGI && e.address.Kind == AddressDescriptor && e.address.FD == 0 {
		x.WebServerAddrs, err = gatehouse.WebServerAddrs()
	}
	return errors.Join(err, g.addEndpoint(x, e.address, fd))
}

// openInherited makes endpoints of the descriptors that the process was started with.
func (g *generation) openInherited(descriptors []systemd.Descriptor) error {
	for _, x := range descriptors {
		a := Address{Kind: AddressSystemd, Name: x.Name}
		if p, ok := adminProtocol(x.Name); ok && x.FD != 0 {
			l, err := x.Listener()
			if err != nil {
				return fmt.Errorf("systemd:%s: %w: write ListenStream= in its unit", x.Name, err)
			}
			if err := g.addConfigured(protocolAddress{p, a}, l, x.FD); err != nil {
				return err
			}
			continue
		}
		e, err := gatehouse.Inherit(x)
		if err != nil {
			return err
		}
		if x.FD == 0 {
			a = Address{Kind: AddressDescriptor}
		}
		if err := g.addEndpoint(e, a, x.FD); err != nil {
			return err
		}
	}
	if len(g.served()) == 0 {
		return errors.New("systemd passed no socket but those that show what gatehouse does: start the socket unit for requests, too")
	}
	return nil
}

// openBare opens the three default ports on loopback, and prints how to use them. Only
// the port of HTTP must be free.
func (g *generation) openBare(stdout io.Writer, passed *inheritance) error {
	list, err := listen(bareHTTP, passed)
	if err != nil {
		return fmt.Errorf("%w (--http)", err)
	}
	if err := g.addEndpoint(gatehouse.Endpoint{Protocol: gatehouse.HTTP, Listener: list[0].listener}, bareHTTP, 0); err != nil {
		return err
	}
	fastcgi, err := g.openOptional(gatehouse.FastCGI, bareFastCGI, passed)
	if err != nil {
		return err
	}
	scgi, err := g.openOptional(gatehouse.SCGI, bareSCGI, passed)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, guide(list[0].listener.Addr(), fastcgi, scgi))
	if err != nil {
		return fmt.Errorf("standard output: %w", bare(err))
	}
	return nil
}

func (g *generation) openOptional(p gatehouse.Protocol, a Address, passed *inheritance) (net.Addr, error) {
	list, err := listen(a, passed)
	if err != nil {
		g.log.Warn("not listening", "protocol", string(p), "error", fmt.Sprintf("%v (--%s)", err, p))
		return nil, nil
	}
	return list[0].listener.Addr(), g.addEndpoint(gatehouse.Endpoint{Protocol: p, Listener: list[0].listener}, a, 0)
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

// addEndpoint adds an endpoint, which it owns even if it returns an error, and the address
// that names it.
func (g *generation) addEndpoint(e gatehouse.Endpoint, a Address, fd int) error {
	allow := g.config.Admin.Allow
	if !isAdmin(e.Protocol) {
		e.AllowUsers, allow = g.config.AllowUsers, g.config.Allow
	}
	if g.isModules(e) {
		e.Module = g.module
	}
	if !e.Loopback() {
		e.Allow = allow
	}
	g.endpoints = append(g.endpoints, endpoint{Endpoint: e, address: a, fd: fd})
	if len(e.WebServerAddrs) > 0 {
		return nil // the list says who may connect
	}
	return g.config.checkListener(e.Protocol, e.Listener)
}

// sockets returns the sockets that a successor gets.
func (g *generation) sockets() (list []socket) {
	for _, e := range g.endpoints {
		s := socket{listener: e.Listener, fd: e.fd}
		if !e.address.isPassed() {
			s.address = e.address.place()
		}
		if !e.Once {
			list = append(list, s)
		}
	}
	return list
}
