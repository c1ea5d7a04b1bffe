package cgi

import (
	"errors"
	"net/http"
)

// ErrPipeFull is returned by a [PipeBody] when the pipe has no room.
var ErrPipeFull = errors.New("the pipe is full")

// A PipeSink is a [Sink] that takes a part of the body straight from a pipe: the bytes
// do not pass through this process.
type PipeSink interface {
	Sink

	// SendPipe sends what is held back, then n bytes, which stand ready in the pipe. It
	// returns how many of them it took. If it can take none, the error is
	// http.ErrNotSupported, and they are to be read and written.
	SendPipe(pipe, n int) (int, error)
}

// SendPipe is Write and Flush for n bytes that stand ready in a pipe, given by its
// descriptor: the same rules hold. It returns how many it took from the pipe. The
// error is [http.ErrNotSupported], and nothing was taken, where they have to be read
// and written instead.
func SendPipe(w ResponseWriter, pipe, n int) (int, error) {
	if s, ok := ability[pipeSender](w); ok {
		return s.SendPipe(pipe, n)
	}
	return 0, http.ErrNotSupported
}

type pipeSender interface {
	SendPipe(pipe, n int) (int, error)
}

// SendPipe passes bytes of a pipe to a sink that takes them.
func (w *response) SendPipe(pipe, n int) (int, error) {
	s, ok := w.sink.(PipeSink)
	if !ok || w.bodyless || w.overrun != nil {
		return 0, http.ErrNotSupported
	}
	if w.sinkErr != nil {
		return 0, w.sinkErr
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
	if err := w.flushBuffered(); err != nil {
		return 0, err
	}
	m, err := s.SendPipe(pipe, n)
	w.sent += int64(m)
	w.written += int64(m)
	if errors.Is(err, http.ErrNotSupported) {
		return m, err
	}
	return m, w.noteSinkError(err)
}

// A PipeBody is a [Request.Body] that can be passed on to a pipe: the bytes do not
// pass through this process.
type PipeBody interface {
	// ReadPipe passes up to max bytes on to the pipe, given by its descriptor, and
	// returns how many. It waits for bytes as Read does, but not for the pipe: if that is
	// full the error is ErrPipeFull, and it is syscall.EPIPE if the pipe has no reader.
	// Nobody else may write to the pipe meanwhile. If the error is http.ErrNotSupported,
	// Read gives the next bytes. What else Read returns it returns too, io.EOF at the end.
	ReadPipe(pipe int, max int64) (int64, error)
}

// ReadPipe passes the body on while nothing of it is kept here.
func (b *bufferedBody) ReadPipe(pipe int, max int64) (n int64, err error) {
	src, ok := b.src.(PipeBody)
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
		err = b.endReading(n > 0, err)
		b.mu.Unlock()
	}()
	return src.ReadPipe(pipe, max)
}
