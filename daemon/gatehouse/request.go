package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/daemon"
	"gatehouse/internal/backend"
	"gatehouse/internal/probe"
)

// The exit statuses of request.
const (
	exitNoResponse  = 1 // no complete response
	exitClientError = 4 // a status from 400 to 499
	exitServerError = 5 // a status from 500 on
)

// exitStatus returns the exit status for the status of a response.
func exitStatus(code int) int {
	switch {
	case code >= 500:
		return exitServerError
	case code >= 400:
		return exitClientError
	}
	return exitDone
}

// asked is what the flags of request ask for.
type asked struct {
	target               probe.Target
	request              probe.Request
	head, trace, times   bool
	requests, concurrent int
	program              *iisHost // to start as IIS does, or nil
	close                func()   // lets go of the body
}

// request makes a request, or many, as a web server does.
func (p *process) request(ctx context.Context, args []string) int {
	a, help, err := p.askedFor(args)
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.print(requestUsage)
	}
	defer a.close()
	ctx, stop := p.untilSignal(ctx)
	defer stop()
	if a.requests > 0 {
		return p.load(ctx, a)
	}
	if a.program != nil {
		defer a.program.end(p)
		a.target.Dial = a.program.start
	}
	if a.head {
		a.request.Head = func(r *probe.Result) error {
			var b strings.Builder
			fmt.Fprintf(&b, "Status: %s\n", r.Status)
			for _, f := range r.Fields {
				fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
			}
			_, err := io.WriteString(p.stdout, b.String()+"\n")
			return err
		}
	}
	a.request.Output, a.request.Stderr = p.stdout, p.stderr
	result, err := a.target.Do(ctx, &a.request)
	if a.times {
		fmt.Fprintf(p.stderr, "connect %s, first byte %s, total %s\n",
			probe.Milliseconds(result.Connect), probe.Milliseconds(result.FirstByte), probe.Milliseconds(result.Total))
	}
	if err != nil {
		p.complain(err)
		return exitNoResponse
	}
	if result.AppStatus != 0 {
		p.complain(fmt.Errorf("the application ended the request with status %d", int32(result.AppStatus)))
	}
	if a.program != nil && a.program.end(p) != 0 {
		return exitNoResponse
	}
	return exitStatus(result.Code)
}

// load makes many requests, and prints figures.
func (p *process) load(ctx context.Context, a *asked) int {
	l := a.target.Load(ctx, &a.request, a.requests, a.concurrent)
	var b strings.Builder
	l.WriteText(&b)
	status := p.print(b.String())
	switch {
	case status != exitDone:
		return status
	case ctx.Err() != nil:
		p.complain(context.Cause(ctx))
		return exitNoResponse
	case l.Failed > 0:
		return exitNoResponse
	}
	for code := range l.Statuses {
		status = max(status, exitStatus(code))
	}
	return status
}

// untilSignal returns a context that a signal ends. The caller calls stop.
func (p *process) untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-p.signals:
			cancel(fmt.Errorf("by the signal %q", s.String()))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil); <-ended }
}

// askedFor reads the flags of request.
func (p *process) askedFor(args []string) (a *asked, help bool, err error) {
	a = &asked{target: probe.Target{Timeout: time.Minute}, close: func() {}}
	var method, url, body, timeout string
	var bodyGiven bool
	var fields []cgi.Field
	var params []string
	var head, trace, times *bool
	help, err = parseFlags("request", args, []option{
		{set: func(s string) error {
			if url != "" {
				return fmt.Errorf("request takes one URL: leave out %q", s)
			}
			url = s
			return nil
		}},
		{name: "fastcgi", set: a.setTarget(probe.FastCGI)},
		{name: "scgi", set: a.setTarget(probe.SCGI)},
		{name: "http", set: a.setTarget(probe.HTTP)},
		{name: "iis", set: a.setProgram},
		{name: "X", set: setTo(&method)},
		{name: "d", set: func(s string) error {
			if bodyGiven {
				return errors.New("it is given twice: remove one")
			}
			body, bodyGiven = s, true
			return nil
		}},
		{name: "H", set: addTo(&fields, parseField)},
		{name: "param", set: addTo(&params, func(s string) (string, error) {
			_, err := parseParam(s)
			return s, err
		})},
		{name: "i", set: setBool(&head), alone: "true"},
		{name: "v", set: setBool(&trace), alone: "true"},
		{name: "w", set: setBool(&times), alone: "true"},
		{name: "n", set: setCount(&a.requests, 10_000_000)},
		{name: "c", set: setCount(&a.concurrent, 10_000)},
		{name: "timeout", set: setTo(&timeout)},
	})
	if err != nil || help {
		return nil, help, err
	}
	on := func(b *bool) bool { return b != nil && *b }
	a.head, a.trace, a.times = on(head), on(trace), on(times)
	if timeout != "" {
		if a.target.Timeout, err = parseTimeout(timeout); err != nil {
			return nil, false, err
		}
	}
	switch {
	case a.target.Protocol == "":
		return nil, false, errors.New("request needs --fastcgi ADDR, --scgi ADDR or --http ADDR, where the application listens, or --iis PROGRAM")
	case url == "":
		return nil, false, errors.New("request needs a URL, or its path")
	case a.program != nil && a.requests > 0:
		return nil, false, errors.New("-n is for an application that listens: with --iis, a program serves one request")
	case a.concurrent > 0 && a.requests == 0:
		return nil, false, errors.New("-c is for many requests: say how many with -n")
	case a.requests > 0 && (a.head || a.trace || a.times):
		return nil, false, errors.New("-i, -v and -w are for one request: leave them out, or -n")
	case a.target.Protocol == probe.HTTP && len(params) > 0:
		return nil, false, errors.New("--param: HTTP has no variables: write a header with -H, or use --fastcgi or --scgi")
	case strings.ContainsFunc(method, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return nil, false, fmt.Errorf("-X: %q is not a method: write one such as POST", method)
	}
	a.concurrent = max(a.concurrent, 1)
	if a.trace {
		a.target.Trace = p.stderr
	}
	if bodyGiven {
		if err := a.openBody(body, p.stdin); err != nil {
			return nil, false, fmt.Errorf("-d: %w", err)
		}
	}
	if method == "" {
		method = "GET"
		if bodyGiven {
			method = "POST"
		}
	}
	a.request.Method = method
	if err := a.setVariables(url, fields, params); err != nil {
		a.close()
		return nil, false, err
	}
	return a, false, nil
}

func (a *asked) setTarget(protocol probe.Protocol) func(string) error {
	return func(s string) (err error) {
		if a.target.Protocol != "" {
			return errors.New("a request goes to one address: remove the others")
		}
		a.target.Protocol = protocol
		a.target.Address, err = backend.ParseAddress(s)
		return err
	}
}

// setCount sets a number of at least 1.
func setCount(n *int, most int) func(string) error {
	return func(s string) error {
		v, err := strconv.Atoi(s)
		if err != nil || v < 1 || v > most {
			return fmt.Errorf("%q is not a number from 1 to %d", s, most)
		}
		*n = v
		return nil
	}
}

// parseField reads a field of a head.
func parseField(s string) (cgi.Field, error) {
	name, value, found := strings.Cut(s, ":")
	if !found || name == "" || strings.ContainsAny(name, " \t") || strings.ContainsAny(s, "\r\n\x00") {
		return cgi.Field{}, fmt.Errorf("%q is not a header: write 'Name: value'", s)
	}
	if strings.EqualFold(name, "Content-Length") {
		return cgi.Field{}, errors.New("Content-Length is that of -d: leave it out, or set --param CONTENT_LENGTH=… for a wrong one")
	}
	return cgi.Field{Name: name, Value: strings.Trim(value, " \t")}, nil
}

// openBody opens what -d names: a body, @FILE, or @- for standard input.
func (a *asked) openBody(s string, stdin io.Reader) error {
	path, isFile := strings.CutPrefix(s, "@")
	if !isFile {
		a.request.Body = &probe.Body{ReaderAt: strings.NewReader(s), Size: int64(len(s))}
		return nil
	}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			a.request.Body = &probe.Body{ReaderAt: f, Size: info.Size()}
			a.close = func() { f.Close() }
			return nil
		}
		defer f.Close()
		stdin = f
	}
	// Its length has to be known before the first byte is sent.
	b, err := io.ReadAll(io.LimitReader(stdin, maxPiped+1))
	if err != nil {
		return err
	}
	if len(b) > maxPiped {
		return fmt.Errorf("%s: a body from a pipe has at most %d bytes: write it to a file", s, maxPiped)
	}
	a.request.Body = &probe.Body{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}
	return nil
}

// maxPiped bounds a body that is no file.
const maxPiped = 64 << 20

// notSCGI are the variables of nginx's fastcgi_params that its scgi_params do not have.
var notSCGI = []string{"SCRIPT_NAME", "GATEWAY_INTERFACE", "SERVER_SOFTWARE", "REMOTE_USER", "SERVER_ADDR", "REDIRECT_STATUS"}

// setVariables sets what nginx, or IIS, makes of the request.
func (a *asked) setVariables(url string, fields []cgi.Field, params []string) error {
	front := daemon.FrontNginx
	if a.program != nil {
		front = daemon.FrontIIS
	}
	env, err := front.Variables(url)
	if err != nil {
		return err
	}
	r := &a.request
	r.Env = env
	env.Set("REQUEST_METHOD", r.Method)
	if a.target.Protocol == probe.SCGI {
		for _, name := range notSCGI {
			env.Del(name)
		}
	}
	named := func(name string) bool {
		for _, f := range fields {
			if strings.EqualFold(f.Name, name) {
				return true
			}
		}
		return false
	}
	if !named("User-Agent") {
		fields = append(fields, cgi.Field{Name: "User-Agent", Value: "gatehouse"})
	}
	if r.Body != nil {
		if !named("Content-Type") {
			fields = append(fields, cgi.Field{Name: "Content-Type", Value: "application/x-www-form-urlencoded"})
		}
		length := strconv.FormatInt(r.Body.Size, 10)
		env.Set("CONTENT_LENGTH", length)
		env.Set("HTTP_CONTENT_LENGTH", length)
	}
	seen := make(map[string]bool)
	for _, f := range fields {
		name := "HTTP_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if name == "HTTP_CONTENT_TYPE" {
			env.Set("CONTENT_TYPE", f.Value)
		}
		if name == "HTTP_HOST" || !seen[name] {
			env.Set(name, f.Value)
		} else if err := env.Add(name, f.Value); err != nil {
			return err
		}
		seen[name] = true
		if name != "HTTP_HOST" {
			r.Fields = append(r.Fields, f)
		}
	}
	return daemon.SetParams(env, params)
}

const requestUsage = `gatehouse request makes a request as a web server does, and prints the response.

    gatehouse request (--fastcgi|--scgi|--http) ADDR [-X METHOD] [-d BODY|@FILE]
                      [-H 'Name: value']... [--param NAME=VALUE]... [-i] [-v] [-w]
                      [--timeout TIME] [-n N [-c N]] URL
    gatehouse request --iis PROGRAM [flags as above] URL

ADDR is unix:PATH or HOST:PORT, where the application listens. URL is that of the request,
or its path; it does not say where to connect to. By FastCGI and SCGI, the application gets
the variables that nginx sends with its stock fastcgi_params or scgi_params.

With --iis, on Windows, the program is started as the FastCGI module of IIS starts it, and
gets the variables that IIS sends. What it logs and with which text it crashes goes to
standard error, and so does its exit status, if it is not 0, after the connection is
closed. PROGRAM may have arguments behind a bar, like a scriptProcessor of IIS:
--iis "C:\sites\app.exe|--verbose".

    -X METHOD         GET by default, and POST with -d
    -d BODY           the body; @FILE is a file, @- standard input. Its Content-Type is
                      application/x-www-form-urlencoded unless -H says otherwise
    -H 'Name: value'  a header
    --param NAME=VALUE
                      adds or replaces a variable. Use it for what your web server's
                      configuration adds, such as SCRIPT_FILENAME
    -i                print the head of the response, too
    -v                show on standard error what passes the connection: FastCGI records
                      in readable form and in hex (the first 256 bytes of each), the
                      netstring of SCGI, the heads of HTTP and CGI
    -w                print on standard error how long it took to connect, to the first
                      byte, and in all
    --timeout TIME    limit of a whole request; the default is 60s
    -n N              make N requests, each on a connection of its own, and print how many
                      there were in a second, their times, statuses and failures
    -c N              N of them at the same time; the default is 1

The messages of a FastCGI application (STDERR) go to standard error.

The exit status is 0 for a response with a status below 400, 4 for one below 500, 5 for any
other, 1 if there is no complete response or the program of --iis fails, and 2 for a mistake
in the flags. With -n it is
1 if one request fails, else that of the highest status. So it is a health check:

    HEALTHCHECK CMD ["gatehouse", "request", "--fastcgi", "127.0.0.1:9000",
                     "--param", "SCRIPT_FILENAME=/srv/www/health.php", "/health.php"]

Example:
    $ gatehouse request --fastcgi unix:/run/php/php-fpm.sock -i \
                        --param SCRIPT_FILENAME=/srv/www/hello.php http://localhost/hello.php
`
