package relay

import (
	"net/http"
	"strings"

	"gatehouse/cgi/cgihead"
)

// setForm finds out the form of the body of a whole HTTP response. The connection to the
// client is not the program's, so that nobody else takes a chunked body apart.
func (r *Relay) setForm(h *cgihead.Head) error {
	for _, f := range h.Fields {
		if !strings.EqualFold(f.Name, "Transfer-Encoding") {
			continue
		}
		if r.chunks != nil || !strings.EqualFold(f.Value, "chunked") || h.ContentLength >= 0 {
			return r.errorf(http.StatusBadGateway, "its body has the Transfer-Encoding %.40q: only chunked is known, and that without a Content-Length", f.Value)
		}
		r.chunks = new(chunkedBody)
	}
	if h.Code == http.StatusNoContent || h.Code == http.StatusNotModified || r.NoBody {
		r.chunks = nil // there is no body, whatever its form would be
	}
	return nil
}

// writeChunks passes a piece of a chunked body on.
func (r *Relay) writeChunks(p []byte) error {
	for {
		data, rest, err := r.chunks.next(p)
		if err != nil {
			return r.errorf(http.StatusBadGateway, "%w", err)
		}
		if len(data) > 0 || len(rest) == 0 {
			if err := r.writeBody(data); err != nil {
				return err
			}
		}
		if p = rest; len(p) == 0 {
			return nil
		}
	}
}
