package daemon

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"

	"gatehouse/cgi/process"
	"gatehouse/systemd"
)

// A Daemon has opened everything that it serves.
type Daemon struct {
	log         *slog.Logger
	notifier    *systemd.Notifier
	readyFD     int
	closeReaper func() error // nil if there is none
	generation  *generation  // nil once closed
}

// ErrBare is wrapped by the error of Open if Environment.Started is true and the process
// was started with nothing to serve on.
var ErrBare = errors.New("gatehouse was started with nothing to serve on")

// An Environment is what a daemon uses of its process. The zero value is the current
// process.
type Environment struct {
	Process systemd.Process
	Stdout  io.Writer    // if nil, os.Stdout; gets the default addresses, if they are used
	Stderr  io.Writer    // if nil, os.Stderr; gets the access log, if it goes there; a LogWriter never blocks
	Log     *slog.Logger // if nil, NewLog(Stderr)

	// Alone says that the daemon has no other children than the programs it starts. It
	// then adopts and reaps their orphans (PR_SET_CHILD_SUBREAPER); see process.Reaper.
	Alone bool

	// Started says to open no default ports: either the configuration names an address,
	// or the process was started with something to serve.
	Started bool

	// ReadyFD is the descriptor on which to tell readiness, or 0; see gatehouse.Server.
	ReadyFD int

	// Confine, if not nil, is called once everything is open, to give up privileges that
	// are no longer needed; see [Confine].
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

// Open opens everything that c names, or what the process was started with. The error
// has a line for each problem. The caller must call Serve or Close.
func Open(c Config, env Environment) (*Daemon, error) {
	env = env.withDefaults()
	d := &Daemon{log: env.Log, readyFD: env.ReadyFD}
	if err := d.open(c.Defaults(), env); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if !d.generation.program { // which has no time for it, at every request
		if env.Alone {
			reserveThreads(d.log)
		}
		for _, line := range c.Warnings() {
			d.log.Warn(line)
		}
	}
	unchanged := func(a App) bool { return a.Kind.traits().unchanged }
	if os.Geteuid() == 0 && !d.generation.program && slices.ContainsFunc(d.generation.config.Apps, unchanged) {
		d.log.Warn("running as root, and so would every program: start gatehouse as another user, " +
			"by User=www-data in its systemd unit or by setpriv --reuid=www-data --regid=www-data --init-groups, " +
			"or write user = \"www-data\" in each [[app]]")
	}
	return d, nil
}

func (d *Daemon) open(c Config, env Environment) (err error) {
	if d.notifier, err = env.Process.Notifier(); err != nil {
		return err
	}
	if d.readyFD != 0 {
		if err := systemd.CheckReadyFD(d.readyFD); err != nil {
			return err
		}
	}
	p := preparation{log: d.log}
	starts := func(a App) bool { return a.Kind.traits().starts }
	if env.Alone && runtime.GOOS == "linux" && slices.ContainsFunc(c.Apps, starts) {
		if p.reaper, err = process.NewReaper(); err != nil {
			return err
		}
		d.closeReaper = p.reaper.Close
	}
	if d.generation, err = newGeneration(c, p); err != nil {
		return err
	}
	if err := d.generation.openLog(env.Stderr); err != nil {
		return err
	}
	if err := d.generation.listen(env); err != nil {
		return err
	}
	if env.Confine != nil {
		return env.Confine()
	}
	return nil
}

// Close closes what Open opened. It is needed only if Serve is not called.
func (d *Daemon) Close() error {
	var errs []error
	if d.generation != nil {
		errs = append(errs, d.generation.close())
	}
	if d.closeReaper != nil { // it outlives the applications
		errs = append(errs, d.closeReaper())
	}
	d.generation, d.closeReaper = nil, nil
	return errors.Join(errs...)
}
