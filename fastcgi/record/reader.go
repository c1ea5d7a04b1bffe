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

	// aheadBytes is how much is read behind a header where the next record is to be left in
	// the source: as much as to read the short ones in between along with it.
	aheadBytes = 512

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
	skip       int // bytes of that record that have not been read from src

	// sparing says that little is read behind a header: the next record is to be left in src.
	sparing bool
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
	header, content, _, err = r.NextOr(0, 0, 0)
	return header, content, err
}

// NextOr is Next, except that it leaves content in the source: of a record of the given type
// and id, if that is least bytes or more, and least is not zero. It returns the content that it
// has read, and how many bytes are left. Whoever reads them from the source reports that to
// Taken. The next call skips the others.
func (r *Reader) NextOr(t Type, id uint16, least int) (header Header, content []byte, left int, err error) {
	r.start += r.last
	r.last = 0
	if least == 0 {
		r.sparing = false
	}
	if err := r.discard(); err != nil {
		return nil, nil, 0, err
	}
	if err := r.fill(HeaderLen); err != nil {
		return nil, nil, 0, err
	}
	header = r.buf[r.start : r.start+HeaderLen]
	if v := header.Version(); v != Version1 {
		return nil, nil, 0, fmt.Errorf("%w but %d", ErrVersion, v)
	}
	contentEnd := HeaderLen + header.ContentLength()
	size := contentEnd + header.PaddingLength()
	if least > 0 {
		r.sparing = header.ContentLength() >= least || r.sparing && size <= aheadBytes
		left = contentEnd - (r.end - r.start)
		if left >= least && header.Type() == t && header.ID() == id {
			r.last, r.skip = r.end-r.start, size-(r.end-r.start)
			record := r.buf[r.start:r.end]
			return Header(record[:HeaderLen:HeaderLen]), record[HeaderLen:len(record):len(record)], left, nil
		}
	}
	if err := r.fill(size); err != nil {
		return nil, nil, 0, err
	}
	r.last = size
	record := r.buf[r.start : r.start+size]
	return Header(record[:HeaderLen:HeaderLen]), record[HeaderLen:contentEnd:contentEnd], 0, nil
}

// Taken says that n bytes of what NextOr has left were read from the source.
func (r *Reader) Taken(n int) { r.skip -= n }

// Buffered returns how many bytes behind the last record have been read from the source.
func (r *Reader) Buffered() int { return r.end - r.start - r.last }

// Ahead returns those bytes. They are good until Next is called.
func (r *Reader) Ahead() []byte { return r.buf[r.start+r.last : r.end] }

// Whole reports whether all of the next record is among them, so that Next reads nothing.
func (r *Reader) Whole() bool {
	h := Header(r.Ahead())
	return len(h) >= HeaderLen && len(h) >= HeaderLen+h.ContentLength()+h.PaddingLength()
}

// discard reads what is left of the last record. Nothing else is in the buffer, before.
func (r *Reader) discard() error {
	for r.skip > 0 {
		if r.start == r.end {
			r.start, r.end = 0, 0
			b := r.buf
			if r.sparing {
				b = b[:min(len(b), r.skip+HeaderLen+aheadBytes)]
			}
			n, err := r.src.Read(b)
			r.end = n
			if n == 0 && err == io.EOF {
				return io.ErrUnexpectedEOF
			}
			if n == 0 && err != nil {
				return err
			}
		}
		n := min(r.skip, r.end-r.start)
		r.start += n
		r.skip -= n
	}
	return nil
}

// fill reads until size bytes of the next record are in the buffer, and what follows them: as
// much as there is room for or, if sparing, little. Bytes that came before an error stay there.
func (r *Reader) fill(size int) error {
	have := r.end - r.start
	if have >= size {
		return nil
	}
	if have == 0 {
		r.start, r.end = 0, 0 // the whole buffer for one large read
	}
	r.makeRoom(size)
	b := r.buf[r.end:]
	if r.sparing {
		b = b[:min(len(b), size-have+aheadBytes)]
	}
	n, err := io.ReadAtLeast(r.src, b, size-have)
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
