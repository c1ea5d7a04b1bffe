package cgi

import (
	"net/http"
	"time"
)

// SetReadDeadline sets the time after which a Read of the request's body fails,
// in the place of the front-end's own limit. It returns [http.ErrNotSupported]
// where the front-end has no such ability. The zero time means none.
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

// WriteInformational sends an informational response (1xx but 101, RFC 9110 §
// 15.2) ahead of the head. It returns [http.ErrNotSupported] where the protocol
// has none: FastCGI, SCGI and CGI would pass it off as the answer.
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
