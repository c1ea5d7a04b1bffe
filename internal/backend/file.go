package backend

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
	"gatehouse/internal/nowait"
)

// FileDescriptors is how many descriptors SendFile takes: that of the file, and those of a pipe.
const FileDescriptors = 1 + nowait.PipeDescriptors

// Files bounds the descriptors of responses that have left their connection.
func (o *Output) Files() *spool.Budget { return o.Turn.pool.Limits.Spool.Total }

// fileBuffers are for what is not moved.
var fileBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// CheckFile returns what is wrong with a file that an application has passed on, as a
// *cgi.StatusError of 502: it has to be a regular one that is open for reading.
func (o *Output) CheckFile(f *os.File) error {
	if err := checkFile(f); err != nil {
		return &cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: the file that it has passed on: %w", o.Turn.Name(), err)}
	}
	return nil
}

// SendFile sends a part of a file that the application has passed on, behind what Copy has sent. It does
// not use the connection. The error is that of the response writer, the cause of the context, or a
// *cgi.StatusError of 502 for a file that has become too short.
func (o *Output) SendFile(w cgi.ResponseWriter, f *os.File, offset, length int64) error {
	o.passing.source, o.passing.bound = nil, nil
	if length >= pipeAfter && o.passing.take(&o.Turn.pool.pipes) {
		defer o.passing.close(&o.Turn.pool.pipes)
		moved, err := o.moveFile(w, f, offset, length)
		if err != nil {
			return o.fileError(err)
		}
		offset, length = offset+moved, length-moved
	}
	if err := copyFile(w, f, offset, length, o.ctx.Err); err != nil {
		return o.fileError(err)
	}
	return nil
}

// fileError returns the error of a response for one of its file.
func (o *Output) fileError(err error) error {
	switch {
	case errors.Is(err, cgi.ErrContentLength):
		return nil // it was cut
	case o.ctx.Err() != nil:
		return cancelled(o.ctx, o.Turn.Name())
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &cgi.StatusError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: the file that it has passed on has become shorter: %w", o.Turn.Name(), err)}
	}
	return err
}

// moveFile moves a part of a file through the pipe, and returns how much: less than all where the
// front-end takes nothing more from a pipe.
func (o *Output) moveFile(w cgi.ResponseWriter, f *os.File, offset, length int64) (moved int64, err error) {
	pipe := o.passing.pipe
	for moved < length {
		if err := o.ctx.Err(); err != nil {
			return moved, err
		}
		n, err := pipe.Fill(f, offset+moved, int(min(length-moved, nowait.FillMost)))
		switch {
		case err != nil && moved == 0:
			return 0, nil // its file system cannot do that
		case err != nil:
			return moved, err
		case n == 0:
			return moved, io.ErrUnexpectedEOF
		}
		o.passing.shown = true // some of it may be left there
		for n > 0 {
			m, err := cgi.SendPipe(w, pipe.Out(), n)
			n -= m
			moved += int64(m)
			if errors.Is(err, http.ErrNotSupported) {
				return moved, nil // what is left in the pipe is read from the file
			}
			if err != nil {
				return moved, err
			}
		}
	}
	return moved, nil
}

// copyFile writes a part of a file, until cancelled returns an error.
func copyFile(w io.Writer, f *os.File, offset, length int64, cancelled func() error) error {
	buf := fileBuffers.Get().(*[256 << 10]byte)
	defer fileBuffers.Put(buf)
	for length > 0 {
		if err := cancelled(); err != nil {
			return err
		}
		n, err := f.ReadAt(buf[:min(length, int64(len(buf)))], offset)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		offset, length = offset+int64(n), length-int64(n)
		switch {
		case length == 0:
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return nil
}
