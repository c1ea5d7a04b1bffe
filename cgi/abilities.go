package cgi

import "net/http"

// An unwrapper is a ResponseWriter that stands in front of another.
type unwrapper interface{ Unwrap() ResponseWriter }

// ability finds the first writer in the chain of Unwrap methods that is a T.
func ability[T any](w ResponseWriter) (t T, ok bool) {
	for w != nil {
		if t, ok = w.(T); ok {
			return t, true
		}
		u, more := w.(unwrapper)
		if !more {
			break
		}
		w = u.Unwrap()
	}
	return t, false
}

// ReplaceResponse starts the response anew, with what was written so far thrown
// away: start_response with exc_info (PEP 3333). If the head has been sent it
// changes nothing and returns cause, wrapped together with [ErrHeadersSent].
func ReplaceResponse(w ResponseWriter, cause error, status string, headers []Field) error {
	r, ok := ability[interface {
		ReplaceResponse(error, string, []Field) error
	}](w)
	if !ok {
		return cause
	}
	return r.ReplaceResponse(cause, status, headers)
}

// HeadersSent reports whether the head of the response has been sent.
func HeadersSent(w ResponseWriter) bool {
	r, ok := ability[interface{ HeadersSent() bool }](w)
	return ok && r.HeadersSent()
}

// EnableFullDuplex lets the head of the response be sent before the request's body
// has arrived, as [http.ResponseController.EnableFullDuplex] does. By default the
// rest of the body is taken first, and kept for the application (Handler.Spool).
// nginx stops sending the body once it has seen the head; use this where the
// client talks to the application while it sends, behind a web server that lets it.
// The error is [http.ErrNotSupported] where the writer has no such ability.
func EnableFullDuplex(w ResponseWriter) error {
	r, ok := ability[interface{ EnableFullDuplex() error }](w)
	if !ok {
		return http.ErrNotSupported
	}
	return r.EnableFullDuplex()
}

// SetExitStatus sets the exit status of the application, which FastCGI reports
// as appStatus (FastCGI 1.0 § 5.5) and a CGI program as its own. The default is 0,
// or 1 after a failure.
func SetExitStatus(w ResponseWriter, n int) {
	if r, ok := ability[interface{ SetExitStatus(int) }](w); ok {
		r.SetExitStatus(n)
	}
}

// WriteStderr sends p to the web server's error log beside the answer, as FastCGI's
// stream STDERR does (FastCGI 1.0 § 5.3). It may be called while another goroutine
// writes the answer, but not once the application has returned. The error is
// [http.ErrNotSupported] where the front-end has no such stream; Request.Stderr goes to
// this process's own log everywhere.
func WriteStderr(w ResponseWriter, p []byte) error {
	r, ok := ability[interface{ WriteStderr([]byte) error }](w)
	if !ok {
		return http.ErrNotSupported
	}
	return r.WriteStderr(p)
}
