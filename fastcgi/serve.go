package fastcgi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"gatehouse/cgi"
)

// Errors of reading a body, and causes for which the context of a request is
// cancelled. Both are cgi.ErrAborted. The Body of an [http.Request] returns them as they
// are, so that they can be compared by ==, as those of net/http/fcgi; elsewhere errors.Is
// tells them.
var (
	// ErrRequestAborted: the web server aborted the request.
	ErrRequestAborted error = goneError("the web server aborted the request")
	// ErrConnClosed: the connection to the web server is closed, or broke, before the body
	// had come to its end. It is io.ErrUnexpectedEOF, too.
	ErrConnClosed error = goneError("the connection to the web server is closed")
)

// A goneError says how the web server gave up a request.
type goneError string

func (e goneError) Error() string { return string(e) }
func (e goneError) Unwrap() error { return cgi.ErrAborted }

// Is reports whether target is io.ErrUnexpectedEOF, and e is a connection that ended.
func (e goneError) Is(target error) bool { return target == io.ErrUnexpectedEOF && e == ErrConnClosed }

// HandlerError is what the Body of a http.Request returns; see cgi.FromHTTP.
func (e goneError) HandlerError() error { return e }

// errHalfClosed is what an application's reads of a body get after the peer has shut down
// its sending side in the middle of it. The peer may still wait for a response, so it is
// ErrConnClosed but not cgi.ErrAborted: an application that returns it gets an error page
// sent.
type errHalfClosed struct{}

// HandlerError returns ErrConnClosed: an http.Handler returns no errors.
func (errHalfClosed) HandlerError() error { return ErrConnClosed }

func (errHalfClosed) Error() string        { return "the connection ended before the body: unexpected EOF" }
func (errHalfClosed) Is(target error) bool { return target == ErrConnClosed }
func (errHalfClosed) Unwrap() error        { return io.ErrUnexpectedEOF }

// Serve serves the requests of l's connections with handler, as net/http/fcgi's Serve
// does. If l is nil it is standard input, where mod_fcgid and spawn-fcgi put a listening
// socket; only the peers in the environment's FCGI_WEB_SERVER_ADDRS, if it is set, may
// connect then. If handler is nil it is http.DefaultServeMux. As there, the URL of a request is
// REQUEST_URI ([cgi.PathRequest]).
//
// When accepting fails for good, as it does once l is closed, Serve returns the error,
// after the requests in flight have ended. While no descriptor is free it waits. The
// limits are those of a zero [Server], which has a way to shut down, too.
func Serve(l net.Listener, handler http.Handler) error {
	s := &Server{App: cgi.FromHTTP(handler), Paths: cgi.PathRequest}
	var err error
	if l == nil {
		if l, err = listenStdin(os.Stdin); err != nil {
			return err
		}
		if s.WebServerAddrs, err = WebServerAddrs(os.Getenv(WebServerAddrsVariable)); err != nil {
			l.Close()
			return err
		}
	}
	err = s.Serve(l)
	s.Shutdown(context.Background())
	return err
}

// listenStdin makes a listener of a standard input that listens.
func listenStdin(f *os.File) (net.Listener, error) {
	if !listens(f) {
		return nil, fmt.Errorf("fastcgi: %s is no listening socket: start the program by a web server, or give Serve a listener", f.Name())
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("fastcgi: %s: %w", f.Name(), err)
	}
	return l, nil
}

// BaseContext is the parent of what RequestContext returns.
func (r *request) BaseContext() context.Context { return r.c.base }
