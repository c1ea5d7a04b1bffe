package cgi

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi/internal/syntax"
)

// bufferedBytes is how much of a body is held back until Flush or the end, so that a small
// response is one write and gets a Content-Length.
const bufferedBytes = 16 << 10

// A response is the ResponseWriter of one request. It is pooled.
type response struct {
	handler *Handler
	req     *Request
	app     *Request // the application's, which req is unless a time limit has passed
	sink    Sink
	ledger  *ledger
	id      uint64
	flight  flight

	observation Observation   // or nil
	firstByte   time.Duration // when the head left; 0: at the end, if at all
	finishing   bool          // the application has returned, or a time limit has passed
	settled     bool          // the request has been counted

	started  bool // StartResponse has succeeded or failed: it may not be called again
	valid    bool // head holds a checked head
	headSent bool // the sink has the head
	lastPage bool // this is the page for an error page that failed
	bodyless bool // HEAD, 204 or 304: what is written is counted and discarded
	isHead   bool // the request's method is HEAD

	head     Head
	declared int64 // Content-Length as the application gave it, or -1
	written  int64 // bytes of body from the application, without those that were cut
	buffered []byte
	guess    typeGuess // of the head's Content-Type

	progress   *Progress     // nil unless somebody watches
	timeout    *timeout      // nil without a time limit, and once one has passed
	overdue    bool          // a time limit has passed
	body       *bufferedBody // the request's, nil if it has none
	duplex     bool          // the head does not wait for the body
	bodyErr    error         // why the body was refused while the head waited for it
	stderr     errorStream   // Request.Stderr where the front-end gave none
	exitStatus int
	sinkErr    error // the first error of the sink: nobody reads the response
	overrun    error // the application wrote more than it declared
	refused    error // why the last head was refused
}

var responsePool = sync.Pool{New: func() any {
	return &response{buffered: make([]byte, 0, bufferedBytes), head: Head{Fields: make([]Field, 0, 16)}}
}}

func newResponse(h *Handler, r *Request, s Sink) *response {
	w := responsePool.Get().(*response)
	w.handler, w.req, w.app, w.sink, w.id = h, r, r, s, r.ID
	w.isHead = r.Env.Get("REQUEST_METHOD") == "HEAD"
	w.declared = -1
	w.stderr.response = w
	return w
}

// free returns w to the pool without a trace of its request.
func (w *response) free() {
	held, fields, line := w.buffered[:0], w.head.Fields, w.stderr.line[:0]
	clear(fields) // what is beyond its length was cleared when it was last used
	if cap(fields) > 64 {
		fields = make([]Field, 0, 16)
	}
	*w = response{} // in place, unlike a literal with fields
	w.buffered, w.head.Fields, w.stderr.line = held, fields[:0], line
	responsePool.Put(w)
}

// StartResponse implements ResponseWriter.
func (w *response) StartResponse(status string, headers []Field) error {
	if w.started {
		return ErrHeadersSet
	}
	w.started = true
	w.refused = w.setHead(status, headers)
	return w.refused
}

// ReplaceResponse sets a new head in place of one that was not sent; see the
// function of that name.
func (w *response) ReplaceResponse(cause error, status string, headers []Field) error {
	if w.headSent {
		return fmt.Errorf("%w: %w", ErrHeadersSent, cause)
	}
	w.started = true
	w.buffered, w.written, w.overrun = w.buffered[:0], 0, nil
	w.refused = w.setHead(status, headers)
	return w.refused
}

// HeadersSent reports whether the head has been sent.
func (w *response) HeadersSent() bool { return w.headSent }

// WriteStderr hands p to a front-end that has a stream for it.
func (w *response) WriteStderr(p []byte) error {
	s, ok := w.sink.(interface{ WriteStderr([]byte) error })
	if !ok {
		return http.ErrNotSupported
	}
	return s.WriteStderr(p)
}

// SetExitStatus sets the exit status that the front-end reports.
func (w *response) SetExitStatus(n int) { w.exitStatus = n }

// setHead checks and copies a head.
func (w *response) setHead(status string, headers []Field) error {
	w.valid, w.declared, w.guess = false, -1, typeGuess{}
	code, err := parseStatus(status)
	if err != nil {
		return err
	}
	if clean := w.handler.CleanupHeaders; clean != nil && !w.lastPage {
		h, err := NewHeaders(headers...)
		if err != nil {
			return err
		}
		clean(w.req, code, h)
		headers = h.fields
	}
	clear(w.head.Fields)
	w.head.Code, w.head.Status, w.head.Fields = code, status, w.head.Fields[:0]
	w.bodyless = w.isHead || !mayHaveBody(code)
	for i := range headers {
		f := headers[i]
		if err := checkField(&f); err != nil {
			return err
		}
		f.Value = strings.Trim(f.Value, " \t")
		if isConnectionField(f.Name) {
			continue
		}
		if len(f.Name) == 14 && strings.EqualFold(f.Name, "Content-Length") {
			again := w.declared >= 0
			if err := w.declare(f.Value); err != nil {
				return err
			}
			if !again && mayHaveBody(code) {
				w.head.Fields = append(w.head.Fields, f)
			}
			continue
		}
		w.head.Fields = append(w.head.Fields, f)
	}
	w.valid = true
	return nil
}

// declare notes the application's Content-Length.
func (w *response) declare(value string) error {
	n, ok := syntax.ParseLength(value)
	if !ok {
		return &FieldError{"Content-Length", fmt.Sprintf("%.40q is not a number of bytes", value)}
	}
	if w.declared >= 0 && w.declared != n {
		return &FieldError{"Content-Length", fmt.Sprintf("it is given twice, as %d and as %d", w.declared, n)}
	}
	w.declared = n
	return nil
}

func (w *response) appendLength(n int64) {
	w.head.Fields = append(w.head.Fields, Field{"Content-Length", strconv.FormatInt(n, 10)})
}

// setLength adds the length of a body that is about to be written as a whole, unless the
// application has stated one: set_content_length.
func (w *response) setLength(n int64) {
	if w.valid && !w.headSent && w.declared < 0 && !w.handler.NoContentLength && mayHaveBody(w.head.Code) {
		w.declared = n
		w.appendLength(n)
	}
}

// Write implements ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	p, err := w.admit(p)
	if len(p) == 0 || w.bodyless {
		w.holdSample(p)
		w.written += int64(len(p))
		return len(p), err
	}
	if len(w.buffered)+len(p) <= bufferedBytes && !w.headSent {
		w.buffered = append(w.buffered, p...)
	} else if serr := w.forward(p); serr != nil {
		return 0, serr
	}
	w.written += int64(len(p))
	return len(p), err
}

// admit returns the part of p that the head allows to be written.
func (w *response) admit(p []byte) ([]byte, error) {
	if w.sinkErr != nil {
		return nil, w.sinkErr
	}
	if err := w.terminated(); err != nil {
		return nil, err
	}
	if !w.valid {
		return nil, ErrNoStart
	}
	// The length of a body that is never sent bounds nothing: HEAD may declare what
	// GET would send, and 304 what 200 would.
	if w.declared >= 0 && !w.bodyless && int64(len(p)) > w.declared-w.written {
		w.overrun = fmt.Errorf("%w: %d bytes declared, more written", ErrContentLength, w.declared)
		return p[:w.declared-w.written], w.overrun
	}
	return p, nil
}

// forward gives the sink the head, what is buffered, and p.
func (w *response) forward(p []byte) error {
	if err := w.bufferBody(); err != nil {
		return err
	}
	w.completeGuess(p)
	w.flight.sending.Store(true)
	defer w.flight.sending.Store(false)
	if err := w.flushBuffered(); err != nil {
		return err
	}
	w.progress.beginSend()
	n, err := w.sink.Write(p)
	w.progress.endSend()
	w.flight.out.Add(int64(n))
	return w.noteSinkError(err)
}

// EnableFullDuplex lets the head be sent while the body still arrives; see the
// function of that name.
func (w *response) EnableFullDuplex() error {
	w.duplex = true
	return nil
}

// bufferBody buffers the rest of the request's body, before the head is sent while the
// application still runs. A body that is refused makes the response fail.
func (w *response) bufferBody() error {
	if w.headSent || w.duplex || w.body == nil || w.bodyErr != nil {
		return w.bodyErr
	}
	if w.timeout != nil {
		w.bodyErr = w.timeout.bufferBody()
	} else {
		w.bodyErr = w.body.buffer()
	}
	return w.bodyErr
}

// flushBuffered gives the sink the head and what is buffered.
func (w *response) flushBuffered() error {
	if w.sinkErr != nil {
		return w.sinkErr
	}
	if !w.headSent {
		if w.timeout != nil {
			if err := w.timeout.markHeadSent(); err != nil {
				return err
			}
		}
		w.headSent = true
		if !w.finishing {
			w.firstByte = max(w.ledger.now()-w.flight.start, 1)
		}
		w.completeGuess(nil)
		if w.observation != nil {
			w.observation.Head(w.head.Code)
		}
		if w.handler.OriginServer {
			w.addPreamble()
		}
		w.progress.beginSend()
		err := w.sink.WriteHead(&w.head)
		w.progress.endSend()
		if err != nil {
			return w.noteSinkError(err)
		}
		if w.bodyless {
			w.buffered = w.buffered[:0]
		}
	}
	if len(w.buffered) == 0 {
		return nil
	}
	w.progress.beginSend()
	n, err := w.sink.Write(w.buffered)
	w.progress.endSend()
	w.flight.out.Add(int64(n))
	w.buffered = w.buffered[:0]
	return w.noteSinkError(err)
}

// noteSinkError notes an error of the sink.
func (w *response) noteSinkError(err error) error {
	if err != nil && w.sinkErr == nil {
		w.sinkErr = err
	}
	return err
}

// Flush implements ResponseWriter.
func (w *response) Flush() error {
	if w.sinkErr != nil {
		return w.sinkErr
	}
	if err := w.terminated(); err != nil {
		return err
	}
	if !w.valid {
		return ErrNoStart
	}
	if err := w.bufferBody(); err != nil {
		return err
	}
	w.flight.sending.Store(true)
	defer w.flight.sending.Store(false)
	if err := w.flushBuffered(); err != nil {
		return err
	}
	w.progress.beginSend()
	err := w.sink.Flush()
	w.progress.endSend()
	return w.noteSinkError(err)
}

// copyPool holds the buffers of copyAll.
var copyPool = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// ReadFrom implements io.ReaderFrom under the same rules as Write, with a buffer
// of 64 KiB.
func (w *response) ReadFrom(r io.Reader) (n int64, err error) { return copyAll(w, r) }

// copyAll is io.Copy with a pooled buffer, which asks w for no ReadFrom.
func copyAll(w io.Writer, r io.Reader) (n int64, err error) {
	buf := copyPool.Get().(*[64 << 10]byte)
	defer copyPool.Put(buf)
	for {
		m, rerr := r.Read(buf[:])
		if m > 0 {
			k, werr := w.Write(buf[:m])
			n += int64(k)
			if werr != nil {
				return n, werr
			}
		}
		if rerr == io.EOF {
			return n, nil
		}
		if rerr != nil {
			return n, rerr
		}
	}
}

// complete ends a response that the application wrote without an error.
func (w *response) complete() error {
	if !w.valid {
		return ErrNoStart
	}
	short := w.lengthError()
	if !w.headSent && w.declared < 0 && w.lengthAllowed() {
		w.appendLength(w.written)
	}
	if err := w.flushBuffered(); err != nil {
		return err
	}
	return short
}

// lengthError returns what is wrong with a body that ends before its declared length.
func (w *response) lengthError() error {
	if w.declared >= 0 && !w.bodyless && w.written < w.declared {
		return fmt.Errorf("%w: %d bytes declared, %d written", ErrContentLength, w.declared, w.written)
	}
	return nil
}

// lengthAllowed reports whether a response that is still buffered as a whole gets a
// Content-Length: never 204 and 304, and one to HEAD only if the application wrote the body
// that GET would get.
func (w *response) lengthAllowed() bool {
	if w.handler.NoContentLength || w.isHead && w.written == 0 {
		return false
	}
	return mayHaveBody(w.head.Code)
}
