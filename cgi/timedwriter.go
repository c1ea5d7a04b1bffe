package cgi

import (
	"errors"
	"io"
	"time"
)

// timedPiece bounds what a timedWriter writes at once, in bytes: a time limit that
// passes meanwhile holds from the next piece on.
const timedPiece = 512 << 10

// A timedWriter is the ResponseWriter of an application with a time limit. It has all
// abilities of the Handler's, each under the lock that keeps the timer out.
type timedWriter struct{ t *timeout }

// lock acquires the lock, unless a limit has passed.
func (w *timedWriter) lock() (*response, error) {
	w.t.mu.Lock()
	if err := w.t.expiredErr(); err != nil {
		w.t.mu.Unlock()
		return nil, err
	}
	return w.t.response, nil
}

func (w *timedWriter) unlock() { w.t.mu.Unlock() }

// withLock calls f under the lock.
func (w *timedWriter) withLock(f func(*response) error) error {
	r, err := w.lock()
	if err != nil {
		return err
	}
	defer w.unlock()
	return f(r)
}

// StartResponse implements ResponseWriter.
func (w *timedWriter) StartResponse(status string, headers []Field) error {
	return w.withLock(func(r *response) error { return r.StartResponse(status, headers) })
}

// ReplaceResponse is what the function of that name calls.
func (w *timedWriter) ReplaceResponse(cause error, status string, headers []Field) error {
	return w.withLock(func(r *response) error { return r.ReplaceResponse(cause, status, headers) })
}

// Write implements ResponseWriter.
func (w *timedWriter) Write(p []byte) (n int, err error) {
	for {
		piece := p[n:min(len(p), n+timedPiece)]
		m, err := w.write(piece)
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

func (w *timedWriter) write(p []byte) (int, error) {
	r, err := w.lock()
	if err != nil {
		return 0, err
	}
	defer w.unlock()
	return r.Write(p)
}

// ReadFrom implements io.ReaderFrom. The lock is not held while r is read.
func (w *timedWriter) ReadFrom(r io.Reader) (int64, error) { return copyAll(w, r) }

// Flush implements ResponseWriter.
func (w *timedWriter) Flush() error { return w.withLock((*response).Flush) }

// HeadersSent is what the function of that name calls.
func (w *timedWriter) HeadersSent() bool {
	r, err := w.lock()
	if err != nil {
		return true // whatever was sent, nothing can be changed any more
	}
	defer w.unlock()
	return r.headSent
}

// EnableFullDuplex is what the function of that name calls.
func (w *timedWriter) EnableFullDuplex() error { return w.withLock((*response).EnableFullDuplex) }

// WriteStderr is what the function of that name calls.
func (w *timedWriter) WriteStderr(p []byte) error {
	return w.withLock(func(r *response) error { return r.WriteStderr(p) })
}

// SetExitStatus is what the function of that name calls.
func (w *timedWriter) SetExitStatus(n int) {
	_ = w.withLock(func(r *response) error {
		r.SetExitStatus(n)
		return nil
	})
}

// WriteInformational is what the function of that name calls.
func (w *timedWriter) WriteInformational(code int, headers []Field) error {
	return w.withLock(func(r *response) error { return r.WriteInformational(code, headers) })
}

// SetReadDeadline is what the function of that name calls. It must reach the sink
// while a Write waits, so it holds the lock only against the timer.
func (w *timedWriter) SetReadDeadline(d time.Time) error {
	return w.setDeadline(func(r *response) error { return r.SetReadDeadline(d) })
}

// SetWriteDeadline is what the function of that name calls, likewise.
func (w *timedWriter) SetWriteDeadline(d time.Time) error {
	return w.setDeadline(func(r *response) error { return r.SetWriteDeadline(d) })
}

func (w *timedWriter) setDeadline(f func(*response) error) error {
	t := w.t
	t.state.Lock()
	defer t.state.Unlock()
	switch {
	case t.expired != nil:
		return t.expired
	case t.returned:
		return errReturned
	}
	return f(t.response)
}

// SendPipe is what the function of that name calls.
func (w *timedWriter) SendPipe(pipe, n int) (sent int, err error) {
	err = w.withLock(func(r *response) error {
		sent, err = r.SendPipe(pipe, n)
		return err
	})
	return sent, err
}

// setLength is what a WSGI application's single block calls.
func (w *timedWriter) setLength(n int64) {
	_ = w.withLock(func(r *response) error {
		r.setLength(n)
		return nil
	})
}

// sendFile calls Handler.SendFile, without the lock.
func (w *timedWriter) sendFile(outer ResponseWriter, f *File) (bool, error) {
	r, err := w.lock()
	if err != nil {
		return false, err
	}
	send, written := r.handler.SendFile, r.written
	valid := r.valid
	w.unlock()
	if send == nil || !valid {
		return false, nil
	}
	sent, err := send(outer, f)
	if r, entered := w.lock(); entered == nil {
		defer w.unlock()
		if !sent && err == nil && r.written != written {
			err = errSendFile
		}
	}
	return sent, err
}

// errSendFile is for a Handler.SendFile that breaks its contract.
var errSendFile = errors.New("cgi: SendFile has written to the response, and reports that it has not")
