package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/daemon"
	"gatehouse/fastcgi/upstream"
	"gatehouse/internal/backend"
	"gatehouse/scgi"
)

// cgi passes the request that this process was started for on to an application.
func (p *process) cgi(args []string) int {
	app, help, err := p.forwarder(args)
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.print(cgiUsage)
	}
	program := &cgi.Program{Stdin: p.stdin, Stdout: p.stdout, Stderr: p.stderr}
	err = program.Serve(app)
	if errors.Is(err, cgi.ErrNotCGI) {
		return p.fail(errors.New("cgi serves a request that a web server has started it for, and there is none: REQUEST_METHOD is not set; to make a request, use gatehouse request"))
	}
	return p.exitCode(err)
}

// forwarder returns the application that the flags of cgi describe. As a CGI program it
// may have been given the words of the query behind them, which are no flags.
func (p *process) forwarder(args []string) (app cgi.App, help bool, err error) {
	if p.isProgram() {
		query := p.getenv("QUERY_STRING")
		if n := len(args) - 1 - strings.Count(query, "+"); n > 0 && fromQuery(args[n:], query) {
			if app, help, err := p.parseForwarder(args[:n]); err == nil && !help {
				return app, false, nil
			}
		}
	}
	return p.parseForwarder(args)
}

func (p *process) parseForwarder(args []string) (app cgi.App, help bool, err error) {
	var fastcgi, scgis, env []string
	limits := backend.Limits{}
	help, err = parseFlags("cgi", args, []option{
		{name: "fastcgi", set: addTo(&fastcgi, parseBackend)},
		{name: "scgi", set: addTo(&scgis, parseBackend)},
		{name: "param", set: addTo(&env, func(s string) (string, error) {
			_, err := parseParam(s)
			return s, err
		})},
		{name: "first-byte", set: setLimit(&limits.FirstByte)},
		{name: "silence", set: setLimit(&limits.Silence)},
	})
	if err != nil || help {
		return nil, help, err
	}
	log := slog.New(slog.NewTextHandler(p.stderr, nil))
	switch {
	case len(fastcgi)+len(scgis) == 0:
		return nil, false, errors.New("cgi needs --fastcgi ADDR or --scgi ADDR, where the application listens")
	case len(fastcgi) > 0 && len(scgis) > 0:
		return nil, false, errors.New("cgi passes requests on to one application: leave out --fastcgi or --scgi")
	case len(fastcgi) > 0:
		return &upstream.App{Addresses: fastcgi, Limits: limits, Env: env, Streaming: true, Log: log}, false, nil
	}
	return &scgi.Client{Addresses: scgis, Limits: limits, Env: env, Streaming: true, Log: log}, false, nil
}

func parseBackend(s string) (string, error) {
	_, err := backend.ParseAddress(s)
	return s, err
}

// setLimit sets a limit of time, which may be "off".
func setLimit(d *time.Duration) func(string) error {
	return func(s string) error {
		if s == "off" {
			*d = -1
			return nil
		}
		v, err := time.ParseDuration(s)
		if err != nil || v <= 0 {
			return fmt.Errorf(`%q is not a time: write a number and a unit, such as 5s or 500ms, or "off"`, s)
		}
		*d = v
		return nil
	}
}

// startsCGI reports whether the arguments are those of gatehouse cgi.
func (p *process) startsCGI(args []string) bool {
	if p.namesake() != nil {
		return false
	}
	args = p.arguments(args)
	return len(args) > 0 && args[0] == "cgi"
}

// runCGI runs gatehouse cgi, of which every request is a new process, without what takes time
// at the start of others: threads, of which catching a signal takes two. The web server ends a
// program by a signal, and the application learns of it because the connection ends.
func (p *process) runCGI(args []string) int {
	growStack()
	stderr := daemon.NewLogWriter(duplicate(os.Stderr)) // a web server may read it only when the response has ended
	p.stdout, p.stderr = duplicate(os.Stdout), stderr
	status := p.run(context.Background(), args)
	stderr.Flush() // nobody could be told of its error
	return status
}

// growStack has the stack grow once, to what a request takes, while there is little to copy.
//
//go:noinline
func growStack() {
	var space [8 << 10]byte
	runtime.KeepAlive(&space)
}

// interpreted returns the arguments of an interpreter line: Linux passes all of it in one
// argument, and behind that the path of the file and, from a web server, the words of the
// query.
func interpreted(args []string) []string {
	if len(args) > 1 && strings.HasPrefix(args[0], "cgi ") {
		return strings.Fields(args[0])
	}
	return args
}

const cgiUsage = `gatehouse cgi is a CGI program that passes its request on to an application.

    gatehouse cgi (--fastcgi ADDR... | --scgi ADDR...) [--param NAME=VALUE]...
                  [--first-byte TIME] [--silence TIME]

A web server that knows only CGI, or is to start nothing but CGI programs, serves FastCGI and
SCGI applications with it. ADDR is unix:PATH or HOST:PORT; repeat the flag for more
addresses, of which one that works is used. Body and response are streamed, whatever their
size.

The web server starts a file with one of these lines:

    #!/usr/bin/gatehouse cgi --fastcgi unix:/run/php/php-fpm.sock

or, as a shell script,

    exec /usr/bin/gatehouse cgi --fastcgi unix:/run/php/php-fpm.sock

The words of a query without "=" that the web server passes as arguments are ignored.

    --param NAME=VALUE  adds a variable or replaces it. The application gets all others that
                        the web server has set, and the rest of the environment
    --first-byte TIME   until the application responds, 504 beyond it; the default is 60s
    --silence TIME      without a byte either way, 504 or a truncated response beyond it; the
                        default is 120s. "off" turns a limit off

An application that cannot be reached is a 502, one that is overloaded a 503. What
happened is on standard error, which is the web server's error log, with the address. The
exit status is that of the application (FastCGI's appStatus); 1 for an error page or a
truncated response, and 2 for a mistake in the flags.
`
