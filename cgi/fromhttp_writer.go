package cgi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi/internal/syntax"
)

// errReturned is what a goroutine gets that writes after its handler returned.
var errReturned = errors.New("cgi: use of the ResponseWriter after the handler has returned")

// A handlerWriter is the http.ResponseWriter of an exchange. The lock makes it
// safe against goroutines that outlive the handler; it is never held while
// something other than the peer is waited for.
type handlerWriter struct {
	mu      sync.Mutex
	life    sync.Mutex     // guards w for those who must reach it while a Write holds mu
	w       ResponseWriter // nil once the handler has returned; changed under both locks
	request *Request
	header  http.Header

	code     int     // 0 until WriteHeader
	fields   []Field // the header as it was at WriteHeader
	few      [4]Field
	typed    bool // no Content-Type is to be guessed
	bodyless bool // 204 or 304
	started  bool
	err      error    // why the head was refused
	dropped  []string // names of fields that were dropped
}

func (w *handlerWriter) attach(rw ResponseWriter, r *Request) {
	w.w, w.request = rw, r
	w.header = make(http.Header)
}

// Header implements http.ResponseWriter.
func (w *handlerWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *handlerWriter) WriteHeader(code int) {
	if code < 100 || code > 999 {
		panic(fmt.Sprintf("cgi: invalid WriteHeader code %d", code))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.w == nil:
	case w.code != 0:
		w.superfluous(code)
	case code < 200 && code != http.StatusSwitchingProtocols:
		w.setFields()
		// Where the protocol has no informational responses, the final one is the same
		// without them.
		_ = WriteInformational(w.w, code, w.fields)
	default:
		w.setHead(code)
	}
}

// superfluous reports a second WriteHeader, with the place of the call.
func (w *handlerWriter) superfluous(code int) {
	place := "unknown place"
	if _, file, line, ok := runtime.Caller(2); ok {
		place = fmt.Sprintf("%s:%d", filepath.Base(file), line)
	}
	if w.request.Stderr != nil {
		fmt.Fprintf(w.request.Stderr, "superfluous WriteHeader(%d) from %s: the status is %d\n", code, place, w.code)
	}
}

// setHead fixes the status and the header fields.
func (w *handlerWriter) setHead(code int) {
	w.code = code
	w.bodyless = code == http.StatusNoContent || code == http.StatusNotModified
	w.setFields()
	if len(w.dropped) > 0 {
		w.logDropped()
	}
	_, w.typed = w.header["Content-Type"]
	w.typed = w.typed || w.header.Get("Content-Encoding") != "" || w.header.Get("Transfer-Encoding") != ""
}

// setFields makes fields of the header, sorted by name, without trailers. As net/http does,
// it drops what has no token for a name: that is what an upstream may send a ReverseProxy. A
// Status, which the web server would take for the status itself, goes the same way.
func (w *handlerWriter) setFields() {
	if w.fields == nil {
		w.fields = w.few[:0]
	}
	w.fields = w.fields[:0]
	trailers := w.header["Trailer"]
	for name, values := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) || trailers != nil && isTrailer(trailers, name) {
			continue
		}
		if !syntax.IsToken(name) || len(name) == len("Status") && strings.EqualFold(name, "Status") {
			w.dropped = append(w.dropped, name)
			continue
		}
		for _, v := range values {
			w.fields = append(w.fields, Field{name, v})
		}
	}
	slices.SortStableFunc(w.fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
}

// maxDropped bounds the names of dropped fields in a log line.
const maxDropped = 8

// logDropped logs the names of the fields that were dropped, of an informational response
// before the final one, too.
func (w *handlerWriter) logDropped() {
	slices.Sort(w.dropped)
	names, more := slices.Compact(w.dropped), ""
	if n := len(names) - maxDropped; n > 0 {
		names, more = names[:maxDropped], fmt.Sprintf(" and %d more", n)
	}
	if w.request.Stderr != nil {
		fmt.Fprintf(w.request.Stderr, "header fields dropped: %.80q%s: a name is a token, and Status is CGI's own: "+
			"delete them, of an upstream's response in ReverseProxy.ModifyResponse\n", names, more)
	}
	w.dropped = nil
}

// isTrailer reports whether name was announced in a Trailer field.
func isTrailer(trailers []string, name string) bool {
	for _, list := range trailers {
		for t := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(t), name) {
				return true
			}
		}
	}
	return false
}

// startResponse passes the head on, once. If the handler set no Content-Type, it is guessed
// from p, the first bytes of the body, and later from all that is held.
func (w *handlerWriter) startResponse(p []byte) error {
	if w.w == nil {
		return errReturned
	}
	if w.code == 0 {
		w.setHead(http.StatusOK)
	}
	if w.started {
		return w.err
	}
	w.started = true
	var guess typeGuess
	if !w.typed && !w.bodyless && len(p) > 0 {
		guess = typeGuess{http.DetectContentType(p), len(p)}
		w.fields = append(w.fields, Field{"Content-Type", guess.value})
	}
	w.err = w.w.StartResponse(knownStatus(w.code), w.fields)
	if guess.value != "" && w.err == nil {
		if r, ok := ability[interface{ guessContentType(typeGuess) }](w.w); ok {
			r.guessContentType(guess)
		}
	}
	return w.err
}

// Write implements http.ResponseWriter.
func (w *handlerWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.w == nil {
		return 0, errReturned
	}
	if w.code == 0 {
		w.setHead(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if w.bodyless {
		return 0, http.ErrBodyNotAllowed
	}
	if err := w.startResponse(p); err != nil {
		return 0, err
	}
	n, err := w.w.Write(p)
	if errors.Is(err, ErrContentLength) {
		err = http.ErrContentLength
	}
	return n, err
}

// ReadFrom implements io.ReaderFrom, with a pooled buffer of 64 KiB. The lock is
// not held while r is read.
func (w *handlerWriter) ReadFrom(r io.Reader) (n int64, err error) { return copyAll(w, r) }

// Flush implements http.Flusher.
func (w *handlerWriter) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls to flush.
func (w *handlerWriter) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.startResponse(nil); err != nil {
		return err
	}
	return w.w.Flush()
}

// SetReadDeadline is what http.ResponseController calls.
func (w *handlerWriter) SetReadDeadline(t time.Time) error {
	w.life.Lock()
	defer w.life.Unlock()
	if w.w == nil {
		return errReturned
	}
	return SetReadDeadline(w.w, t)
}

// SetWriteDeadline is what http.ResponseController calls.
func (w *handlerWriter) SetWriteDeadline(t time.Time) error {
	w.life.Lock()
	defer w.life.Unlock()
	if w.w == nil {
		return errReturned
	}
	return SetWriteDeadline(w.w, t)
}

// EnableFullDuplex is what http.ResponseController calls.
func (w *handlerWriter) EnableFullDuplex() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.w == nil {
		return errReturned
	}
	return EnableFullDuplex(w.w)
}

// finishHead starts a response that the handler left empty, and returns why the head
// was refused, if it was.
func (w *handlerWriter) finishHead() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.startResponse(nil)
}

// detach takes the handler off the front-end's writer.
func (w *handlerWriter) detach() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life.Lock()
	defer w.life.Unlock()
	w.w, w.request = nil, nil
}
