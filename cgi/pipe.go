package cgi

import (
	"errors"
	"net/http"
)

// What a Sink and a Body may do besides; see package internal/frontend.
type (
	pipeSender interface {
		SendPipe(pipe, n int) (int, error)
	}
	pipeReader interface {
		ReadPipe(pipe int, max int64) (int64, error)
	}
)

// SendPipe passes bytes of a pipe to a sink that takes them.
func (w *response) SendPipe(pipe, n int) (int, error) {
	s, ok := w.sink.(pipeSender)
	if !ok || w.bodyless || w.overrun != nil {
		return 0, http.ErrNotSupported
	}
	if w.sinkErr != nil {
		return 0, w.sinkErr
	}
	if err := w.terminated(); err != nil {
		return 0, err
	}
	if !w.valid {
		return 0, ErrNoStart
	}
	if w.declared >= 0 {
		n = int(min(int64(n), w.declared-w.written))
	}
	if n <= 0 {
		return 0, http.ErrNotSupported // Write says what is wrong with it
	}
	if err := w.bufferBody(); err != nil {
		return 0, err
	}
	w.flight.sending.Store(true)
	defer w.flight.sending.Store(false)
	if err := w.flushBuffered(); err != nil {
		return 0, err
	}
	w.progress.beginSend()
	m, err := s.SendPipe(pipe, n)
	w.progress.endSend()
	w.flight.out.Add(int64(m))
	w.written += int64(m)
	if errors.Is(err, http.ErrNotSupported) {
		return m, err
	}
	return m, w.noteSinkError(err)
}

// ReadPipe passes the body on while nothing of it is kept here.
func (b *bufferedBody) ReadPipe(pipe int, max int64) (n int64, err error) {
	src, ok := b.src.(pipeReader)
	if !ok {
		return 0, http.ErrNotSupported
	}
	b.mu.Lock()
	if b.spool != nil && b.spool.Len() > 0 || len(b.rest) > 0 || b.err != nil || b.buffering || b.reading {
		b.mu.Unlock()
		return 0, http.ErrNotSupported
	}
	b.beginReading()
	defer func() {
		err = b.endReading(n, err)
		b.mu.Unlock()
	}()
	return src.ReadPipe(pipe, max)
}
