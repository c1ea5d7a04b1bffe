// Package upstream passes requests on to a FastCGI application that listens by itself, such
// as php-fpm, a program that stands on libfcgi, or another gateway.
//
//	app := &upstream.App{Addresses: []string{"unix:/run/php/php8.2-fpm.sock"}}
//	defer app.Close()
//	err := fastcgi.Serve(l, cgi.ToHTTP(app))
//
// An [App] plays the role that it is asked for: Responder, Authorizer or Filter. A [Guard] asks an
// Authorizer about each request before an application gets it. Package session sends what the
// middleware of github.com/yookoala/gofast makes of a request, on the connections of an App.
//
// # A request
//
// A request of which the body is at most 8 KiB is one write and, if the response fits the
// buffer, one read, on the goroutine that serves the client. A longer body is sent by
// another goroutine while the response is read, which may end first: then the rest of the
// body is not sent. Up to 64 KiB of it have come before (see [App].Streaming). A body of unknown
// length is kept until its end, because php-fpm and its like read CONTENT_LENGTH bytes, whatever
// comes.
//
// The head of the response is parsed as that of a CGI program is (package cgihead), and
// what the application writes to STDERR goes to Request.Stderr. A response is complete if
// END_REQUEST says so; its appStatus is logged and passed on (but see [App].StatusTruncates).
// Whatever else ends it makes it a truncated one.
//
// # Errors
//
// Before the head has been sent, all are a *cgi.StatusError that names the address: 502 for
// an application that refuses the connection, breaks it off or sends what is no response;
// 503 with Retry-After for one that is overloaded, has a full backlog, or has as many
// requests as Limits allow; 504 for a limit of time that has passed. Later they truncate
// the response.
//
// No request is sent twice that the application may have begun to serve: another connection
// is tried only if nothing at all was written to the first.
//
// # Connections
//
// The address with the fewest connections in use is the next. One that cannot be connected
// to, or has failed three times in a row, is avoided for a second, then two, and up to thirty, as long as
// there are others. A connection serves one request at a time. It is closed after that
// unless Limits.Keep says otherwise, and in any case if the response was given up: nothing
// of one request ever reaches another.
//
// # What the application is sent
//
// All variables of the request, but HTTP_PROXY, which libraries take for the configuration
// of a proxy, and HTTP_REDIRECT_STATUS. CONTENT_LENGTH is the true length. SCRIPT_NAME and
// PATH_INFO are as the web server sent them if it sent SCRIPT_FILENAME, too; otherwise they
// are what a cgi.Mux has made of them. SERVER_NAME and SERVER_PORT are never empty: see
// cgi.Environ.Server. With [App].Root the file is found here.
package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/admission"
	"gatehouse/internal/backend"
)

// Limits bound what requests take, and how many there are.
type Limits = backend.Limits

// An App is a cgi.App that passes requests on to a FastCGI application. At least one address
// is needed. The fields must not be changed once requests are served, and an App must not be
// copied then.
type App struct {
	// Addresses are where the application listens: "unix:PATH" or "HOST:PORT".
	Addresses []string

	// Supplier, if not nil, has the connections, and Addresses are not used.
	Supplier backend.Supplier

	// Limits bound what requests take. Their zero value has the defaults.
	Limits Limits

	// Root, if not empty, is an absolute directory of PHP files. The path of a request
	// below the prefix of its cgi.Mux names the file, which SCRIPT_FILENAME tells the
	// application, as DOCUMENT_ROOT tells the directory, whatever the web server has sent.
	// Links are resolved for every request, Root's own too: after a link like "current" is
	// switched, the next request has the new release.
	//
	// The first file along the path decides. If its name ends in ".php", the rest of the
	// path is PATH_INFO; in a file with any other name nothing is run, so that
	// "/upload/picture.gif/x.php" is a 404. A file that links lead to outside of Root is a 403,
	// unless Follow has it.
	Root string

	// Follow are files and directories outside of Root that links in it may lead to.
	Follow []string

	// Index is the file below Root that serves the paths of which no file exists, such as
	// "index.php", and the name of the file that serves a directory: what nginx does with
	// try_files $uri $uri/ /index.php.
	Index string

	// Translate are the beginnings of paths that the application sees in another place, in
	// a chroot or a container: from here to there. SCRIPT_FILENAME, DOCUMENT_ROOT and
	// PATH_TRANSLATED are sent as it sees them. The longest that fits counts.
	Translate map[string]string

	// Env are variables for the application, as "NAME=VALUE", whatever the web server sends.
	Env []string

	// Explain, if not nil, returns what a sandbox has to do with a line that the application writes
	// to STDERR, or "". That is logged, once for a request.
	Explain func(line string) string

	// Streaming begins each request at once, before any of its body has come, and lets the
	// response be sent while the body still comes (full duplex). Otherwise a request takes its
	// place among Limits.Connections when its body has come or, of a longer one, its first
	// 64 KiB, so that clients which send slowly hold no connection.
	Streaming bool

	// SpoolRequests begins each request when all of its body has come, so that a client which
	// sends slowly holds no connection. What is kept of bodies is bounded by Limits.Spool. It is
	// not for an App that is Streaming.
	SpoolRequests bool

	// SpoolResponses reads a response ahead of a client that does not take it fast enough, into a
	// spool with the limits of Limits.Spool, so that a client which reads slowly holds no
	// connection: that is free when the application has sent all. A spool that is full lets the
	// application wait for the client.
	SpoolResponses bool

	// StatusTruncates takes an appStatus other than 0 for what the application says of a response
	// that it could not finish: it is a truncated one. Otherwise the status is logged and passed on.
	StatusTruncates bool

	// LocalRedirect says who follows a local redirect. By default a cgi.Redirector above the
	// App does over HTTP, and the client does behind a web server.
	LocalRedirect cgi.RedirectPolicy

	// Log receives exit statuses, and what befalls addresses. If nil, it is slog.Default().
	Log *slog.Logger

	once sync.Once
	pool *backend.Pool
	err  error
}

// Prepare does what the first request would do. The error is what is wrong with the fields.
func (a *App) Prepare() error {
	a.once.Do(a.init)
	return a.err
}

func (a *App) init() {
	errs := []error{a.checkPaths()}
	for _, v := range a.Env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" || strings.IndexByte(v, 0) >= 0 {
			errs = append(errs, fmt.Errorf("env: %q is not NAME=VALUE", v))
		}
	}
	var pool *backend.Pool
	var err error
	if a.Supplier != nil {
		pool = backend.NewSupplied(a.Supplier, a.Limits, a.log())
	} else {
		pool, err = backend.New(a.Addresses, a.Limits, a.log())
	}
	if a.err = errors.Join(append(errs, err)...); a.err != nil {
		a.err = fmt.Errorf("upstream: %w", a.err)
	} else {
		a.pool = pool
	}
}

func (a *App) log() *slog.Logger { return cmp.Or(a.Log, slog.Default()) }

// Load returns how busy the application is at the moment.
func (a *App) Load() admission.Load {
	if a.Prepare() != nil {
		return admission.Load{}
	}
	return a.pool.Load()
}

// Measure implements cgi.Measured.
func (a *App) Measure() cgi.AppState {
	s := cgi.AppState{Kind: "fastcgi"}
	if a.Prepare() == nil {
		a.pool.Measure(&s)
	}
	return s
}

// Descriptors returns how many descriptors of this process its connections take at most.
func (a *App) Descriptors() int {
	if a.Prepare() != nil {
		return 0
	}
	return a.pool.Descriptors()
}

// Close closes the connections that are idle. Later requests are refused with 503. It does
// not wait for requests under way, which the front-end ends.
func (a *App) Close() error {
	if a.Prepare() == nil {
		a.pool.Close()
	}
	return nil
}
