package validate

import "gatehouse/cgi"

// checkWrite checks that n bytes of body may be written.
func (w *writer) checkWrite(n int) error {
	if err := w.failed(); err != nil {
		return err
	}
	if err := w.checkStarted("written to"); err != nil {
		return err
	}
	if err := w.checkBodyless(n); err != nil {
		return err
	}
	return w.checkLength(n)
}

// V36: StartResponse comes first.
func (w *writer) checkStarted(what string) error {
	w.exchange.mu.Lock()
	defer w.exchange.mu.Unlock()
	if w.started {
		return nil
	}
	e := broken("V36", "the response is %s before StartResponse was called", what)
	e.err = cgi.ErrNoStart
	w.exchange.noteBrokenLocked(e)
	return e
}

// V45: no body where none is sent. What is written in response to HEAD is counted by
// the gateway, for the length of what GET would get.
func (w *writer) checkBodyless(n int) error {
	w.exchange.mu.Lock()
	code, warned := w.code, w.warned || !w.isHead
	w.warned = w.warned || n > 0
	w.exchange.mu.Unlock()
	switch {
	case n == 0:
	case isBodyless(code):
		return w.exchange.noteBroken(broken("V45", "the response with status %d has a body", code))
	case !warned:
		w.exchange.warn("V45", "the response to HEAD has a body, which is counted and discarded")
	}
	return nil
}

// V46: the body has the length that was declared. That of a body that is never sent
// bounds nothing: HEAD may declare what GET would send, and 304 what 200 would.
func (w *writer) checkLength(n int) error {
	w.exchange.mu.Lock()
	defer w.exchange.mu.Unlock()
	if w.declared < 0 || w.isHead || isBodyless(w.code) || w.refused {
		return nil
	}
	var e *Error
	switch {
	case n == atEnd && w.written < w.declared:
		e = broken("V46", "Content-Length is %d, and the body %d bytes", w.declared, w.written)
	case n != atEnd && int64(n) > w.declared-w.written:
		e = broken("V46", "Content-Length is %d, and more than that is written", w.declared)
	default:
		return nil
	}
	e.err = cgi.ErrContentLength
	w.exchange.noteBrokenLocked(e)
	return e
}

// atEnd is the argument of checkLength when nothing more will be written.
const atEnd = -1

// checkEnd checks the response of an application that has returned without an error.
func (w *writer) checkEnd() {
	if !w.checkResponded() {
		return
	}
	_ = w.checkLength(atEnd) // it is the verdict
}

// V31: there is a response.
func (w *writer) checkResponded() bool {
	w.exchange.mu.Lock()
	defer w.exchange.mu.Unlock()
	if !w.started {
		e := broken("V31", "ServeCGI returned without a response: StartResponse was never called")
		e.err = cgi.ErrNoStart
		w.exchange.noteBrokenLocked(e)
	}
	return w.started
}
