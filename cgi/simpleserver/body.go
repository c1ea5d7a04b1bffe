package simpleserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
)

// A body is the body of a request: as many bytes as its length says or, in Compat,
// the rest of the connection. It outlives the request, so that a goroutine that the
// application left behind reads an error.
type body struct {
	c      *conn
	expect bool // the client waits for "100 Continue"
	raw    bool // there is no end but that of the connection

	reading  sync.Mutex // held during a Read, and by the connection once it is over
	left     int64      // bytes that have not been read
	spool    *spool.Spool
	detached bool
}

// Read implements io.Reader. It waits at most Limits.BodyRead for a byte.
func (b *body) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.detached {
		return 0, cgi.ErrBodyClosed
	}
	if err := b.c.stopCause(); err != nil {
		return 0, err
	}
	if b.spool != nil {
		n, err := b.spool.Read(p)
		if err != nil && err != io.EOF {
			err = cgi.SpoolError(err)
		}
		return n, err
	}
	if !b.raw && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if !b.raw && b.left == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.expect && b.c.in.Buffered() == 0 {
		b.expect = false
		b.c.sink.writeContinue()
	}
	b.c.startReadLimit(b.c.srv.limits.BodyRead)
	n, err := b.c.in.Read(p)
	b.left -= int64(n)
	if n > 0 || err == nil {
		return n, nil
	}
	return 0, b.readError(err)
}

// readError gives an error of reading its meaning.
func (b *body) readError(err error) error {
	stopped := b.c.stopCause()
	switch {
	case err == io.EOF && b.raw:
		return io.EOF
	case stopped != nil:
		return stopped
	case err == io.EOF:
		return &cgi.StatusError{Code: http.StatusBadRequest,
			Err: fmt.Errorf("the body ended %d bytes before its length: %w", b.left, io.ErrUnexpectedEOF)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		if b.c.ownRead() {
			return err
		}
		return &cgi.StatusError{Code: http.StatusRequestTimeout,
			Err: fmt.Errorf("the client sent no byte of the body for %v (body_read)", b.c.srv.limits.BodyRead), Check: "body_read"}
	}
	return fmt.Errorf("%w: %w", cgi.ErrAborted, err)
}

// Close implements io.Closer: it ends the reading, also one that is under way.
func (b *body) Close() error {
	b.c.stopReading(cgi.ErrBodyClosed)
	return nil
}

// detach closes the body for good.
func (b *body) detach() {
	b.c.stopReading(cgi.ErrBodyClosed)
	b.reading.Lock()
	defer b.reading.Unlock()
	b.detached = true
	if b.spool != nil {
		b.spool.Close()
		b.spool = nil
	}
}
