package cgi

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// A programBody is the part of standard input that belongs to the request.
type programBody struct {
	r      io.Reader
	left   int64 // bytes to come; -1: until the end of r
	read   int64
	limit  int64
	closed atomic.Bool

	reading sync.Mutex // held by a Read that is under way
}

// Read implements io.Reader.
func (b *programBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	switch {
	case b.closed.Load():
		return 0, ErrBodyClosed
	case b.left == 0:
		return 0, io.EOF
	case b.left > 0 && int64(len(p)) > b.left:
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.read += int64(n)
	if b.left > 0 {
		b.left -= int64(n)
		if err == io.EOF && b.left > 0 {
			err = fmt.Errorf("the body ended %d bytes before its length: %w", b.left, io.ErrUnexpectedEOF)
		}
		if b.left == 0 {
			err = nil
		}
	} else if b.read > b.limit {
		n -= int(b.read - b.limit)
		b.read, err = b.limit, tooLarge(b.limit)
		b.left = 0
	}
	return n, err
}

// Close implements io.Closer. Nothing can interrupt a Read that is under way.
func (b *programBody) Close() error {
	b.closed.Store(true)
	return nil
}

// drain reads what the application has left of the body, if standard input is a socket, as
// under Apache's mod_cgid. Exiting with bytes unread would reset it, and the web server
// might lose the end of the response. drain waits at most lingerTime, as nobody may be
// sending, and not at all for a Read that is under way.
func (b *programBody) drain() {
	f, ok := b.r.(*os.File)
	if !ok || !b.reading.TryLock() {
		return
	}
	defer b.reading.Unlock()
	if b.left == 0 {
		return
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	drainSocket(f, b.left)
}
