package cgitest

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"gatehouse/cgi"
)

// A Recorder is a [cgi.Sink] that keeps one response, for tests that run an application
// with [cgi.Handler.Run]. The zero value is ready for use, by one goroutine at a time.
type Recorder struct {
	Head    cgi.Head     // with fields of its own; Code is 0 before WriteHead
	Body    bytes.Buffer // grows without bound
	Flushes int          // calls of Flush

	// Finished is set by Finish, and Outcome is what it was given.
	Finished bool
	Outcome  cgi.Outcome

	// WriteError, if it is not nil, is what Write and Flush return, as though the web
	// server were gone; nothing is kept then.
	WriteError error
}

var (
	errFinished = errors.New("cgitest: the response has been finished")
	errHeads    = errors.New("cgitest: the response has a head")
)

// WriteHead keeps the head. A second head is an error, as is any call after Finish.
func (r *Recorder) WriteHead(h *cgi.Head) error {
	switch {
	case r.Finished:
		return errFinished
	case r.Head.Code != 0:
		return errHeads
	}
	r.Head = *h
	r.Head.Fields = slices.Clone(h.Fields)
	return nil
}

// Write appends to the body.
func (r *Recorder) Write(p []byte) (int, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	return r.Body.Write(p)
}

// Flush counts.
func (r *Recorder) Flush() error {
	if err := r.check(); err != nil {
		return err
	}
	r.Flushes++
	return nil
}

func (r *Recorder) check() error {
	if r.Finished {
		return errFinished
	}
	return r.WriteError
}

// Finish keeps the outcome.
func (r *Recorder) Finish(o cgi.Outcome) error {
	if r.Finished {
		return errFinished
	}
	r.Finished, r.Outcome = true, o
	return nil
}

// Field returns the value of the first header field of that name, in any case, or "" if
// there is none.
func (r *Recorder) Field(name string) string {
	for _, f := range r.Head.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// String returns the response as CGI text (RFC 3875 § 6), as far as it has come.
func (r *Recorder) String() string {
	if r.Head.Code == 0 {
		return r.Body.String()
	}
	return string(r.Head.AppendCGI(nil)) + r.Body.String()
}
