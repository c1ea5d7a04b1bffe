package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/cgi/script"
	"gatehouse/cgi/spool"
	"gatehouse/systemd"
)

// Where a daemon listens that was started bare and told nothing.
var (
	bareHTTP    = Address{Host: "127.0.0.1", Port: 8080}
	bareFastCGI = Address{Host: "127.0.0.1", Port: 9000}
	bareSCGI    = Address{Host: "127.0.0.1", Port: 4000}
)

// A Daemon has everything open that it serves.
type Daemon struct {
	config  Config
	log     *slog.Logger
	handler *cgi.Handler
	mounted mounted
	program bool // this process is a CGI program

	endpoints []gatehouse.Endpoint
	closers   []func() error // of what was opened, in order
}

// ErrBare is wrapped by Open's error for a process that was started with nothing
// to serve on, where Environment.Started asks for it.
var ErrBare = errors.New("gatehouse was started with nothing to serve on")

// An Environment is what a daemon has around it. The zero value is that of this
// process.
type Environment struct {
	Process systemd.Process
	Stdout  io.Writer    // if nil, os.Stdout: tells where a daemon listens that was told nothing
	Stderr  io.Writer    // if nil, os.Stderr: the access log, if it goes there
	Log     *slog.Logger // if nil, NewLog(Stderr)

	// Alone says that all children of this process are programs that the daemon starts.
	// Then it takes in and reaps what they leave behind (PR_SET_CHILD_SUBREAPER); see
	// script.Reaper.
	Alone bool

	// Started says to open no port by default: the process must have been started with
	// something to serve, or the configuration name an address.
	Started bool

	// Confine is called when everything is open, and takes from the process what it no
	// longer needs: the user root, say, or the root directory. See [Confine].
	Confine func() error
}

func (e Environment) withDefaults() Environment {
	if e.Stdout == nil {
		e.Stdout = os.Stdout
	}
	if e.Stderr == nil {
		e.Stderr = os.Stderr
	}
	if e.Log == nil {
		e.Log = NewLog(e.Stderr)
	}
	return e
}

// Open opens everything that c names, or finds out what the process was started
// with. What fails here fails before the first request; the error has a line for
// each thing that did. Serve or Close must follow.
func Open(c Config, env Environment) (*Daemon, error) {
	env = env.withDefaults()
	d := &Daemon{config: c.Defaults(), log: env.Log}
	if err := d.open(env); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if env.Confine != nil {
		if err := env.Confine(); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	if os.Geteuid() == 0 && !d.program && slices.ContainsFunc(d.config.Apps, App.runsUnchanged) {
		d.log.Warn("running as root, and so would every program: start gatehouse as another user, " +
			"by User=www-data in its systemd unit or by setpriv --reuid=www-data --regid=www-data --init-groups, " +
			"or write user = \"www-data\" in each [[app]]")
	}
	return d, nil
}

func (d *Daemon) open(env Environment) error {
	if err := d.config.Check(); err != nil {
		return err
	}
	access, closeLog, err := openAccessLog(d.config.AccessLog, env.Stderr, d.log)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, closeLog)
	d.handler = &cgi.Handler{Log: d.log, AccessLog: access}
	if err := d.openApps(env.Alone); err != nil {
		return err
	}
	if d.config.Listens() {
		return d.openConfigured(env.Process)
	}
	start, err := gatehouse.FindStart(env.Process)
	if err != nil {
		return err
	}
	for _, u := range start.Unused {
		d.log.Warn("inherited descriptor is not used: there is a listening socket on descriptor 0", "descriptor", u.String())
	}
	switch start.Kind {
	case gatehouse.CGIProgram:
		d.program = true
		return nil
	case gatehouse.Bare:
		if env.Started {
			return ErrBare
		}
		return d.openBare(env.Stdout)
	}
	return d.openInherited(start.Descriptors)
}

// openApps makes the applications, with one budget for all their spools, those of
// the front-ends and the handler's.
func (d *Daemon) openApps(alone bool) error {
	limits := &d.config.Limits
	limits.Spool.Total = spool.NewBudget(limits.SpoolTotal)
	limits.Front.Spool = limits.Spool
	apps := make([]App, len(d.config.Apps))
	for i, a := range d.config.Apps {
		a.Limits.Spool = limits.Spool
		apps[i] = a
	}
	var reaper *script.Reaper
	if alone && runtime.GOOS == "linux" && slices.ContainsFunc(apps, App.runsPrograms) {
		var err error
		if reaper, err = script.NewReaper(); err != nil {
			return err
		}
		d.closers = append(d.closers, reaper.Close)
	}
	m, end, err := mount(apps, d.config.Validate, d.log, reaper)
	if err != nil {
		return err
	}
	d.mounted = m
	d.handler.Spool = limits.Spool
	d.closers = append(d.closers, end)
	return nil
}

// openConfigured opens what the configuration names, and sees to it that nothing
// that was passed is left over.
func (d *Daemon) openConfigured(process systemd.Process) error {
	descriptors, err := process.Descriptors()
	if err != nil {
		return err
	}
	passed := &inheritance{descriptors: descriptors, taken: make(map[int]bool)}
	var errs []error
	for _, e := range d.config.addresses() {
		list, err := listen(e.address, passed)
		errs = append(errs, err)
		for _, l := range list {
			x := gatehouse.Endpoint{Protocol: e.protocol, Listener: l, HalfClose: e.address.HalfClose}
			if e.protocol == gatehouse.FastCGI && e.address.Kind == AddressDescriptor && e.address.FD == 0 {
				x.WebServerAddrs, err = gatehouse.WebServerAddrs()
				errs = append(errs, err)
			}
			errs = append(errs, d.add(x))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return passed.left()
}

// openInherited makes endpoints of what the process was started with.
func (d *Daemon) openInherited(descriptors []systemd.Descriptor) error {
	for _, x := range descriptors {
		e, err := gatehouse.Inherit(x)
		if err != nil {
			return err
		}
		if err := d.add(e); err != nil {
			return err
		}
	}
	return nil
}

// openBare opens the three usual ports on loopback, of which only that of HTTP
// must be free, and tells about them.
func (d *Daemon) openBare(stdout io.Writer) error {
	l, err := listenTCP(bareHTTP)
	if err != nil {
		return fmt.Errorf("%w (--http)", err)
	}
	if err := d.add(gatehouse.Endpoint{Protocol: gatehouse.HTTP, Listener: l}); err != nil {
		return err
	}
	fastcgi, err := d.openOptional(gatehouse.FastCGI, bareFastCGI)
	if err != nil {
		return err
	}
	scgi, err := d.openOptional(gatehouse.SCGI, bareSCGI)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, guide(l.Addr(), fastcgi, scgi))
	if err != nil {
		return fmt.Errorf("standard output: %w", bare(err))
	}
	return nil
}

func (d *Daemon) openOptional(p gatehouse.Protocol, a Address) (net.Addr, error) {
	l, err := listenTCP(a)
	if err != nil {
		d.log.Warn("not listening", "protocol", string(p), "error", fmt.Sprintf("%v (--%s)", err, p))
		return nil, nil
	}
	return l.Addr(), d.add(gatehouse.Endpoint{Protocol: p, Listener: l})
}

// guide tells where the page is, and how nginx finds it.
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

// add takes over an endpoint, also when it returns an error.
func (d *Daemon) add(e gatehouse.Endpoint) error {
	e.AllowUsers = d.config.AllowUsers
	if !e.Loopback() {
		e.Allow = d.config.Allow
	}
	d.endpoints = append(d.endpoints, e)
	if len(e.WebServerAddrs) > 0 {
		return nil // which says who may connect
	}
	return d.config.checkListener(e.Protocol, e.Listener)
}

// Close closes what Open has opened. It is for a daemon that is not served.
func (d *Daemon) Close() error {
	for _, e := range d.endpoints {
		e.Listener.Close()
	}
	return d.release()
}

// release ends the applications, then what they log to.
func (d *Daemon) release() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	d.closers = nil
	return errors.Join(errs...)
}
