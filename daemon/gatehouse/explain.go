package main

import (
	"errors"
	"fmt"
	"strings"

	"gatehouse/daemon"
)

// exitRefused is the exit status of explain for a request that would not be served.
const exitRefused = 1

// explain prints what a daemon would do with a request.
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

// question reads the flags of explain. With --user, the process becomes that user before
// it reads the configuration.
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
				return fmt.Errorf("explain takes one URL: leave out %q", s)
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
		return q, nil, false, false, errors.New("explain needs the URL of a request, or its path")
	}
	return q, config, json != nil && *json, false, nil
}

// becomeUser applies --user before any other flag is parsed, because applications are
// checked while they are parsed.
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

const explainUsage = `gatehouse explain shows how a request would be served, without running anything.

    gatehouse explain [serve's flags] [--as nginx|apache] [--param NAME=VALUE]...
                      [--user USER] [--like fcgiwrap|slowcgi] [--json] URL

It shows the application that would serve the request, the paths tried, in order, and
the program with its directory and environment. If a check fails, it shows the check,
the file or directory, and the remedy. The log line of a failed request says the same.
Without --config and --app, it reads /etc/gatehouse/gatehouse.toml.

The request has the variables that nginx sends with its stock fastcgi_params or, with
--as apache, those that Apache sends with ProxyPass. --param adds or replaces one. Use it
for what your web server's configuration adds, such as SCRIPT_FILENAME. A name
given twice is sent twice.

Files are looked up with the privileges of the user who runs explain, so run it as the
user of the gateway, or as root with --user USER. With --like, programs are found as
they are when gatehouse runs as fcgiwrap or slowcgi.

--json prints an object, which "go doc gatehouse/daemon.Answer" describes. The exit
status is 0 if the request would be served, 1 if not, and 2 for an invalid configuration.

Example:
    $ gatehouse explain --user www-data \
          --param SCRIPT_FILENAME=/usr/lib/cgi-bin/a.cgi http://localhost/cgi-bin/a.cgi
`
