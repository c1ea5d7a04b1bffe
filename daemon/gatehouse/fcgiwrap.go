package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"gatehouse/cgi/script"
	"gatehouse/daemon"
	"gatehouse/fastcgi"
)

// namesake returns the command to run if gatehouse was started under the name of a
// program that it replaces, or nil.
func (p *process) namesake() func(ctx context.Context, args []string) int {
	switch p.name {
	case "fcgiwrap":
		return p.fcgiwrap
	case "slowcgi":
		return p.slowcgi
	}
	return nil
}

// exitNamesake is the exit status of fcgiwrap and slowcgi if they fail to start.
const exitNamesake = 1

// fcgiwrapApp returns the application of fcgiwrap without flags, and the script.App in
// it. fcgiwrap has no time limits: those of the web server apply, and when it disconnects,
// the program is terminated.
func fcgiwrapApp() (daemon.App, *script.App) {
	programs := &script.App{Manner: script.Fcgiwrap, InheritAll: true, PassAuthorization: true}
	return daemon.App{
		Source: "fcgiwrap",
		Prefix: "/",
		Kind:   daemon.Scripts(programs),
		Limits: script.Limits{QueueWait: -1, FirstByte: -1, Silence: -1},
	}, programs
}

// fcgiwrap runs gatehouse as fcgiwrap.
func (p *process) fcgiwrap(ctx context.Context, args []string) int {
	config, help, err := p.fcgiwrapConfig(args)
	switch {
	case err != nil:
		p.complain(err)
		return exitNamesake
	case help:
		return p.print(fcgiwrapUsage)
	}
	env := p.environment(func() (*daemon.Config, error) {
		config, _, err := p.fcgiwrapConfig(args)
		return config, err
	})
	env.Started = true
	d, err := daemon.Open(*config, env)
	if errors.Is(err, daemon.ErrBare) {
		err = errors.New("there is no listening socket on descriptor 0, and systemd passed none: use -s unix:PATH")
	}
	if err != nil {
		p.complain(err)
		return exitNamesake
	}
	return p.exitCode(d.Serve(ctx, p.signals))
}

// fcgiwrapConfig reads the flags of fcgiwrap.
func (p *process) fcgiwrapConfig(args []string) (config *daemon.Config, help bool, err error) {
	letters, err := getopt(args, "c:hfs:p:")
	if err != nil {
		return nil, false, fmt.Errorf("%w: see fcgiwrap -h", err)
	}
	app, programs := fcgiwrapApp()
	programs.Stderr = p.stderr
	// Programs get REQUEST_ID as it was sent, and clients fcgiwrap's error pages.
	config = &daemon.Config{RequestIDFrom: "REQUEST_ID", PlainErrorPages: true}
	for _, l := range letters {
		switch l.name {
		case 'h':
			return nil, true, nil
		case 'f':
			programs.StderrToClient = true
		case 'p':
			programs.Roots = append(programs.Roots, l.value)
		case 'c':
			// As atoi(3) reads it: systemd passes "-c 4 -f" in one argument.
			digits := strings.TrimLeft(l.value, " ")
			digits = digits[:len(digits)-len(strings.TrimLeft(digits, "0123456789"))]
			n, err := strconv.Atoi(digits)
			if err != nil || n < 1 {
				return nil, false, fmt.Errorf("-c %q is not a number of programs: it must be at least 1", l.value)
			}
			app.Limits.Programs = n
		case 's':
			a, err := parseSocketURL(l.value)
			if err != nil {
				return nil, false, err
			}
			config.FastCGI = []daemon.Address{a}
		}
	}
	config.Apps = []daemon.App{app}
	if len(config.FastCGI) > 0 && p.getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		io.WriteString(p.stderr, "fcgiwrap: -s is ignored: systemd passed a socket\n")
		config.FastCGI = nil
	}
	for _, a := range config.FastCGI {
		if ip, err := netip.ParseAddr(a.Host); err == nil && !ip.IsLoopback() && p.getenv("FCGI_WEB_SERVER_ADDRS") == "" {
			fmt.Fprintf(p.stderr, "fcgiwrap: %v can be reached from other machines, and anyone who can reach it can run any program: "+
				"set FCGI_WEB_SERVER_ADDRS to the address of the web server\n", a)
		}
	}
	if config.Allow, err = webServers(p.getenv("FCGI_WEB_SERVER_ADDRS")); err != nil {
		return nil, false, err
	}
	return config, false, nil
}

// webServers returns the peers that libfcgi lets connect over TCP: all of them if the
// list is empty.
func webServers(list string) (allow []netip.Prefix, err error) {
	addrs, err := fastcgi.WebServerAddrs(list)
	if err != nil {
		return nil, err
	}
	if addrs == nil {
		return []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}, nil
	}
	for _, a := range addrs {
		allow = append(allow, netip.PrefixFrom(a, a.BitLen()))
	}
	return allow, nil
}

// parseSocketURL reads an address in the form of fcgiwrap. The mode of a unix socket
// depends on the umask.
func parseSocketURL(s string) (daemon.Address, error) {
	bad := fmt.Errorf("-s %q is not a socket: use unix:PATH, tcp:IPV4:PORT or tcp6:[IPV6]:PORT", s)
	scheme, rest, _ := strings.Cut(s, ":")
	switch scheme {
	case "unix":
		if strings.Contains(rest, ",") {
			return daemon.Address{}, fmt.Errorf("-s %q: the path of a socket must not contain a comma", s)
		}
		a, err := daemon.ParseAddress(s)
		if err != nil {
			return a, err
		}
		a.Mode = socketMode()
		return a, nil
	case "tcp", "tcp6":
		a, err := netip.ParseAddrPort(rest)
		if err != nil || a.Port() == 0 || a.Addr().Is4() != (scheme == "tcp") {
			return daemon.Address{}, bad
		}
		return daemon.Address{Kind: daemon.AddressTCP, Host: a.Addr().String(), Port: a.Port()}, nil
	}
	return daemon.Address{}, bad
}

const fcgiwrapUsage = `Usage: fcgiwrap [OPTION]...
Runs CGI programs for a web server that speaks FastCGI. This is gatehouse, running as
fcgiwrap. For everything else it can do, see "gatehouse help".

    -c NUMBER    how many programs may run at once; further requests wait. The
                 default is four for each processor
    -f           send the programs' stderr to the web server's error log instead of
                 stderr
    -s SOCKET    listen on unix:PATH, tcp:IPV4:PORT or tcp6:[IPV6]:PORT. The default
                 is the socket passed by systemd, or else the one on descriptor 0
    -p PATH      run only this program; repeat it for more
    -h           show this text

A request names the program by SCRIPT_FILENAME, or by DOCUMENT_ROOT and SCRIPT_NAME.
The program starts in its own directory, or in FCGI_CHDIR ("-" for the directory of
fcgiwrap). To find out why a request fails, run

    gatehouse explain --like fcgiwrap --user www-data --param SCRIPT_FILENAME=PATH URL
`
