package cgi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// ErrNotCGI is returned by Serve in a process that no web server started for a
// request.
var ErrNotCGI = errors.New("not started as a CGI program: REQUEST_METHOD is not set; have a web server run this program, or serve FastCGI, SCGI or HTTP")

// An ExitError says with which status a CGI program that has failed is to exit. The failure
// has been logged.
type ExitError struct {
	Status int   // for os.Exit, never 0
	Err    error // the cause; nil if the application only set the status
}

func (e *ExitError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return fmt.Sprintf("the application set exit status %d", e.Status)
}

func (e *ExitError) Unwrap() error { return e.Err }

// Serve serves the request that this process was started for with h, as net/http/cgi's Serve
// does. If h is nil, it is [http.DefaultServeMux]. As there, the URL of the request is
// REQUEST_URI ([PathRequest]). See [Program.Serve] for what it returns.
func Serve(h http.Handler) error { return (&Program{Paths: PathRequest}).Serve(FromHTTP(h)) }

// ServeApp serves the request that this process was started for with a.
func ServeApp(a App) error { return new(Program).Serve(a) }

// A Program is this process as a CGI program (RFC 3875): the variables are its environment,
// the body its standard input, the response its standard output, and the log goes to
// standard error. It is wsgiref's CGIHandler. The zero value is ready to use.
type Program struct {
	Handler *Handler  // if nil, one that logs to Stderr
	Env     *Environ  // if nil, ReadEnviron()
	Stdin   io.Reader // if nil, os.Stdin
	Stdout  io.Writer // if nil, os.Stdout
	Stderr  io.Writer // if nil, os.Stderr

	// Limits: BodyBytes applies. All others are the web server's.
	Limits Limits

	// Paths names the quirks of the web server where it reports paths. The default is
	// right for all common ones.
	Paths PathPolicy
}

// Serve serves one request with a. The program should exit after it: with status 0 if Serve
// returns nil, otherwise with that of an [ExitError], or 1.
//
// It returns ErrNotCGI, having written nothing, if REQUEST_METHOD is not set. It returns an
// *ExitError if the response was truncated, the web server did not take it, it is an error
// page of 500 or more, or the application set an exit status.
//
// Unless both Stdout and Stderr are set, Serve catches SIGPIPE, by which a write that nobody
// reads would end the process. In a Go program, only writes to descriptors 1 and 2 cause it.
//
// Serve reads no more from standard input than CONTENT_LENGTH says (RFC 3875 § 4.2). Without
// one there is no body, unless HTTP_TRANSFER_ENCODING says that it is chunked: then it ends
// where standard input does. HTTP_PROXY is removed.
//
// If a time limit of the Handler has passed, Serve returns within a second after the
// response, even if the application has not: the exit of the process ends it.
//
// A truncation cannot be made visible to the web server: every one takes the end of the
// output for the end of the response. A Content-Length that was not reached shows it, but
// Apache drops that field from a program's response unless "SetEnv ap_trust_cgilike_cl 1"
// keeps it. The exit status and the log tell.
func (p *Program) Serve(a App) error {
	env := p.Env
	if env == nil {
		env = ReadEnviron()
	}
	if env.Get("REQUEST_METHOD") == "" {
		return ErrNotCGI
	}
	env.Del("HTTP_PROXY")
	stdin, stdout, stderr := p.streams()

	if p.Stdout == nil || p.Stderr == nil {
		// Without this a write to a standard output that nobody reads would end the
		// process before the application could clean up. Ignoring the signal would be
		// inherited by the programs that the application starts.
		broken := make(chan os.Signal, 1)
		signal.Notify(broken, syscall.SIGPIPE)
		defer signal.Stop(broken)
	}

	limits := p.Limits.WithDefaults()
	n := programBodyLength(env)
	body := &programBody{r: stdin, left: n, limit: limits.BodyBytes}
	r := &Request{
		Env:           env,
		ContentLength: n,
		Body:          body,
		Stderr:        stderr,
		Role:          Responder,
		Multiprocess:  true,
		RunOnce:       true,
		Paths:         p.Paths,
		Protocol:      "cgi",
		program:       true,
	}
	h := p.Handler
	if h == nil {
		h = &Handler{Log: slog.New(slog.NewTextHandler(stderr, nil)), Spool: limits.Spool}
	}
	if n > limits.BodyBytes {
		a = refusal{tooLarge(limits.BodyBytes)}
	}
	if n == 0 {
		r.Body = http.NoBody
	}
	res, back := h.runUntilFinished(r, &programSink{w: stdout}, a)
	switch {
	case res.Overdue:
		select {
		case <-back:
		case <-time.After(overdueGrace):
		}
	case res.End == Complete:
		body.drain()
	}
	switch {
	case res.ExitStatus != 0:
		return &ExitError{res.ExitStatus, res.Err}
	case res.End != Complete:
		return &ExitError{1, res.Err}
	case res.Code >= 500 && res.Err != nil:
		return &ExitError{1, res.Err}
	}
	return nil
}

func (p *Program) streams() (io.Reader, io.Writer, io.Writer) {
	stdin, stdout, stderr := p.Stdin, p.Stdout, p.Stderr
	if stdin == nil {
		stdin = os.Stdin
	}
	if stdout == nil {
		stdout = os.Stdout
	}
	if stderr == nil {
		stderr = os.Stderr
	}
	return stdin, stdout, stderr
}

// programBodyLength is BodyLength, but 0 if nothing says that there is a body.
func programBodyLength(env *Environ) int64 {
	n := env.BodyLength(false)
	if n < 0 && !isChunked(env) {
		return 0
	}
	return n
}

// overdueGrace is how long an application that is over its time limit may take to return
// before its process exits.
const overdueGrace = time.Second
