package main

import (
	"errors"
	"fmt"
	"strings"

	"gatehouse/daemon"
)

// exitRefused is the status of explain for a request that would not be served.
const exitRefused = 1

// explain tells what a daemon would do with a request.
func (p *process) explain(args []string) int {
	q, config, asJSON, help, err := p.question(args)
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.print(explainUsage)
	}
	answer, err := config.Explain(q)
	if err != nil {
		return p.fail(err)
	}
	var b strings.Builder
	if asJSON {
		err = answer.WriteJSON(&b)
	} else {
		err = answer.WriteText(&b)
	}
	if err != nil {
		return p.fail(err)
	}
	status := p.print(b.String())
	if status == exitDone && !answer.Runs {
		return exitRefused
	}
	return status
}

// question reads the flags of explain. With --user the process has become that user
// before the configuration is read.
func (p *process) question(args []string) (q daemon.Question, config *daemon.Config, asJSON, help bool, err error) {
	if err := becomeUser(args); err != nil {
		return q, nil, false, false, err
	}
	var front, user, like string
	var json *bool
	standard := func() string {
		if like != "" {
			return ""
		}
		return standardConfig
	}
	further := []option{
		{set: func(s string) error {
			if q.Target != "" {
				return fmt.Errorf("explain takes one URL: say it without %q", s)
			}
			q.Target = s
			return nil
		}},
		{name: "param", set: addTo(&q.Params, func(s string) (string, error) {
			_, err := parseParam(s)
			return s, err
		})},
		{name: "as", set: setTo(&front)},
		{name: "like", set: setTo(&like)},
		{name: "user", set: setTo(&user)},
		{name: "json", set: setBool(&json), alone: "true"},
	}
	config, help, err = configOf("explain", args, standard, further...)
	if err != nil || help {
		return q, nil, false, help, err
	}
	switch q.Front = daemon.Front(front); q.Front {
	case "", daemon.FrontNginx, daemon.FrontApache:
	default:
		return q, nil, false, false, fmt.Errorf("--as: %q is neither nginx nor apache", front)
	}
	switch like {
	case "":
	case "fcgiwrap":
		app, _ := fcgiwrapApp()
		config.Apps = []daemon.App{app}
	case "slowcgi":
		config.Apps = []daemon.App{slowcgiApp()}
	default:
		return q, nil, false, false, fmt.Errorf("--like: %q is neither fcgiwrap nor slowcgi", like)
	}
	if q.Target == "" {
		return q, nil, false, false, errors.New("explain needs a URL: write the one that fails, or its path")
	}
	return q, config, json != nil && *json, false, nil
}

// becomeUser does what --user says, before any other flag is looked at: applications
// are checked as they are read.
func becomeUser(args []string) error {
	for i, arg := range args {
		name, value, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if name != "user" || !strings.HasPrefix(arg, "-") {
			continue
		}
		if !given && i+1 < len(args) {
			value = args[i+1]
		}
		if value == "" {
			return nil // an error that parseFlags finds
		}
		if err := daemon.BecomeUser(value); err != nil {
			return fmt.Errorf("--user: %w", err)
		}
		return nil
	}
	return nil
}

const explainUsage = `gatehouse explain tells what would be done with a request, without running anything.

    gatehouse explain [serve's flags] [--as nginx|apache] [--param NAME=VALUE]...
                      [--user USER] [--like fcgiwrap|slowcgi] [--json] URL

It shows which application would serve it, each path that is tried, in this order, the
program with its directory and environment; or the check that fails, the file or
directory that fails it, and how to mend it. The log line of a failed request says the
same. Without --config and --app it reads /etc/gatehouse/gatehouse.toml.

The request has the variables that nginx sends with its stock fastcgi_params, or with
--as apache those of Apache's ProxyPass; --param adds one, or replaces it. Have there
what your web server's configuration adds, such as SCRIPT_FILENAME. A name given twice
is sent twice.

Everything is looked up with the rights of the user that runs it, so let that be the
one that the gateway has; root can say --user USER. With --like the programs are found
as behind fcgiwrap or slowcgi, whose place gatehouse takes under their names.

--json prints an object that "go doc gatehouse/daemon.Answer" describes. The exit status
is 0 if the request would be served, 1 if not, and 2 for a wrong configuration.

Example:
    $ gatehouse explain --user www-data \
          --param SCRIPT_FILENAME=/usr/lib/cgi-bin/a.cgi http://localhost/cgi-bin/a.cgi
`
