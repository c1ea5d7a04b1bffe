package cgi

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// An httpSink encodes a response for net/http.
type httpSink struct {
	w       http.ResponseWriter
	control *http.ResponseController
	write   time.Duration
	body    *httpBody // nil if the request has none
	own     bool      // the application has set a write deadline of its own
	shared  bool      // the connection carries other requests at the same time (HTTP/2)
	headed  bool      // WriteHead was called
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
	if s.body != nil && s.body.unread() {
		// The connection cannot be kept: what is left of the body would be taken for the
		// next request.
		header.Set("Connection", "close")
	}
	s.deadline()
	s.w.WriteHeader(h.Code)
	s.rest()
	return nil
}

func (s *httpSink) setFields(fields []Field) {
	header := s.w.Header()
	for _, f := range fields {
		header.Del(f.Name) // whoever wraps the handler does not add to its answer
	}
	for _, f := range fields {
		header.Add(f.Name, f.Value)
	}
}

// deadline starts the wait for the client anew.
func (s *httpSink) deadline() {
	if !s.own {
		_ = s.control.SetWriteDeadline(time.Now().Add(s.write))
	}
}

// rest ends the wait where a deadline ends a stream that sends nothing (HTTP/2).
func (s *httpSink) rest() {
	if s.shared && !s.own {
		_ = s.control.SetWriteDeadline(time.Time{})
	}
}

// Write implements Sink.
func (s *httpSink) Write(p []byte) (int, error) {
	s.deadline()
	defer s.rest()
	n, err := s.w.Write(p)
	return n, s.late(err)
}

// late names the limit where an error is that the wait for the client was over.
func (s *httpSink) late(err error) error {
	if err == nil || s.own || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("the client took nothing for %v (write): %w", s.write, err)
}

// Flush implements Sink. A writer that cannot flush sends in its own time.
func (s *httpSink) Flush() error {
	s.deadline()
	defer s.rest()
	if err := s.control.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return s.late(err)
	}
	return nil
}

// Finish implements Sink. What is broken off is sent as far as it goes, and cut
// off by whoever called Handler.Run.
func (s *httpSink) Finish(o Outcome) error {
	s.deadline()
	if o.End == Truncated && s.headed {
		_ = s.Flush()
	}
	return nil
}

// SetReadDeadline passes the deadline on, in the place of the body's limit.
func (s *httpSink) SetReadDeadline(t time.Time) error {
	if s.body != nil {
		return s.body.setOwn(t)
	}
	return s.control.SetReadDeadline(t)
}

// SetWriteDeadline passes the deadline on, and gives up the sink's own.
func (s *httpSink) SetWriteDeadline(t time.Time) error {
	s.own = true
	return s.control.SetWriteDeadline(t)
}

// WriteInformational sends a 1xx response.
func (s *httpSink) WriteInformational(code int, fields []Field) error {
	s.setFields(fields)
	s.deadline()
	s.w.WriteHeader(code)
	s.rest()
	for _, f := range fields {
		s.w.Header().Del(f.Name)
	}
	return nil
}
