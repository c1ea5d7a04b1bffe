package cgi

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// An httpSink encodes a response for net/http.
type httpSink struct {
	w           http.ResponseWriter
	control     *http.ResponseController
	write       time.Duration
	body        *httpBody // nil if the request has none
	ownDeadline bool      // the application has set a write deadline of its own
	shared      bool      // the connection carries other requests at the same time (HTTP/2)
	last        bool      // the connection is not to carry another request
	headed      bool      // WriteHead was called
	source      pipeSource
	interrupted atomic.Bool // InterruptWrite was called, since SendPipe
}

// WriteHead implements Sink.
func (s *httpSink) WriteHead(h *Head) error {
	s.headed = true
	s.setFields(h.Fields)
	header := s.w.Header()
	if header["Content-Type"] == nil {
		// Present without a value, it keeps net/http from guessing one.
		header["Content-Type"] = nil
	}
	if s.last || s.body != nil && s.body.hasUnread() {
		// What is left of the body would be taken for the next request.
		header.Set("Connection", "close")
	}
	s.setDeadline()
	s.w.WriteHeader(h.Code)
	s.clearDeadline()
	return nil
}

func (s *httpSink) setFields(fields []Field) {
	header := s.w.Header()
	for _, f := range fields {
		header.Del(f.Name) // whoever wraps the handler does not add to its response
	}
	for _, f := range fields {
		header.Add(f.Name, f.Value)
	}
}

// setDeadline restarts the wait for the client.
func (s *httpSink) setDeadline() {
	if !s.ownDeadline {
		_ = s.control.SetWriteDeadline(time.Now().Add(s.write))
	}
}

// clearDeadline ends the wait where an expired deadline would reset an idle stream (HTTP/2).
func (s *httpSink) clearDeadline() {
	if s.shared && !s.ownDeadline {
		_ = s.control.SetWriteDeadline(time.Time{})
	}
}

// Write implements Sink.
func (s *httpSink) Write(p []byte) (int, error) {
	s.setDeadline()
	defer s.clearDeadline()
	n, err := s.w.Write(p)
	return n, s.limitError(err)
}

// limitError names the limit in the error of a write whose deadline has passed.
func (s *httpSink) limitError(err error) error {
	if err == nil || s.ownDeadline || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("the client took nothing for %v (write): %w", s.write, err)
}

// Flush implements Sink. A writer that cannot flush sends in its own time.
func (s *httpSink) Flush() error {
	s.setDeadline()
	defer s.clearDeadline()
	if err := s.control.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return s.limitError(err)
	}
	return nil
}

// Finish implements Sink. A truncated response is sent as far as it goes; whoever called
// Handler.Run aborts the connection.
func (s *httpSink) Finish(o Outcome) error {
	s.setDeadline()
	if o.End == Truncated && s.headed {
		_ = s.Flush()
	}
	return nil
}

// SetReadDeadline passes the deadline on, in place of the body's limit.
func (s *httpSink) SetReadDeadline(t time.Time) error {
	if s.body != nil {
		return s.body.setOwnDeadline(t)
	}
	return s.control.SetReadDeadline(t)
}

// SetWriteDeadline passes the deadline on, and gives up the sink's own.
func (s *httpSink) SetWriteDeadline(t time.Time) error {
	s.ownDeadline = true
	return s.control.SetWriteDeadline(t)
}

// InterruptWrite ends a write that is under way. Any goroutine may call it.
func (s *httpSink) InterruptWrite() {
	s.interrupted.Store(true)
	_ = s.control.SetWriteDeadline(aLongTimeAgo)
}

// WriteInformational sends a 1xx response.
func (s *httpSink) WriteInformational(code int, fields []Field) error {
	s.setFields(fields)
	s.setDeadline()
	s.w.WriteHeader(code)
	s.clearDeadline()
	for _, f := range fields {
		s.w.Header().Del(f.Name)
	}
	return nil
}
