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

// A Daemon has everything open that it serves.
type Daemon struct {
	log         *slog.Logger
	closeReaper func() error // nil if there is none
	generation  *generation  // nil once closed
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
	// process.Reaper.
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
	d := &Daemon{log: env.Log}
	warnings := c.Warnings()
	if err := d.open(c.Defaults(), env); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	for _, line := range warnings {
		d.log.Warn(line)
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

// Close closes what Open has opened. It is for a daemon that is not served.
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
