package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"gatehouse/daemon"
	"gatehouse/systemd/sandbox"
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
	if unit := runningUnit(config.File); unit != "" && q.Sandbox == nil {
		answer.Notes = append(answer.Notes, fmt.Sprintf("%s runs with this configuration, and may be allowed less than you are: "+
			"explain --unit %[1]s looks with its user and its sandbox", unit))
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
	if q.Sandbox, err = becomeUser(args); err != nil {
		return q, nil, false, false, err
	}
	var front, user, unit, like string
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
		{name: "unit", set: setTo(&unit)},
		{name: "json", set: setBool(&json), alone: "true"},
	}
	config, help, err = configOf("explain", args, standard, further...)
	if err != nil || help {
		return q, nil, false, help, err
	}
	switch q.Front = daemon.Front(front); q.Front {
	case "", daemon.FrontNginx, daemon.FrontApache, daemon.FrontProxy:
	default:
		return q, nil, false, false, fmt.Errorf("--as: %q is neither nginx, apache nor proxy", front)
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
	if unit != "" && user != "" {
		return q, nil, false, false, errors.New("--unit and --user: the unit has a user, so write one of them")
	}
	if q.Target == "" {
		return q, nil, false, false, errors.New("explain needs the URL of a request, or its path")
	}
	return q, config, json != nil && *json, false, nil
}

// becomeUser applies --user or --unit before any other flag is parsed, because applications
// are checked while they are parsed. It returns the sandbox of the unit.
func becomeUser(args []string) (*sandbox.Sandbox, error) {
	for i, arg := range args {
		name, value, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if name != "user" && name != "unit" || !strings.HasPrefix(arg, "-") {
			continue
		}
		if !given && i+1 < len(args) {
			value = args[i+1]
		}
		switch {
		case value == "":
			return nil, nil // an error that parseFlags finds
		case name == "unit":
			s, err := becomeUnit(value)
			if err != nil {
				return nil, fmt.Errorf("--unit: %w", err)
			}
			return s, nil
		}
		if err := daemon.BecomeUser(value); err != nil {
			return nil, fmt.Errorf("--user: %w", err)
		}
		return nil, nil
	}
	return nil, nil
}

// becomeUnit makes this process run as the user of a running service, and returns its sandbox.
func becomeUnit(unit string) (*sandbox.Sandbox, error) {
	out, err := exec.Command("systemctl", "show", "--value", "-p", "MainPID", "--", unit).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("systemctl show %s: %w: %s", unit, err, bytes.TrimSpace(out))
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(out)))
	if err != nil || pid == 0 {
		return nil, fmt.Errorf("%s is not running: start it, or write --user", unit)
	}
	s, err := sandbox.Of(pid)
	if err != nil {
		return nil, fmt.Errorf("%w: run explain as root", err)
	}
	return s, daemon.BecomeUser(s.User())
}

// runningUnit returns the package's unit that serves a configuration file, if it is running,
// or "".
func runningUnit(file string) string {
	dir, name := filepath.Split(file)
	if name, _ = strings.CutSuffix(name, ".toml"); dir != filepath.Dir(standardConfig)+"/" {
		return ""
	}
	unit := "gatehouse@" + name + ".service"
	if file == standardConfig {
		unit = "gatehouse.service"
	}
	if _, err := os.Lstat("/run/systemd/units/invocation:" + unit); err != nil {
		return ""
	}
	return unit
}

const explainUsage = `gatehouse explain shows how a request would be served, without running anything.

    gatehouse explain [serve's flags] [--as nginx|apache|proxy] [--param NAME=VALUE]...
                      [--user USER] [--unit UNIT] [--like fcgiwrap|slowcgi]
                      [--json] URL

It shows the application that would serve the request, the paths tried, in order, and
the program with its directory and environment. If a check fails, it shows the check,
the file or directory, and the remedy. The log line of a failed request says the same.
Without --config and --app, it reads /etc/gatehouse/gatehouse.toml.

The request has the variables that nginx sends with its stock fastcgi_params or, with
--as apache, those that Apache sends with ProxyPass. --param adds or replaces one. Use it
for what your web server's configuration adds, such as SCRIPT_FILENAME. A name
given twice is sent twice. The row "scheme" says which of them, HTTPS or REQUEST_SCHEME, decides
whether the request is HTTPS.

With --as proxy, the request comes over HTTP from a reverse proxy on 127.0.0.1 (another
with --param REMOTE_ADDR=ADDRESS, or =unix:), for a client at 192.0.2.1 and with the
scheme of the URL, in X-Forwarded-For and X-Forwarded-Proto. To have it send other
fields in their place, write --param HTTP_FORWARDED='for=192.0.2.7' and so on. The rows
"client" and "scheme" say what has decided them.

Files are looked up with the privileges of the user who runs explain, so run it as the
user of the gateway, or as root with --user USER. --unit UNIT, as root, looks with the
user of a systemd service that is running, and with its sandbox: it shows which setting
of the unit, such as ProtectHome=, hides a file. With --like, programs are found as
they are when gatehouse runs as fcgiwrap or slowcgi.

--json prints an object, which "go doc gatehouse/daemon.Answer" describes. The exit
status is 0 if the request would be served, 1 if not, and 2 for an invalid configuration.

Example:
    $ gatehouse explain --user www-data \
          --param SCRIPT_FILENAME=/usr/lib/cgi-bin/a.cgi http://localhost/cgi-bin/a.cgi
`
