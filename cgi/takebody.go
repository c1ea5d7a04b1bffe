package cgi

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"sync"

	"gatehouse/cgi/spool"
)

// BodyAhead is how much of a body TakeBody waits for: 64 KiB.
const BodyAhead = 64 << 10

// takenBuffer is small, since each client that sends slowly holds one.
const takenBuffer = 16 << 10

var takenBuffers = sync.Pool{New: func() any { return new([takenBuffer]byte) }}

// A TakenBody is the body of a request, with its length known, of which a part has come before
// its application gets the request. TakeBody makes one. It must not be copied once it is read,
// and is not safe for concurrent use.
type TakenBody struct {
	Length int64 // of the whole body

	left   int64              // to be read
	buffer *[takenBuffer]byte // nil if nothing is in it
	held   []byte             // unread, of buffer: behind what the spool holds
	spool  *spool.Spool       // nil for none
	rest   io.Reader          // where what has not come is read; nil if all has
}

// TakeBody returns the body of r once it has come or, of one that is longer, its first BodyAhead
// bytes. An application that calls it before it takes what others wait for, such as a place
// among the processes, leaves none of that to clients that send slowly. A body of unknown
// length is read to its end, for an application that has to be told the length. If streaming
// is set, nothing of a body whose length is known is waited for.
//
// Up to 16 KiB stay in a buffer, and more goes to a spool with these limits. The caller calls
// Close. The error wraps a *StatusError: what [SpoolError] returns for a body that cannot be
// kept, and [BodyError] for one that failed.
func TakeBody(r *Request, l spool.Limits, streaming bool) (TakenBody, error) {
	l = l.WithDefaults()
	b := TakenBody{Length: r.ContentLength, left: r.ContentLength}
	var err error
	switch {
	case b.Length < 0:
		b.Length, err = b.take(r.Body, math.MaxInt64, l)
		b.left = b.Length
		if err == io.EOF {
			err = nil
		}
	case b.Length > 0:
		var taken int64
		if !streaming {
			taken, err = b.take(r.Body, min(b.Length, BodyAhead, l.Max), l)
		}
		if taken < b.Length {
			b.rest = r.Body
		}
	}
	if err != nil {
		b.Close()
		return TakenBody{}, BodyError(err)
	}
	return b, nil
}

// TakeWholeBody is TakeBody for an application that is not to wait for any of the body: it
// returns once all of it has come. A body that is longer than the spool may hold is refused
// before it is read.
func TakeWholeBody(r *Request, l spool.Limits) (TakenBody, error) {
	l = l.WithDefaults()
	if r.ContentLength > l.Max {
		return TakenBody{}, SpoolError(fmt.Errorf("body that its application waits for: %w: it may hold %d bytes", spool.ErrFull, l.Max))
	}
	if r.ContentLength <= 0 {
		return TakeBody(r, l, false)
	}
	b := TakenBody{Length: r.ContentLength, left: r.ContentLength}
	if taken, err := b.take(r.Body, b.Length, l); taken < b.Length {
		b.Close()
		return TakenBody{}, BodyError(err)
	}
	return b, nil
}

// take reads want bytes of the body, and returns how many it has read: fewer with an error,
// which is io.EOF at the end. A small body stays in the buffer, so that one that has come
// with its request costs nothing more.
func (b *TakenBody) take(from io.Reader, want int64, l spool.Limits) (taken int64, err error) {
	b.buffer = takenBuffers.Get().(*[takenBuffer]byte)
	size, held := int(min(takenBuffer, l.Max)), 0
	for taken < want && err == nil {
		if held == size {
			if err := b.spill(b.buffer[:held], l); err != nil {
				return taken, err
			}
			held = 0
		}
		var n int
		n, err = from.Read(b.buffer[held:min(int64(size), int64(held)+want-taken)])
		held += n
		taken += int64(n)
	}
	if taken == want {
		err = nil
	}
	if b.spool != nil {
		if err := b.spill(b.buffer[:held], l); err != nil {
			return taken, err
		}
		held = 0
	}
	if b.held = b.buffer[:held]; held == 0 {
		b.freeBuffer()
	}
	return taken, err
}

// spill moves what the buffer holds to the spool.
func (b *TakenBody) spill(p []byte, l spool.Limits) error {
	if b.spool == nil {
		b.spool = spool.New(l)
	}
	if _, err := b.spool.Write(p); err != nil {
		return fmt.Errorf("body that its application waits for: %w", SpoolError(err))
	}
	return nil
}

func (b *TakenBody) freeBuffer() {
	if b.buffer != nil {
		takenBuffers.Put(b.buffer)
		b.buffer, b.held = nil, nil
	}
}

// Ahead returns how many bytes have come and are not read yet: a Read of these does not wait.
func (b *TakenBody) Ahead() int64 {
	n := int64(len(b.held))
	if b.spool != nil {
		n += b.spool.Len()
	}
	return n
}

// Spooled reports whether there is a spool for Close to give back.
func (b *TakenBody) Spooled() bool { return b.spool != nil }

// Rest returns what the bytes that have not come are read from, which may be read directly once
// Ahead is 0, or nil if all have.
func (b *TakenBody) Rest() io.Reader { return b.rest }

// File returns the file that has the whole body, with its offset at the beginning, or nil if
// there is none.
func (b *TakenBody) File() *os.File {
	if b.spool == nil || b.rest != nil {
		return nil
	}
	return b.spool.File()
}

// Read implements io.Reader. The error of what has not come is that of Request.Body.
func (b *TakenBody) Read(p []byte) (n int, err error) {
	switch {
	case b.left == 0:
		return 0, io.EOF
	case b.spool != nil && b.spool.Len() > 0:
		n, err = b.spool.Read(p)
	case len(b.held) > 0:
		n = copy(p, b.held)
		if b.held = b.held[n:]; len(b.held) == 0 {
			b.freeBuffer()
		}
	default:
		n, err = b.rest.Read(p[:min(int64(len(p)), b.left)])
	}
	if b.left -= int64(n); err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close gives back what is kept of the body. It does not end a Read of the rest, as
// Request.CloseBody does.
func (b *TakenBody) Close() error {
	b.freeBuffer()
	if b.spool != nil {
		b.spool.Close()
	}
	return nil
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
