package fastcgi

import (
	"errors"
	"fmt"
	"io"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/frontend"
	"gatehouse/internal/wrongport"
)

// A protocolError ends a connection: the peer broke a rule after which nothing it
// sends can be understood.
type protocolError struct{ reason string }

func (e *protocolError) Error() string { return e.reason }

func malformed(format string, args ...any) error {
	return &protocolError{fmt.Sprintf(format, args...)}
}

// An input reads records part by part. It belongs to whoever reads
// the connection.
type input struct {
	sock *frontend.Socket
	buf  *frontend.Buffer // nil while nothing is buffered and nobody reads
	r, w int              // buf[r:w] is buffered

	open bool        // a header has been read, and the record is not at its end
	typ  record.Type // of the open record; 0 before the first one
	id   uint16
	left int // bytes of its content that were not taken yet
	pad  int // bytes of padding after them

	size  int  // of the last record's content
	short bool // read no more than a header
}

func (in *input) buffered() []byte {
	if in.buf == nil {
		return nil
	}
	return in.buf[in.r:in.w]
}

// release gives the buffer back if it is empty.
func (in *input) release() {
	if in.buf != nil && in.r == in.w {
		frontend.PutBuffer(in.buf)
		in.buf, in.r, in.w = nil, 0, 0
	}
}

// fill waits for bytes and buffers them. There must be room.
func (in *input) fill() error {
	in.release()
	if in.buf == nil {
		return in.fillFirst()
	}
	if in.r > 0 {
		copy(in.buf[:], in.buf[in.r:in.w])
		in.r, in.w = 0, in.w-in.r
	}
	room := in.buf[in.w:]
	if in.short {
		room = room[:record.HeaderLen]
	}
	n, err := in.sock.Read(room)
	in.w += n
	if n > 0 {
		return nil
	}
	return err
}

// fillFirst is fill with nothing buffered yet.
func (in *input) fillFirst() error {
	var buf *frontend.Buffer
	var n int
	var err error
	if in.short {
		buf, n, err = in.sock.ReadFew(record.HeaderLen)
	} else {
		buf, n, err = in.sock.ReadFirst()
	}
	if err == nil {
		in.buf, in.r, in.w = buf, 0, n
	}
	return err
}

// need fills until n bytes are buffered; n is small.
func (in *input) need(n int) error {
	for in.w-in.r < n {
		if err := in.fill(); err != nil {
			if err == io.EOF && in.w > in.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// header reads the header of the next record.
func (in *input) header() error {
	if err := in.need(record.HeaderLen); err != nil {
		return err
	}
	h := record.Header(in.buf[in.r:in.w])
	if h.Version() != record.Version1 {
		if in.typ == 0 { // nothing has come before
			if peer := wrongport.Recognize(wrongport.FastCGI, in.buffered()); peer != nil {
				return peer
			}
		}
		return malformed("not a FastCGI 1 record: version byte is %d", h.Version())
	}
	in.open, in.typ, in.id = true, h.Type(), h.ID()
	in.left, in.pad = h.ContentLength(), h.PaddingLength()
	in.size = in.left
	in.r += record.HeaderLen
	return nil
}

// content returns what is buffered of the open record's content, and reads if
// nothing is.
func (in *input) content() ([]byte, error) {
	if in.r == in.w {
		if err := in.fill(); err != nil {
			return nil, inRecord(err)
		}
	}
	b := in.buffered()
	return b[:min(len(b), in.left)], nil
}

// readInto reads content of the open record straight into p, which is no longer than
// what is left of it. Nothing is buffered. With the end of the content comes what
// follows: of a long record no more than the next header, so that its content is not
// buffered either.
func (in *input) readInto(p []byte) (n int, err error) {
	in.release()
	if len(p) < in.left || !in.sock.CanReadVector() {
		n, err = in.sock.Read(p)
	} else {
		window := frontend.BufferSize
		if len(p) >= window {
			window = in.pad + record.HeaderLen
		}
		n, in.buf, in.w, err = in.sock.ReadVector(p, window)
	}
	in.left -= n
	if n > 0 {
		return n, nil
	}
	return 0, inRecord(err)
}

// consume marks n bytes of content as taken.
func (in *input) consume(n int) { in.r, in.left = in.r+n, in.left-n }

// An open record of which the rest is of no interest counts as one of this type and id,
// which no request has any use for.
const (
	discard   record.Type = 0xff
	discardID uint16      = 0xffff
)

// finish skips the rest of the open record, its padding included. It may be
// called again, or left to step, after a kick.
func (in *input) finish() error {
	in.typ, in.id = discard, discardID
	in.left, in.pad = in.left+in.pad, 0
	for in.left > 0 {
		b, err := in.content()
		if err != nil {
			return err
		}
		in.consume(len(b))
	}
	in.open = false
	return nil
}

// peekIs reports whether the next record is buffered as far as its header, and
// has the given type and id, and how long its content is.
func (in *input) peekIs(t record.Type, id uint16) (length int, ok bool) {
	b := in.buffered()
	if in.open || len(b) < record.HeaderLen {
		return 0, false
	}
	h := record.Header(b)
	if h.Version() != record.Version1 || h.Type() != t || h.ID() != id {
		return 0, false
	}
	return h.ContentLength(), true
}

// inRecord is the error for a connection that ends in the middle of a record.
func inRecord(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
