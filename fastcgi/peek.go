package fastcgi

import (
	"gatehouse/fastcgi/record"
)

// lookAhead looks for an ABORT_REQUEST among the records that stand in the socket while
// the loop waits for a body to be read: nobody reads them, and what is given up would
// work on. mu is held, and the loop waits in watch, so that its input stands still.
func (c *conn) lookAhead() {
	n := c.sock.Queued()
	if n == c.queued {
		return // all of it has been looked at
	}
	c.queued = n
	all := [2][]byte{c.in.buffered(), c.sock.PeekQueued(n)}
	for at := c.in.left + c.in.pad; ; {
		h, ok := headerAt(all, at)
		if !ok || h.Version() != record.Version1 {
			return
		}
		if h.Type() == record.AbortRequest {
			if r := c.find(h.ID()); r != nil && r.ready {
				r.abort(ErrRequestAborted)
				c.cond.Broadcast()
			}
		}
		at += record.HeaderLen + h.ContentLength() + h.PaddingLength()
	}
}

// headerAt returns the header at an offset of two parts that follow each other.
func headerAt(parts [2][]byte, at int) (record.Header, bool) {
	var h [record.HeaderLen]byte
	if at+len(h) > len(parts[0])+len(parts[1]) {
		return nil, false
	}
	n := 0
	if at < len(parts[0]) {
		n = copy(h[:], parts[0][at:])
		at = len(parts[0])
	}
	copy(h[n:], parts[1][at-len(parts[0]):])
	return h[:], true
}
