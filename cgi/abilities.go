package cgi

import (
	"net/http"
	"time"
)

// An unwrapper is a ResponseWriter that wraps another.
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

// ReplaceResponse starts the response over and discards what was written so far:
// start_response with exc_info (PEP 3333). If the head has been sent, it changes nothing and
// returns cause, wrapped together with [ErrHeadersSent].
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

// EnableFullDuplex lets the head of the response be sent before the request's body has
// arrived, as [http.ResponseController.EnableFullDuplex] does. By default the rest of the
// body is read first and buffered for the application (Handler.Spool), since nginx stops
// sending the body once it has seen the head. Use this where client and application talk to
// each other while the body is sent, behind a web server that lets them. The error is
// [http.ErrNotSupported] where the writer has no such ability.
func EnableFullDuplex(w ResponseWriter) error {
	r, ok := ability[interface{ EnableFullDuplex() error }](w)
	if !ok {
		return http.ErrNotSupported
	}
	return r.EnableFullDuplex()
}

// SetExitStatus sets the exit status of the application, which FastCGI reports as
// appStatus (FastCGI 1.0 § 5.5) and a CGI program exits with. The default is 0, or 1 after a
// failure.
func SetExitStatus(w ResponseWriter, n int) {
	if r, ok := ability[interface{ SetExitStatus(int) }](w); ok {
		r.SetExitStatus(n)
	}
}

// WriteStderr sends p to the web server's error log, along with the response, as FastCGI's
// stream STDERR does (FastCGI 1.0 § 5.3). It may be called while another goroutine writes
// the response, but not once the application has returned. The error is
// [http.ErrNotSupported] where the front-end has no such stream. Request.Stderr, in
// contrast, goes to this process's own log everywhere.
func WriteStderr(w ResponseWriter, p []byte) error {
	r, ok := ability[interface{ WriteStderr([]byte) error }](w)
	if !ok {
		return http.ErrNotSupported
	}
	return r.WriteStderr(p)
}

// SetReadDeadline sets the time after which a Read of the request's body fails, in place of
// the front-end's own limit. The zero time means no limit. The error is
// [http.ErrNotSupported] where the front-end has no such ability.
func SetReadDeadline(w ResponseWriter, t time.Time) error {
	if d, ok := ability[readDeadliner](w); ok {
		return d.SetReadDeadline(t)
	}
	return http.ErrNotSupported
}

// SetWriteDeadline sets the time after which sending fails, likewise.
func SetWriteDeadline(w ResponseWriter, t time.Time) error {
	if d, ok := ability[writeDeadliner](w); ok {
		return d.SetWriteDeadline(t)
	}
	return http.ErrNotSupported
}

// WriteInformational sends an informational response (1xx but 101, RFC 9110 § 15.2) ahead of
// the head. The error is [http.ErrNotSupported] where the protocol has none: over FastCGI,
// SCGI and CGI it would be taken for the final response.
func WriteInformational(w ResponseWriter, code int, headers []Field) error {
	if d, ok := ability[informer](w); ok {
		return d.WriteInformational(code, headers)
	}
	return http.ErrNotSupported
}

type (
	readDeadliner  interface{ SetReadDeadline(time.Time) error }
	writeDeadliner interface{ SetWriteDeadline(time.Time) error }
	informer       interface {
		WriteInformational(code int, headers []Field) error
	}
)

// SendPipe is Write and Flush for n bytes that are ready in a pipe, given by its descriptor:
// the same rules hold. It returns how many bytes it took from the pipe. If the error is
// [http.ErrNotSupported], it took none, and the caller is to read and write them.
func SendPipe(w ResponseWriter, pipe, n int) (int, error) {
	if s, ok := ability[pipeSender](w); ok {
		return s.SendPipe(pipe, n)
	}
	return 0, http.ErrNotSupported
}

// SetReadDeadline passes the deadline to a sink that takes one.
func (w *response) SetReadDeadline(t time.Time) error {
	if d, ok := w.sink.(readDeadliner); ok {
		return d.SetReadDeadline(t)
	}
	return http.ErrNotSupported
}

// SetWriteDeadline passes the deadline to a sink that takes one.
func (w *response) SetWriteDeadline(t time.Time) error {
	if d, ok := w.sink.(writeDeadliner); ok {
		return d.SetWriteDeadline(t)
	}
	return http.ErrNotSupported
}

// WriteInformational checks a 1xx response and passes it to a sink that takes one.
func (w *response) WriteInformational(code int, headers []Field) error {
	d, ok := w.sink.(informer)
	if !ok || code < 100 || code > 199 || code == http.StatusSwitchingProtocols {
		return http.ErrNotSupported
	}
	if w.headSent {
		return ErrHeadersSent
	}
	for i := range headers {
		if err := checkField(&headers[i]); err != nil {
			return err
		}
	}
	return w.noteSinkError(d.WriteInformational(code, headers))
}
