package relay

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/cgi"
)

// splices reports whether output can be moved on without a copy: the body, as it is.
func (r *Relay) splices() bool {
	return r.headDone && r.redirect == "" && r.chunks == nil && !r.overrun
}

// splice passes on n bytes that are in the pipe.
func (r *Relay) splice(n int) error {
	r.Sending.SetSending(true)
	_, err := cgi.SendPipe(r.Response, r.pipe.Fd(), n)
	r.Sending.SetSending(false)
	switch {
	case err == nil:
		if r.unflushed {
			r.unflushed = false
			r.Output.SetReadDeadline(time.Time{})
		}
		return nil
	case errors.Is(err, http.ErrNotSupported):
		r.pipe = nil // the front-end takes nothing from a pipe
		return nil
	}
	return err
}
