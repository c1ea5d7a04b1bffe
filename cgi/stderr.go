package cgi

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// stderrLine bounds a line that an application writes to Request.Stderr; a longer
// one is logged in parts.
const stderrLine = 2 << 10

// An errorStream writes what an application writes to Request.Stderr to the log, line by
// line, with the request's id.
type errorStream struct {
	mu       sync.Mutex
	response *response // nil once the request has ended
	line     []byte
}

func (s *errorStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.response == nil {
		return 0, ErrAborted
	}
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		part := p
		if i >= 0 {
			part = p[:i]
		}
		part = part[:min(len(part), stderrLine-len(s.line))]
		s.line = append(s.line, part...)
		p = p[len(part):]
		if i >= 0 && len(part) == i {
			p = p[1:]
			s.logLine()
		} else if len(s.line) == stderrLine {
			s.logLine()
		}
	}
	return n, nil
}

func (s *errorStream) logLine() {
	line := bytes.TrimRight(s.line, "\r")
	if len(line) > 0 {
		s.response.handler.log().LogAttrs(context.Background(), slog.LevelWarn, "application stderr",
			s.response.req.LogAttr(), slog.String("line", string(line)))
	}
	s.line = s.line[:0]
}

// attach accepts lines again, after detach.
func (s *errorStream) attach(w *response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.response = w
}

// detach logs an unfinished line and refuses later ones.
func (s *errorStream) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) > 0 {
		s.logLine()
	}
	s.response = nil
}
