package cgi

import (
	"errors"
	"net/http"

	"gatehouse/cgi/spool"
)

// SpoolError makes the StatusError of an error of a spool: 413 for one that is
// full, 503 when all spools together are, or the disk is.
func SpoolError(err error) *StatusError {
	code := http.StatusServiceUnavailable
	if errors.Is(err, spool.ErrFull) {
		code = http.StatusRequestEntityTooLarge
	}
	return &StatusError{Code: code, Err: err}
}
