package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"gatehouse/cgi/script"
	"gatehouse/daemon"
)

// slowcgiApp returns the application of slowcgi without flags.
func slowcgiApp() daemon.App {
	return daemon.App{
		Source: "slowcgi",
		Prefix: "/",
		Kind:   daemon.Scripts(&script.App{Manner: script.Slowcgi, Inherit: []string{}, PassAuthorization: true, StderrToClient: true}),
		Limits: script.Limits{FirstByte: -1, Silence: -1, Run: 120 * time.Second},
	}
}

// slowcgiFlags are the flags of slowcgi.
type slowcgiFlags struct {
	foreground bool   // -d
	root       string // -p; if empty, the home directory of user
	socket     string // -s
	owner      string // -U
	user       string // -u
	timeout    time.Duration
}

func parseSlowcgi(args []string) (f slowcgiFlags, err error) {
	f = slowcgiFlags{socket: "/var/www/run/slowcgi.sock", owner: "www", user: "www", timeout: 120 * time.Second}
	letters, err := getopt(args, "dp:s:t:U:u:v")
	if err != nil {
		return f, fmt.Errorf("%w\n%s", err, slowcgiUsage)
	}
	for _, l := range letters {
		switch l.name {
		case 'd':
			f.foreground = true
		case 'p':
			f.root = l.value
		case 's':
			f.socket = l.value
		case 'U':
			f.owner = l.value
		case 'u':
			f.user = l.value
		case 't':
			n, err := strconv.ParseInt(l.value, 10, 32)
			if err != nil || n < 1 || n > 365*86400 {
				return f, fmt.Errorf("-t %q is not a number of seconds from 1 to %d", l.value, 365*86400)
			}
			f.timeout = time.Duration(n) * time.Second
		}
	}
	return f, nil
}

const slowcgiUsage = "usage: slowcgi [-dv] [-p path] [-s socket] [-t timeout] [-U user] [-u user]"

// config returns the configuration for these flags.
func (f slowcgiFlags) config() (*daemon.Config, error) {
	a, err := daemon.ParseAddress("unix:" + f.socket)
	if err != nil {
		return nil, err
	}
	a.Owner, a.Group = f.owner, ""
	if a.Group, err = daemon.PrimaryGroup(f.owner); err != nil {
		return nil, err
	}
	app := slowcgiApp()
	app.Limits.Run = f.timeout
	return &daemon.Config{FastCGI: []daemon.Address{a}, RequestIDFrom: "REQUEST_ID", PlainErrorPages: true, Apps: []daemon.App{app}}, nil
}

// slowcgi runs gatehouse as slowcgi. Without -d it continues in another process, and
// returns once that process listens.
func (p *process) slowcgi(ctx context.Context, args []string) int {
	fail := func(err error) int {
		p.complain(err)
		return exitNamesake
	}
	f, err := parseSlowcgi(args)
	if err != nil {
		return fail(err)
	}
	if os.Geteuid() != 0 {
		return fail(errors.New("need root privileges, which slowcgi gives up once its socket is open"))
	}
	background, ready := inBackground(p.getenv)
	if !f.foreground && !background {
		if err := startInBackground(args); err != nil {
			return fail(err)
		}
		return exitDone
	}
	var log *slog.Logger
	if background {
		var flush func() error
		log, flush = systemLog("slowcgi")
		defer flush()
	}
	config, err := f.config()
	if err != nil {
		return fail(err)
	}
	env := p.environment(nil)
	env.Log, env.Confine = log, func() error { return daemon.Confine(f.root, f.user) }
	d, err := daemon.Open(*config, env)
	if err != nil {
		return fail(err)
	}
	if background {
		if err := ready(); err != nil {
			return fail(errors.Join(err, d.Close()))
		}
	}
	return p.exitCode(d.Serve(ctx, p.signals))
}
