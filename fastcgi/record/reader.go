package record

import (
	"errors"
	"fmt"
	"io"
)

// ErrVersion is returned by Reader for a record of another version than
// Version1: the peer speaks another protocol, or broke off its answer by a
// record that cannot be read.
var ErrVersion = errors.New("fastcgi: record version is not 1")

const (
	// readerMin is the size in bytes of a Reader's first buffer.
	readerMin = 4096

	// readerMax is the size in bytes of the largest record there is, and of
	// the second and last buffer of a Reader.
	readerMax = HeaderLen + MaxContent + maxPadding
)

// Reader reads records one after the other. It reads ahead, so what follows
// the last record is not left in the source. It keeps one buffer, of 4096
// bytes until a record needs more, then of 65798, the size of the largest
// record. It is meant for one goroutine and does not close its source.
type Reader struct {
	src        io.Reader
	buf        []byte
	start, end int // the bytes read and not yet consumed are buf[start:end]
	last       int // bytes of the record that Next returned last, at start
}

// NewReader returns a Reader that takes its bytes from src.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src}
}

// Next returns the next record, whole: its padding, of which any type may
// have 0 to 255 bytes, has been read as well. Header and content lie in the
// Reader's buffer and are good until Next is called again. Types and ids are
// not checked.
//
// Between two records the end of the source is [io.EOF], inside of one it is
// [io.ErrUnexpectedEOF]. A version other than 1 is an error that wraps
// [ErrVersion] and comes again with every call. Any other error is the
// source's own, unchanged; after a timeout Next may be called again and loses
// no byte. With an error, header and content are nil.
func (r *Reader) Next() (header Header, content []byte, err error) {
	r.start += r.last
	r.last = 0
	if err := r.fill(HeaderLen); err != nil {
		return nil, nil, err
	}
	header = r.buf[r.start : r.start+HeaderLen]
	if v := header.Version(); v != Version1 {
		return nil, nil, fmt.Errorf("%w but %d", ErrVersion, v)
	}
	contentEnd := HeaderLen + header.ContentLength()
	size := contentEnd + header.PaddingLength()
	if err := r.fill(size); err != nil {
		return nil, nil, err
	}
	r.last = size
	record := r.buf[r.start : r.start+size]
	return Header(record[:HeaderLen:HeaderLen]), record[HeaderLen:contentEnd:contentEnd], nil
}

// Buffered returns how many bytes behind the last record have been read from the source.
func (r *Reader) Buffered() int { return r.end - r.start - r.last }

// fill reads until size bytes of the next record are in the buffer. Bytes that
// came before an error stay there.
func (r *Reader) fill(size int) error {
	have := r.end - r.start
	if have >= size {
		return nil
	}
	if have == 0 {
		r.start, r.end = 0, 0 // the whole buffer for one large read
	}
	r.makeRoom(size)
	n, err := io.ReadAtLeast(r.src, r.buf[r.end:], size-have)
	r.end += n
	if err == io.EOF && have > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// makeRoom sees to it that size bytes from start on fit the buffer.
func (r *Reader) makeRoom(size int) {
	if r.start+size <= len(r.buf) {
		return
	}
	unread := r.buf[r.start:r.end]
	if size > len(r.buf) {
		length := readerMin
		if size > readerMin {
			length = readerMax
		}
		r.buf = make([]byte, length)
	}
	r.start, r.end = 0, copy(r.buf, unread)
}
