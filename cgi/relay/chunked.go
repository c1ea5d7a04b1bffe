package relay

import (
	"bytes"
	"errors"
	"strconv"
)

// chunkLine bounds the line before a chunk, and each line after the last one, in bytes.
const chunkLine = 4 << 10

// errChunk is for a body that is not chunked as it says.
var errChunk = errors.New("its body is not chunked as RFC 9112 § 7.1 has it")

// A chunkedBody takes a chunked body apart (RFC 9112 § 7.1), in pieces of any size.
// Chunk extensions and trailers are dropped.
type chunkedBody struct {
	state chunkState
	left  int64  // of the data of this chunk
	line  []byte // what there is of a line that is not complete
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkData
	chunkEnd // the empty line after the data
	chunkTrailer
	chunkDone
)

// next returns the next piece of data in b, which may be empty, and what is left of b
// after it. There is nothing more to return once rest is empty, or at the end of the body,
// after which b is dropped.
func (c *chunkedBody) next(b []byte) (data, rest []byte, err error) {
	switch c.state {
	case chunkDone:
		return nil, nil, nil
	case chunkData:
		n := min(int64(len(b)), c.left)
		if c.left -= n; c.left == 0 {
			c.state = chunkEnd
		}
		return b[:n], b[n:], nil
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		i = len(b)
		rest = nil
	} else {
		rest = b[i+1:]
	}
	if len(c.line)+i > chunkLine {
		return nil, nil, errChunk
	}
	c.line = append(c.line, b[:i]...)
	if i == len(b) {
		return nil, nil, nil
	}
	line := bytes.TrimSuffix(c.line, []byte("\r"))
	c.line = c.line[:0]
	return nil, rest, c.endLine(line)
}

// endLine takes a whole line.
func (c *chunkedBody) endLine(line []byte) error {
	switch {
	case c.state == chunkSize:
		return c.beginChunk(line)
	case c.state == chunkEnd && len(line) > 0:
		return errChunk
	case c.state == chunkEnd:
		c.state = chunkSize
	case len(line) == 0:
		c.state = chunkDone
	}
	return nil
}

// beginChunk takes the line with the size of a chunk.
func (c *chunkedBody) beginChunk(line []byte) error {
	size, _, _ := bytes.Cut(line, []byte(";"))
	size = bytes.TrimRight(size, " \t")
	if len(size) == 0 || len(size) > 15 {
		return errChunk
	}
	n, err := strconv.ParseUint(string(size), 16, 63)
	if err != nil {
		return errChunk
	}
	c.left = int64(n)
	c.state = chunkData
	if c.left == 0 {
		c.state = chunkTrailer
	}
	return nil
}

// done reports whether the body has come to its end.
func (c *chunkedBody) done() bool { return c.state == chunkDone }
