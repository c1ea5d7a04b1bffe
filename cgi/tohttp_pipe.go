package cgi

import (
	"errors"
	"io"
	"net/http"
	"os"
)

// pipePiece is how many bytes of a pipe a client may take as long for as Limits.Write lets it.
const pipePiece = 64 << 10

// A pipeSource is bytes that are ready in a pipe. net/http passes it on to the connection, whose
// ReadFrom moves them if it looks for Pipe. Elsewhere nothing is read.
type pipeSource struct{ pipe, n int }

// Pipe returns the descriptor of the pipe, and the number of bytes.
func (p *pipeSource) Pipe() (fd, n int) { return p.pipe, p.n }

// Read implements io.Reader.
func (*pipeSource) Read([]byte) (int, error) { return 0, http.ErrNotSupported }

// SendPipe implements frontend.PipeSink, for a response with Content-Length on a connection that
// moves what is in a pipe.
func (s *httpSink) SendPipe(pipe, n int) (sent int, err error) {
	w, ok := s.w.(io.ReaderFrom)
	if !ok || s.w.Header()["Content-Length"] == nil {
		return 0, http.ErrNotSupported
	}
	s.interrupted.Store(false)
	// net/http would read the first bytes to find a Content-Type, before it sends the head.
	if err := s.Flush(); err != nil {
		return 0, err
	}
	defer s.clearDeadline()
	for sent < n {
		s.setDeadline()
		if s.interrupted.Load() { // which the deadline would undo
			return sent, os.ErrDeadlineExceeded
		}
		s.source = pipeSource{pipe, min(n-sent, pipePiece)}
		m, err := w.ReadFrom(&s.source)
		sent += int(m)
		switch {
		case errors.Is(err, http.ErrNotSupported), m == 0 && err == nil:
			return sent, http.ErrNotSupported
		case err != nil:
			return sent, s.limitError(err)
		}
	}
	return sent, nil
}
