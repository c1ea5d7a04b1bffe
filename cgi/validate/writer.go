package validate

import (
	"io"
	"net/http"
	"time"

	"gatehouse/cgi"
)

// A writer is the ResponseWriter as the application gets it. It has all abilities
// that package cgi knows, and Unwrap for others.
type writer struct {
	exchange *exchange
	next     cgi.ResponseWriter
	isHead   bool

	// What follows is guarded by the exchange's mu, for an application that breaks V48.
	started  bool  // StartResponse got a head that keeps the rules
	refused  bool  // the gateway has returned an error: there will be no whole response
	code     int   // status code
	declared int64 // Content-Length, or -1
	written  int64 // bytes of body
	warned   bool  // of a body to HEAD
}

func newWriter(x *exchange, next cgi.ResponseWriter) *writer {
	return &writer{
		exchange: x,
		next:     next,
		isHead:   x.inner.Env.Get("REQUEST_METHOD") == "HEAD",
		declared: -1,
	}
}

func (w *writer) beginCall(method string) { w.exchange.beginCall(&w.exchange.calls, "w."+method) }

func (w *writer) endCall() { w.exchange.endCall(&w.exchange.calls) }

// failed returns the first rule that was broken, or nil.
func (w *writer) failed() error {
	if e := w.exchange.failed(); e != nil {
		return e
	}
	return nil
}

// noteError notes what the gateway has returned.
func (w *writer) noteError(err error) error {
	if err != nil {
		w.exchange.mu.Lock()
		defer w.exchange.mu.Unlock()
		w.refused = true
	}
	return err
}

// StartResponse implements cgi.ResponseWriter.
func (w *writer) StartResponse(status string, headers []cgi.Field) error {
	w.beginCall("StartResponse")
	defer w.endCall()
	if err := w.checkOnce(); err != nil {
		return err
	}
	return w.startResponse(status, headers, func() error { return w.next.StartResponse(status, headers) })
}

// ReplaceResponse is what the function of that name in package cgi calls.
func (w *writer) ReplaceResponse(cause error, status string, headers []cgi.Field) error {
	w.beginCall("ReplaceResponse")
	defer w.endCall()
	return w.startResponse(status, headers, func() error { return cgi.ReplaceResponse(w.next, cause, status, headers) })
}

// startResponse checks a head and passes it on.
func (w *writer) startResponse(status string, headers []cgi.Field, pass func() error) error {
	if err := w.failed(); err != nil {
		return err
	}
	code, e := checkHead(status, headers, w.exchange.warn)
	if e != nil {
		return w.exchange.noteBroken(e)
	}
	w.setStarted()
	if err := w.noteError(pass()); err != nil {
		return err
	}
	w.exchange.mu.Lock()
	defer w.exchange.mu.Unlock()
	w.refused = false
	w.code, w.declared, w.written = code, declaredLength(headers), 0
	return nil
}

// V50: the response is started once, unless there is a cause to start it anew.
func (w *writer) checkOnce() error {
	w.exchange.mu.Lock()
	defer w.exchange.mu.Unlock()
	if !w.started || w.exchange.failure != nil {
		return nil
	}
	e := broken("V50", "the response is started a second time, and there is no cause to replace it")
	e.err = cgi.ErrHeadersSet
	w.exchange.noteBrokenLocked(e)
	return e
}

func (w *writer) setStarted() {
	w.exchange.mu.Lock()
	defer w.exchange.mu.Unlock()
	w.started = true
}

// Write implements cgi.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	w.beginCall("Write")
	defer w.endCall()
	if err := w.checkWrite(len(p)); err != nil {
		return 0, err
	}
	n, err := w.next.Write(p)
	w.count(n)
	return n, w.noteError(err)
}

// count notes that n bytes of body have been passed on.
func (w *writer) count(n int) {
	w.exchange.mu.Lock()
	defer w.exchange.mu.Unlock()
	w.written += int64(n)
}

// ReadFrom implements io.ReaderFrom. All of it passes through Write.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{w}, r)
}

// Flush implements cgi.ResponseWriter.
func (w *writer) Flush() error {
	w.beginCall("Flush")
	defer w.endCall()
	if err := w.failed(); err != nil {
		return err
	}
	if err := w.checkStarted("flushed"); err != nil {
		return err
	}
	return w.noteError(w.next.Flush())
}

// Unwrap returns the gateway's writer, for abilities that are not known here. What
// passes through them is not checked.
func (w *writer) Unwrap() cgi.ResponseWriter {
	w.beginCall("Unwrap")
	defer w.endCall()
	return w.next
}

// SendPipe is what the function of that name in package cgi calls. Bytes that do not
// pass through this process cannot be checked, so they are to be written.
func (w *writer) SendPipe(pipe, n int) (int, error) {
	w.beginCall("SendPipe")
	defer w.endCall()
	return 0, http.ErrNotSupported
}

// HeadersSent is what the function of that name in package cgi calls.
func (w *writer) HeadersSent() bool {
	w.beginCall("HeadersSent")
	defer w.endCall()
	return cgi.HeadersSent(w.next)
}

// EnableFullDuplex is what the function of that name in package cgi calls.
func (w *writer) EnableFullDuplex() error {
	w.beginCall("EnableFullDuplex")
	defer w.endCall()
	return cgi.EnableFullDuplex(w.next)
}

// WriteStderr is what the function of that name in package cgi calls. Another goroutine
// may do so while the application writes.
func (w *writer) WriteStderr(p []byte) error { return cgi.WriteStderr(w.next, p) }

// SetExitStatus is what the function of that name in package cgi calls.
func (w *writer) SetExitStatus(n int) {
	w.beginCall("SetExitStatus")
	defer w.endCall()
	cgi.SetExitStatus(w.next, n)
}

// SetReadDeadline is what the function of that name in package cgi calls.
func (w *writer) SetReadDeadline(t time.Time) error {
	w.beginCall("SetReadDeadline")
	defer w.endCall()
	return cgi.SetReadDeadline(w.next, t)
}

// SetWriteDeadline is what the function of that name in package cgi calls.
func (w *writer) SetWriteDeadline(t time.Time) error {
	w.beginCall("SetWriteDeadline")
	defer w.endCall()
	return cgi.SetWriteDeadline(w.next, t)
}

// WriteInformational is what the function of that name in package cgi calls.
func (w *writer) WriteInformational(code int, headers []cgi.Field) error {
	w.beginCall("WriteInformational")
	defer w.endCall()
	if err := w.failed(); err != nil {
		return err
	}
	if e := checkFields(headers); e != nil {
		return w.exchange.noteBroken(e)
	}
	return cgi.WriteInformational(w.next, code, headers)
}
