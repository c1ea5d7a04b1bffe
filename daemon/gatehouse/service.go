package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/daemon"
)

const serviceUsage = `gatehouse service makes gatehouse a Windows service.

    gatehouse service install|uninstall|run
                      [serve's flags] [--name NAME] [--account ACCOUNT]
                      [--log FILE] [--directory DIR]

install makes a service that starts with Windows and serves what serve would with the same
flags. If gatehouse ends by an error, Windows starts it again after 5, 30 and then every 60
seconds. Start it with "sc start NAME", and stop it, after the requests in flight, with
"sc stop NAME". "sc control NAME paramchange" reloads the configuration. uninstall stops and
removes it. Both need an administrator.

--name is "gatehouse" by default. The service runs as NT SERVICE\NAME, an account that
Windows makes for it and that has no rights but those of all users: let it read the
programs and the configuration. --account names another one that needs no password, such
as "NT AUTHORITY\LocalService", or a managed one, DOMAIN\ACCOUNT$.

A service has no standard error. The log, and what Go writes when it crashes, are appended
to --log, by default %ProgramData%\gatehouse\NAME.log; the event log tells of errors at the
start, under the name of the service. Relative paths start at --directory, by default where
install was run.

Windows itself calls run.

Example:
    > gatehouse service install --config C:\gatehouse\gatehouse.toml
    > sc start gatehouse
`

// serviceActions are what service can do.
var serviceActions = []string{"install", "uninstall", "run"}

// A serviceCall is what service is called with.
type serviceCall struct {
	action, name, account, log, directory string

	config *daemon.Config
	args   []string // of serve, and of run, that are to be passed on
}

// service makes, removes or is a Windows service.
func (p *process) service(ctx context.Context, args []string) int {
	call, help, err := parseService(args)
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.print(serviceUsage)
	}
	return p.serveService(ctx, call)
}

// parseService reads the flags of service. A relative path in them starts at --directory.
func parseService(args []string) (c *serviceCall, help bool, err error) {
	c = &serviceCall{name: "gatehouse"}
	action := option{set: func(s string) error {
		if c.action != "" {
			return fmt.Errorf("service takes one of %s: leave out %q", strings.Join(serviceActions, ", "), s)
		}
		c.action = s
		if !slices.Contains(serviceActions, s) {
			return unknown("action", s, serviceActions)
		}
		return nil
	}}
	directory := option{name: "directory", set: setOnce(&c.directory, func(s string) (string, error) {
		if !filepath.IsAbs(s) {
			return "", fmt.Errorf("%q is not a whole path", s)
		}
		return s, changeDirectory(s)
	})}
	c.config, help, err = configOf("service", args, func() string { return "" }, action, directory,
		option{name: "name", set: setOnce(&c.name, checkServiceName)},
		option{name: "account", set: setTo(&c.account)},
		option{name: "log", set: setTo(&c.log)})
	switch {
	case err != nil || help:
		return nil, help, err
	case c.action == "":
		return nil, false, fmt.Errorf("service needs to know what to do: write %s", enumerate(serviceActions))
	}
	c.args = passedOn(args, "account")
	return c, false, nil
}

// checkServiceName returns name, unless Windows would not have it.
func checkServiceName(name string) (string, error) {
	if strings.ContainsAny(name, "/\\\x00") || len(name) > 256 {
		return "", fmt.Errorf("%q is not the name of a service: write one without slashes", name)
	}
	return name, nil
}

// passedOn returns the flags among arguments that have been parsed, but for one that is
// without's.
func passedOn(args []string, without string) (list []string) {
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		name, _, given := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		switch {
		case !isFlag: // the action; values are passed with their flags
		case given || name == "validate" || name == "multiplex":
			if name != without {
				list = append(list, args[i])
			}
		default:
			if name != without {
				list = append(list, args[i], args[i+1])
			}
			i++
		}
	}
	return list
}

// enumerate joins words with commas and an "or".
func enumerate(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
