package cgi

import (
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"
)

// serverError is the body of the default error page.
const serverError = "A server error occurred.  Please contact the administrator."

// sendErrorPage responds with the page for err, and returns how the response ended. Nothing
// has been sent yet.
func (w *response) sendErrorPage(err error) End {
	w.duplex, w.bodyErr = true, nil // the page waits for nothing
	if w.handler.ErrorOutput != nil {
		w.reset()
		failed := w.callErrorOutput(err)
		if failed == nil && w.valid {
			failed = w.complete()
		} else if failed == nil {
			failed = ErrNoStart
		}
		if failed == nil {
			return Complete
		}
		if w.sinkErr == nil {
			w.logPageFailure("ErrorOutput failed", failed)
		}
		if w.headSent {
			return Truncated
		}
	}
	w.reset()
	if failed := w.sendDefaultPage(err); failed != nil && !w.headSent {
		w.logPageFailure("the error page cannot be sent", failed)
		// No option of the Handler's can spoil this one.
		w.reset()
		w.lastPage = true
		_ = w.sendPage(statusLine(http.StatusInternalServerError), []Field{{"Content-Type", "text/plain"}}, serverError)
	}
	return Complete
}

// logPageFailure logs why an error page was not sent.
func (w *response) logPageFailure(msg string, err error) {
	attrs := []any{w.req.LogAttr()}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.stack))
	}
	w.handler.log().Error(msg, append(attrs, "error", err.Error())...)
}

// reset discards what the application has written.
func (w *response) reset() {
	w.started, w.valid, w.declared = false, false, -1
	w.buffered, w.written, w.overrun, w.refused = w.buffered[:0], 0, nil, nil
}

// callErrorOutput calls Handler.ErrorOutput and makes an error of a panic. The request's
// Stderr works meanwhile.
func (w *response) callErrorOutput(err error) (failed error) {
	defer func() {
		if p := recover(); p != nil {
			failed = &panicError{p, limitStack(debug.Stack(), w.handler.StackLimit)}
		}
	}()
	w.stderr.attach(w)
	defer w.stderr.detach()
	return w.handler.ErrorOutput(w, w.req, err)
}

// sendDefaultPage responds with the page that err or the Handler names.
// Handler.CleanupHeaders, which it calls, may panic.
func (w *response) sendDefaultPage(err error) (failed error) {
	defer func() {
		if p := recover(); p != nil {
			failed = &panicError{p, limitStack(debug.Stack(), w.handler.StackLimit)}
		}
	}()
	h := w.handler
	fields := []Field{{"Content-Type", "text/plain"}}
	var se *StatusError
	isStatus := errors.As(err, &se)
	if isStatus && se.RetryAfter > 0 {
		fields = append(fields, Field{"Retry-After", strconv.FormatInt(int64((se.RetryAfter+time.Second-1)/time.Second), 10)})
	}
	code := http.StatusInternalServerError
	switch {
	case isStatus && se.Code >= 400 && se.Code <= 599:
		code = se.Code
	case errors.Is(err, ErrShutdown):
		code = http.StatusServiceUnavailable
	}
	if code != http.StatusInternalServerError {
		return w.sendPage(statusLine(code), fields, statusLine(code)+"\n"+w.requestLine())
	}
	status, body := statusLine(code), serverError
	if line := w.requestLine(); line != "" && h.ErrorHeaders == nil {
		body += "\n" + line
	}
	if h.ErrorStatus != "" {
		status = h.ErrorStatus
	}
	if h.ErrorHeaders != nil {
		fields = append(h.ErrorHeaders[:len(h.ErrorHeaders):len(h.ErrorHeaders)], fields[1:]...)
	}
	if h.ErrorBody != "" {
		body = h.ErrorBody
	}
	return w.sendPage(status, fields, body)
}

// requestLine returns the line with the request's id that a default page ends in.
func (w *response) requestLine() string {
	if !w.handler.ErrorRequestID {
		return ""
	}
	return "Request " + w.req.RequestID() + "\n"
}

// sendPage sends a page as a whole.
func (w *response) sendPage(status string, fields []Field, body string) error {
	if err := w.StartResponse(status, fields); err != nil {
		return err
	}
	if _, err := io.WriteString(w, body); err != nil {
		return err
	}
	if err := w.lengthError(); err != nil {
		return err // while there is time for another page
	}
	return w.complete()
}
