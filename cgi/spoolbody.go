package cgi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"gatehouse/cgi/spool"
)

// spoolBuffer is small, since each client that sends slowly holds one.
const spoolBuffer = 16 << 10

var spoolBuffers = sync.Pool{New: func() any { return new([spoolBuffer]byte) }}

// SpoolBody reads the body of r to its end and keeps it, for an application that has to be
// told the length. The caller closes the Spool. Without one the error wraps a
// *StatusError: what [SpoolError] returns for a body that cannot be kept, and [BodyError] for
// one that failed.
func SpoolBody(r *Request, l spool.Limits) (*spool.Spool, error) {
	s := spool.New(l)
	buf := spoolBuffers.Get().(*[spoolBuffer]byte)
	defer spoolBuffers.Put(buf)
	for {
		n, rerr := r.Body.Read(buf[:])
		if n > 0 {
			if _, err := s.Write(buf[:n]); err != nil {
				s.Close()
				return nil, fmt.Errorf("body of unknown length: %w", SpoolError(err))
			}
		}
		if rerr == io.EOF {
			return s, nil
		}
		if rerr != nil {
			s.Close()
			return nil, BodyError(rerr)
		}
	}
}

// BodyError returns the error of a request for one of its Body: the error itself if it has
// a status or the web server gave up, else a StatusError of 400, as what came is not what
// was announced.
func BodyError(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	var se *StatusError
	if errors.As(err, &se) || errors.Is(err, ErrAborted) {
		return err
	}
	return &StatusError{Code: http.StatusBadRequest, Err: err}
}
