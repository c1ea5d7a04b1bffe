// Package relay passes what a program or an upstream sends on to a response writer:
// it parses the head, begins the response, copies or splices the body, flushes what
// waits for more, and cuts what goes beyond the declared length. It knows nothing of
// processes and connections: what it reads is an [Output].
//
//	r := relay.Relay{Output: p.Stdout, Response: w, Name: path, Activity: &activity}
//	if err := r.Copy(); err != nil {
//		return err // and see to it that nobody writes any more
//	}
//	return r.Complete()
package relay

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgihead"
)

const (
	// flushDelay is how long output may wait for more before it is sent on, counted
	// from its first byte: a program that has written its response mostly ends sooner,
	// and the response is then one write with a Content-Length.
	flushDelay = 4 * time.Millisecond

	// excessBytes is how much is read and thrown away of a response that is longer than
	// its Content-Length, so that who writes it can come to the end.
	excessBytes = 1 << 20

	// copyBuffer is the size of the pooled buffers, as much as a pipe holds.
	copyBuffer = 64 << 10
)

// An Output is what a program or an upstream sends, head and body.
type Output interface {
	// Read reads what is there, or waits for it. The error is io.EOF at the end and
	// os.ErrDeadlineExceeded when the deadline has passed.
	io.Reader

	// SetReadDeadline bounds the next reads; the zero time is no bound.
	SetReadDeadline(t time.Time) error
}

// A Pipe is an Output that can be moved on without a copy.
type Pipe interface {
	Output

	// ReadOr is Read, unless least bytes or more are in the pipe: it leaves them there
	// and reports how many are ready. If least is zero, it reads in any case.
	ReadOr(p []byte, least int) (n, ready int, err error)

	// Fd returns the descriptor of the pipe.
	Fd() int
}

// A Sender is told before something is written to the client, and after it.
type Sender interface{ SetSending(on bool) }

// A Relay passes one response on. Its fields must not be changed after Copy was called.
type Relay struct {
	Output   Output
	Response cgi.ResponseWriter

	// Name names the output in errors: the path of a program, the address of an upstream.
	Name string

	// HeadBytes bounds the head: cgihead.DefaultLimit if zero, not at all if negative.
	HeadBytes int

	// Whole says that the output is a whole HTTP response: a chunked body is taken apart,
	// and all is sent on at once. NoBody says that it is one to HEAD.
	Whole, NoBody bool

	// FollowsRedirects says that a local redirect is not for the client: see Complete.
	FollowsRedirects bool

	// HeadParsed, if not nil, is called with the head when it is complete. The head is
	// valid until Copy returns.
	HeadParsed func(*cgihead.Head)

	// Activity notes when bytes pass. It may be nil if Sending is not: whoever made the Output
	// notes it then.
	Activity *Activity

	// Sending, if not nil, is told when the client may have to be waited for, instead of
	// Activity.
	Sending Sender

	pipe      Pipe // Output, or nil
	parser    *cgihead.Parser
	headDone  bool
	headErr   error  // what is wrong with a head that has not ended
	redirect  string // the Location of a local redirect, kept until the end shows that it has no body
	chunks    *chunkedBody
	unflushed bool
	ends      bool // nothing comes behind what is being written
	excess    int  // bytes beyond the declared Content-Length
	overrun   bool // there are some
}

var (
	bufferPool = sync.Pool{New: func() any { return new([copyBuffer]byte) }}
	parserPool = sync.Pool{New: func() any { return cgihead.NewParser(0) }}
)

// Copy passes the response on until the output ends, and returns nil then. Otherwise
// nobody will read what is left of the output. The error is that of the response writer,
// or a *cgi.StatusError of 502 about the output, which wraps that of Read.
func (r *Relay) Copy() error {
	buf := bufferPool.Get().(*[copyBuffer]byte)
	defer bufferPool.Put(buf)
	r.parser = parserPool.Get().(*cgihead.Parser)
	r.parser.Reset(r.HeadBytes)
	defer func() {
		if !r.headDone {
			r.headErr = r.parser.End()
		}
		r.parser.Reset(0)
		parserPool.Put(r.parser)
	}()
	r.pipe, _ = r.Output.(Pipe)
	if r.Sending == nil {
		r.Sending = r.Activity
	}
	for {
		n, ready, err := r.read(buf[:])
		if ready > 0 {
			if err := r.splice(ready); err != nil {
				return err
			}
			continue
		}
		if n > 0 {
			r.ends = err == io.EOF
			if r.Activity != nil {
				r.Activity.Received()
			}
			if err := r.write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case err == io.EOF:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := r.flush(); err != nil {
				return err
			}
		default:
			return r.errorf(http.StatusBadGateway, "reading its output: %w", err)
		}
	}
}

// HeadDone reports whether the head is complete.
func (r *Relay) HeadDone() bool { return r.headDone }

// Complete tells whether the response is whole, now that Copy has returned nil. The error
// is what its head or its chunked body lacks, a *cgi.StatusError of 502, or, if
// FollowsRedirects is set and it is a local redirect, the *cgi.LocalRedirect that asks a
// cgi.Redirector to follow it.
func (r *Relay) Complete() error {
	switch {
	case !r.headDone:
		return r.errorf(http.StatusBadGateway, "%w", r.headErr)
	case r.redirect != "":
		return fmt.Errorf("%s: %w", r.Name, &cgi.LocalRedirect{Location: r.redirect})
	case r.chunks != nil && !r.chunks.done():
		return r.errorf(http.StatusBadGateway, "its chunked body has no end: %w", io.ErrUnexpectedEOF)
	}
	return nil
}

// HeadError returns what is wrong with a head that is not complete, now that Copy has
// returned nil.
func (r *Relay) HeadError() error { return r.headErr }

// errorf returns an error that names the output.
func (r *Relay) errorf(code int, format string, args ...any) error {
	return &cgi.StatusError{Code: code, Err: fmt.Errorf(r.Name+": "+format, args...)}
}

func (r *Relay) read(p []byte) (n, ready int, err error) {
	if r.pipe != nil && r.splices() {
		return r.pipe.ReadOr(p, SpliceMin)
	}
	n, err = r.Output.Read(p)
	return n, 0, err
}

// write passes a piece of output on.
func (r *Relay) write(p []byte) error {
	if !r.headDone {
		n, done, err := r.parser.Feed(p)
		if err != nil {
			return r.errorf(http.StatusBadGateway, "%w", err)
		}
		if !done {
			return nil
		}
		r.headDone = true
		p = p[n:]
		h := r.parser.Head()
		if r.HeadParsed != nil {
			r.HeadParsed(h)
		}
		if r.FollowsRedirects && h.LocalRedirect {
			r.redirect = h.Location()
		} else if err := r.startResponse(); err != nil {
			return err
		}
	}
	if r.redirect != "" {
		if len(p) == 0 {
			return nil
		}
		r.redirect = "" // a document goes with it, for the client
		if err := r.startResponse(); err != nil {
			return err
		}
	}
	if r.chunks != nil {
		return r.writeChunks(p)
	}
	return r.writeBody(p)
}

// startResponse begins the response with the head.
func (r *Relay) startResponse() error {
	h := r.parser.Head()
	if r.Whole {
		if err := r.setForm(h); err != nil {
			return err
		}
	}
	if err := r.Response.StartResponse(h.Status, h.Fields); err != nil {
		return r.errorf(http.StatusBadGateway, "%w", err)
	}
	return nil
}

// writeBody passes a piece of the body on.
func (r *Relay) writeBody(p []byte) error {
	if r.overrun {
		if r.excess += len(p); r.excess > excessBytes {
			return cgi.ErrContentLength
		}
		return nil
	}
	if len(p) == 0 {
		return r.hold()
	}
	r.Sending.SetSending(true)
	_, err := r.Response.Write(p)
	r.Sending.SetSending(false)
	switch {
	case err == nil:
		return r.hold()
	case errors.Is(err, cgi.ErrContentLength):
		r.overrun = true
		return nil
	}
	return err
}

// hold lets what was written wait for more, for a moment.
func (r *Relay) hold() error {
	if r.unflushed || r.ends {
		return nil
	}
	r.unflushed = true
	if r.Whole {
		return r.flush()
	}
	r.Output.SetReadDeadline(time.Now().Add(flushDelay))
	return nil
}

// flush sends what waits.
func (r *Relay) flush() error {
	r.Output.SetReadDeadline(time.Time{})
	if !r.unflushed {
		return nil
	}
	r.unflushed = false
	r.Sending.SetSending(true)
	err := r.Response.Flush()
	r.Sending.SetSending(false)
	return err
}
