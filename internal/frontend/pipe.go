package frontend

import (
	"gatehouse/cgi"
	"gatehouse/internal/nowait"
)

// ErrPipeFull is returned by a [PipeBody] when the pipe has no room.
var ErrPipeFull = nowait.ErrPipeFull

// A PipeSink is a [cgi.Sink] that takes part of the body straight from a pipe: the bytes
// do not pass through this process. [cgi.SendPipe] uses it.
type PipeSink interface {
	cgi.Sink

	// SendPipe sends what is held back, then n bytes, which must be ready in the pipe. It
	// returns how many of them it took. If it can take none, the error is
	// http.ErrNotSupported, and the caller is to read and write them.
	SendPipe(pipe, n int) (int, error)
}

// A PipeBody is a [cgi.Request.Body] that can be passed on to a pipe: the bytes do not
// pass through this process.
type PipeBody interface {
	// ReadPipe passes up to max bytes on to the pipe, given by its descriptor, and
	// returns how many. It waits for bytes as Read does, but not for the pipe: if that is
	// full the error is ErrPipeFull, and it is syscall.EPIPE if the pipe has no reader.
	// Nobody else may write to the pipe meanwhile. If the error is http.ErrNotSupported,
	// Read gives the next bytes. All other errors are those of Read, io.EOF at the end
	// among them.
	ReadPipe(pipe int, max int64) (int64, error)
}
