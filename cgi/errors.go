package cgi

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"gatehouse/cgi/spool"
)

// Errors of an application's use of its ResponseWriter.
var (
	// ErrHeadersSet is returned by StartResponse when it has been called before.
	ErrHeadersSet = errors.New("cgi: the response has been started already")
	// ErrHeadersSent is wrapped by ReplaceResponse when the head has been sent.
	ErrHeadersSent = errors.New("cgi: the head of the response has been sent already")
	// ErrNoStart is returned by Write and Flush before StartResponse.
	ErrNoStart = errors.New("cgi: write before the response was started")
	// ErrContentLength is returned by Write for bytes beyond the declared Content-Length,
	// and reported for a body that ends before it.
	ErrContentLength = errors.New("cgi: body does not have the declared Content-Length")
	// ErrStatus is wrapped by every error about a status.
	ErrStatus = errors.New("cgi: invalid status")
	// ErrField is wrapped by every error about a header field.
	ErrField = errors.New("cgi: invalid header field")
	// ErrNoBody is reported for a WSGI application that returned neither a Body nor an
	// error.
	ErrNoBody = errors.New("cgi: the application returned no body")
)

// Causes for which a request's context is cancelled, and errors of its Body.
var (
	// ErrAborted: the web server aborted the request, or vanished.
	ErrAborted = errors.New("the web server gave up the request")
	// ErrShutdown: the server shut down, and its time to drain had passed.
	ErrShutdown = errors.New("the server shut down")
	// ErrBodyClosed is returned by a Body's Read after Close.
	ErrBodyClosed = errors.New("cgi: read on a closed body")
)

// ErrNoVariables is about a request without a single variable that tells what is asked for.
// nginx sends only the client's header where its configuration includes no file of variables.
var ErrNoVariables = errors.New(`the web server sent no CGI variables: in nginx, write "include fastcgi_params;" beside fastcgi_pass`)

// StatusError is an error that an application returns to choose the status of
// the error page. The text of Err goes to the log, never to the client.
type StatusError struct {
	Code       int           // 400 to 599
	RetryAfter time.Duration // if positive, sent as Retry-After in whole seconds
	Err        error         // the cause; may be nil
	Logged     bool          // it is in the log already: a Handler without LogError logs nothing

	// Check says in one word what refused or ended the request, for the figures: the key of a
	// limit, such as "queue" or, for a limit of time, with a Code of 504 or 408, "first_byte"; or a
	// check, such as "missing". It must not be made of anything that a client sends. If it is
	// empty, that of a StatusError that Err wraps counts.
	Check string
}

func (e *StatusError) Error() string {
	text := statusLine(e.Code)
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", text, e.Err)
	}
	return text
}

func (e *StatusError) Unwrap() error { return e.Err }

// SpoolError returns the StatusError for an error of a spool, which names the key: 413 if the
// spool is full, 503 with Retry-After if all spools together are, or the system has no room.
func SpoolError(err error) *StatusError {
	se, check := Exhausted(err), "spool_dir"
	switch {
	case errors.Is(err, spool.ErrFull):
		return &StatusError{Code: http.StatusRequestEntityTooLarge, Err: fmt.Errorf("%w (spool_bytes)", err), Check: "spool_bytes"}
	case errors.Is(err, spool.ErrTotal):
		err, check = fmt.Errorf("%w (spool_total)", err), "spool_total"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		err = fmt.Errorf("%w (spool_dir): make room there, or let spool_dir name a directory on another disk", err)
	case se != nil:
		return se
	default:
		err = fmt.Errorf("%w (spool_dir)", err)
	}
	return &StatusError{Code: http.StatusServiceUnavailable, RetryAfter: exhaustedRetry, Err: err, Check: check}
}
