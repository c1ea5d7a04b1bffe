package daemon

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"gatehouse"
	"gatehouse/cgi/process"
	"gatehouse/daemon/admin"
	"gatehouse/systemd"
)

// A Daemon has opened everything that it serves.
type Daemon struct {
	log         *slog.Logger
	logs        *logs
	env         Environment
	args        []string // of a successor; none if there can be none
	listenNames []string // LISTEN_FDNAMES
	notifier    *systemd.Notifier
	readyFD     int
	reaper      *process.Reaper   // nil for none
	server      *gatehouse.Server // set once, under mu
	history     *admin.History    // of all generations
	admin       *admin.Server
	sample      func() // begins to sample figures for the history, once
	ready       atomic.Bool
	reloading   atomic.Bool // or about to

	mu         sync.Mutex           // guards what follows
	generation *generation          // the one that serves; nil once closed
	old        map[*generation]bool // those whose requests have not ended
	pidFile    string               // written; empty for none
	reloads    admin.ReloadStats    // but for Old
	closing    sync.WaitGroup       // of old
	over       chan struct{}        // closed when Serve ends
}

// ErrBare is wrapped by the error of Open if Environment.Started is true and the process
// was started with nothing to serve on.
var ErrBare = errors.New("gatehouse was started with nothing to serve on")

// An Environment is what a daemon uses of its process. The zero value is the current
// process.
type Environment struct {
	Process systemd.Process
	Stdout  io.Writer    // if nil, os.Stdout; gets the default addresses, if they are used
	Stderr  io.Writer    // if nil, os.Stderr; gets the logs that go there; a LogWriter never blocks
	Log     *slog.Logger // if nil, it is what the configuration says (Log, LogFormat)

	// Version is that of the program, for who looks at what the daemon does.
	Version string

	// Alone says that the daemon has no other children than the programs it starts. It
	// then adopts and reaps their orphans (PR_SET_CHILD_SUBREAPER); see process.Reaper.
	Alone bool

	// Started says to open no default ports: either the configuration names an address,
	// or the process was started with something to serve.
	Started bool

	// Reload, if not nil, returns the configuration anew, for SIGHUP.
	Reload func() (*Config, error)

	// Predecessor, if not nil, is the process that this one replaces, and whose sockets it
	// takes over. There is no ReadyFD then.
	Predecessor *Predecessor

	// Args is the command line of the process that is to replace this one on SIGUSR2; see
	// [CommandLine]. If it is empty, none does.
	Args []string

	// ReadyFD is the descriptor on which to tell readiness, or 0; see gatehouse.Server.
	ReadyFD int

	// Confine, if not nil, is called once everything is open, to give up privileges that
	// are no longer needed; see [Confine]. It rules Args out.
	Confine func() error

	journal string // the socket of the journal, if it is not the usual one
}

func (e Environment) withDefaults() Environment {
	if e.Stdout == nil {
		e.Stdout = os.Stdout
	}
	if e.Stderr == nil {
		e.Stderr = os.Stderr
	}
	return e
}

// Open opens everything that c names, or what the process was started with. The error
// has a line for each problem. The caller must call Serve or Close.
func Open(c Config, env Environment) (*Daemon, error) {
	env = env.withDefaults()
	logs := newLogs(env)
	env.Log = logs.log
	d := &Daemon{log: logs.log, logs: logs, env: env, args: env.Args, listenNames: listenNames(env.Process),
		history: new(admin.History), old: make(map[*generation]bool), over: make(chan struct{})}
	d.admin = &admin.Server{Handler: &admin.Handler{Source: d, History: d.history, Version: env.Version}, Log: d.log}
	if env.Confine != nil {
		d.args = nil
	}
	if env.Predecessor == nil { // in its successor, the number is that of something else
		d.readyFD = env.ReadyFD
	}
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
	if err := d.startReaper(c.Apps); err != nil {
		return err
	}
	if d.generation, err = newGeneration(c, preparation{log: d.log, reaper: d.reaper}); err != nil {
		return err
	}
	d.generation.lookAtSources()
	if err := d.generation.openLogs(d.logs); err != nil {
		return err
	}
	d.generation.logs.begin()
	if err := d.generation.listen(env); err != nil {
		return err
	}
	d.generation.observe(d.history)
	if env.Predecessor == nil {
		if err := d.writePIDFile(); err != nil {
			return err
		}
	}
	if env.Confine != nil {
		return env.Confine()
	}
	return nil
}

// startReaper starts the reaper, unless there is one, if an application needs it, or if this
// is process 1 of a container, to which the orphans of all others fall.
func (d *Daemon) startReaper(apps []App) (err error) {
	starts := func(a App) bool { return a.Kind.traits().starts }
	if d.reaper != nil || !d.env.Alone || runtime.GOOS != "linux" || os.Getpid() != 1 && !slices.ContainsFunc(apps, starts) {
		return nil
	}
	d.reaper, err = process.NewReaper()
	return err
}

// writePIDFile writes the file that the configuration names, and removes the one that an
// earlier configuration named.
func (d *Daemon) writePIDFile() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := d.generation.config.PIDFile
	if d.generation.program || path == d.pidFile && path == "" {
		return nil
	}
	if path != "" {
		if err := writePIDFile(path); err != nil {
			return err
		}
	}
	if d.pidFile != "" && d.pidFile != path {
		removePIDFile(d.pidFile)
	}
	d.pidFile = path
	return nil
}

// Ready reports whether this process is to get requests: it serves, and no signal has asked
// it to end. While it waits for drain_delay, it serves those that come, but is not ready.
func (d *Daemon) Ready() bool { return d.ready.Load() }

// Close closes what Open opened. It is needed only if Serve is not called.
func (d *Daemon) Close() error {
	var errs []error
	if d.generation != nil {
		errs = append(errs, d.generation.close())
	}
	if d.reaper != nil { // it outlives the applications
		errs = append(errs, d.reaper.Close())
	}
	if d.pidFile != "" {
		removePIDFile(d.pidFile)
	}
	d.generation, d.reaper, d.pidFile = nil, nil, ""
	return errors.Join(append(errs, d.logs.close())...)
}

// LostLines returns how many lines of the log, and of the access log, could not be written since
// the start. What is written to the place of the log counts as the log's.
func (d *Daemon) LostLines() (log, access uint64) {
	n := d.logs.lost()
	return n.log, n.access
}
