package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"

	"gatehouse/cgi"
	"gatehouse/daemon"
)

// The exit statuses.
const (
	exitDone   = 0
	exitServed = 1 // serving or printing failed
	exitStart  = 2 // something failed before the first request
)

// commands are the commands, for the hint after an unknown one.
var commands = []string{"serve", "check", "reload", "drain", "status", "top", "abort", "explain", "request", "cgi", "conform", "service", "snippet", "completion", "version", "help"}

// run runs the command and returns the exit status.
func (p *process) run(ctx context.Context, args []string) int {
	if other := p.namesake(); other != nil {
		return other(ctx, args)
	}
	if args = p.arguments(args); len(args) == 0 {
		return p.runBare(ctx)
	}
	switch command, rest := args[0], args[1:]; command {
	case "serve":
		return p.serve(ctx, rest)
	case "check":
		return p.check(rest)
	case "reload":
		return p.reload(ctx, rest)
	case "status":
		return p.status(ctx, rest)
	case "top":
		return p.top(ctx, rest)
	case "abort":
		return p.abort(ctx, rest)
	case "explain":
		return p.explain(rest)
	case "request":
		return p.request(ctx, rest)
	case "cgi":
		return p.cgi(rest)
	case "conform":
		return p.conform(ctx, rest)
	case "service":
		return p.service(ctx, rest)
	case "snippet":
		return p.snippet(rest)
	case "drain":
		return p.drain(rest)
	case "completion":
		return p.completion(rest)
	case "version", "--version":
		return p.version(rest)
	case "help", "--help", "-h":
		return p.help(rest)
	default:
		return p.fail(unknown("command", command, commands))
	}
}

// arguments returns the arguments that are meant for gatehouse.
func (p *process) arguments(args []string) []string {
	switch {
	case !p.isProgram():
		return args
	case fromQuery(args, p.getenv("QUERY_STRING")):
		return nil
	}
	return interpreted(args)
}

// runBare runs gatehouse without arguments, started either by a web server, a supervisor
// or inetd with something to serve, or by a person, who gets the usage.
func (p *process) runBare(ctx context.Context) int {
	env := p.environment(func() (*daemon.Config, error) { return new(daemon.Config), nil })
	env.Started = true
	d, err := daemon.Open(daemon.Config{}, env)
	if errors.Is(err, daemon.ErrBare) {
		io.WriteString(p.stderr, usage)
		return exitStart
	}
	if err != nil {
		return p.fail(err)
	}
	return p.exitCode(d.Serve(ctx, p.signals))
}

// isProgram reports whether the environment is that of a CGI program.
func (p *process) isProgram() bool {
	return p.getenv("GATEWAY_INTERFACE") != "" && p.getenv("REQUEST_METHOD") != ""
}

// fromQuery reports whether a web server made the arguments of a CGI program from the
// query of the request (RFC 3875 § 4.4). They come from the client then, and are not
// flags. The web server may have escaped them, but not letters and digits.
func fromQuery(args []string, query string) bool {
	if len(args) == 0 || query == "" || strings.Contains(query, "=") {
		return false
	}
	words := strings.Split(query, "+")
	if len(words) != len(args) {
		return false
	}
	for i, word := range words {
		if letters(unescape(word)) != letters(args[i]) {
			return false
		}
	}
	return true
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// letters returns the ASCII letters and digits of s.
func letters(s string) string {
	return strings.Map(func(c rune) rune {
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return -1
	}, s)
}

// serve runs a daemon until it ends.
func (p *process) serve(ctx context.Context, args []string) int {
	config, readyFD, help, err := p.serveConfig(args)
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.help(nil)
	}
	env := p.environment(func() (*daemon.Config, error) {
		config, _, _, err := p.serveConfig(args)
		return config, err
	})
	env.ReadyFD = readyFD
	d, err := daemon.Open(*config, env)
	if err != nil {
		return p.fail(err)
	}
	return p.exitCode(d.Serve(ctx, p.signals))
}

// exitCode returns the exit status for the result of Serve.
func (p *process) exitCode(err error) int {
	var exit *cgi.ExitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		return exit.Status
	}
	p.complain(err)
	return exitServed
}

// serveConfig returns the configuration of serve: that of the file, with keys replaced by
// flags.
func (p *process) serveConfig(args []string) (config *daemon.Config, readyFD int, help bool, err error) {
	config, help, err = configOf("serve", args, func() string { return "" }, option{name: "ready-fd", set: setDescriptor(&readyFD)})
	return config, readyFD, help, err
}

// configOf returns the configuration of a command that takes the flags of serve, and
// further ones. Without --config and --app, it reads the file named by standard, which is
// called after all flags are parsed.
func configOf(command string, args []string, standard func() string, further ...option) (config *daemon.Config, help bool, err error) {
	var file string
	var flags daemon.Config
	var apps []daemon.App
	var validate, multiplex, reloadOnChange *bool
	help, err = parseFlags(command, args, append([]option{
		{name: "fastcgi", set: addTo(&flags.FastCGI, daemon.ParseAddress)},
		{name: "scgi", set: addTo(&flags.SCGI, daemon.ParseAddress)},
		{name: "http", set: addTo(&flags.HTTP, daemon.ParseAddress)},
		{name: "app", set: addTo(&apps, daemon.ParseApp)},
		{name: "allow", set: addTo(&flags.Allow, func(s string) (netip.Prefix, error) { return daemon.ParseAllow(s) })},
		{name: "admin", set: addTo(&flags.Admin.Addresses, daemon.ParseAdminAddress)},
		{name: "metrics", set: addTo(&flags.Admin.Metrics, daemon.ParseAdminAddress)},
		{name: "admin-allow", set: addTo(&flags.Admin.Allow, func(s string) (netip.Prefix, error) { return daemon.ParseAllow(s) })},
		{name: "allow-users", set: addTo(&flags.AllowUsers, daemon.ParseUser)},
		{name: "trusted-proxies", set: flags.AddTrustedProxy},
		{name: "multiplex", set: setBool(&multiplex), alone: "true"},
		{name: "config", set: setTo(&file)},
		{name: "access-log", set: setTo(&flags.AccessLog)},
		{name: "idle-exit", set: setOnce(&flags.IdleExit, daemon.ParseIdleExit)},
		{name: "validate", set: setBool(&validate), alone: "true"},
		{name: "reload-on-change", set: setBool(&reloadOnChange), alone: "true"},
	}, further...))
	if err != nil || help {
		return nil, help, err
	}
	if file == "" && len(apps) == 0 {
		file = standard()
	}
	config = new(daemon.Config)
	if file != "" {
		if config, err = daemon.LoadConfig(file); err != nil {
			return nil, false, err
		}
	}
	replace(&config.FastCGI, flags.FastCGI)
	replace(&config.SCGI, flags.SCGI)
	replace(&config.HTTP, flags.HTTP)
	replace(&config.Allow, flags.Allow)
	replace(&config.AllowUsers, flags.AllowUsers)
	if len(flags.TrustedProxies) > 0 || flags.TrustUnixProxies {
		config.TrustedProxies, config.TrustUnixProxies = flags.TrustedProxies, flags.TrustUnixProxies
	}
	replace(&config.Admin.Addresses, flags.Admin.Addresses)
	replace(&config.Admin.Metrics, flags.Admin.Metrics)
	replace(&config.Admin.Allow, flags.Admin.Allow)
	if multiplex != nil {
		config.NoMultiplexing = !*multiplex
	}
	if flags.AccessLog != "" {
		config.AccessLog = flags.AccessLog
	}
	if flags.IdleExit != 0 {
		config.IdleExit = flags.IdleExit
	}
	if validate != nil {
		config.Validate = *validate
	}
	if reloadOnChange != nil {
		config.ReloadOnChange = *reloadOnChange
	}
	config.AddApps(apps...)
	return config, false, nil
}

func replace[T any](key *[]T, flags []T) {
	if len(flags) > 0 {
		*key = flags
	}
}

// standardConfig is the default configuration file of check and explain.
const standardConfig = "/etc/gatehouse/gatehouse.toml"

// check reports what is wrong with a configuration. It also warns of what nobody may have
// meant, which does not change the exit status. With --front-user, it reports what keeps
// the web server's user from connecting.
func (p *process) check(args []string) int {
	file, front := standardConfig, ""
	help, err := parseFlags("check", args, []option{
		{name: "config", set: setTo(&file)},
		{name: "front-user", set: setTo(&front)},
	})
	if err != nil {
		return p.fail(err)
	}
	if help {
		return p.help(nil)
	}
	config, err := daemon.LoadConfig(file)
	if err != nil {
		return p.fail(err)
	}
	complete := config.Defaults()
	if err := complete.Check(); err != nil {
		return p.fail(err)
	}
	if front != "" {
		if err := complete.CheckFrontUser(front); err != nil {
			return p.fail(err)
		}
	}
	for _, line := range config.Warnings() {
		p.complain(errors.New("warning: " + line))
	}
	return p.print(file + ": no errors\n")
}

// version prints the version from the build information.
func (p *process) version(args []string) int {
	help, err := parseFlags("version", args, nil)
	if err != nil {
		return p.fail(err)
	}
	if help {
		return p.help(nil)
	}
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = " " + s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				revision += " (modified)"
			}
		}
	}
	return p.print(fmt.Sprintf("gatehouse %s%s %s %s/%s\n", ownVersion(), revision, runtime.Version(), runtime.GOOS, runtime.GOARCH))
}

// print writes to standard output and returns the exit status.
func (p *process) print(text string) int {
	_, err := io.WriteString(p.stdout, text)
	if err == nil {
		return exitDone
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	p.complain(fmt.Errorf("standard output cannot be written: %w", err))
	return exitServed
}

// fail prints an error and returns the exit status for a failure at the start.
func (p *process) fail(err error) int {
	p.complain(err)
	return exitStart
}

// complain prints a line for each of the errors joined in err. A process that was started to
// replace another one, and does not serve yet, tells that one instead.
func (p *process) complain(err error) {
	if p.predecessor.Refuse(err) {
		return
	}
	name := "gatehouse"
	if p.namesake() != nil {
		name = p.name
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(p.stderr, "%s: %s\n", name, line)
	}
	if l, ok := p.stderr.(*daemon.LogWriter); ok {
		_ = l.Flush() // before what goes to standard output
	}
}

// ownVersion returns the version of this program.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
