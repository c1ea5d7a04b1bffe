package simpleserver

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"gatehouse/cgi/internal/syntax"
	"gatehouse/cgi/spool"
)

// chunkLine bounds the line of a chunk's size, in bytes. The extensions in it are
// not looked at.
const chunkLine = 4 << 10

var (
	errChunk   = &requestError{code: 400, explain: "malformed chunked body"}
	errBareLF  = &requestError{code: 400, explain: "malformed chunked body: a line ends in LF without CR"}
	errChunked = &requestError{code: 400, explain: "the chunked body broke off"}
)

// decodeChunked reads a chunked body (RFC 9112 § 7.1) into a spool, and drops its
// trailer fields. All its lines end in CR LF: a proxy in front that disagrees about what a
// bare LF ends could be made to see other requests than this server does. The error is a *requestError, one of the spool, or one of in. The
// caller closes the spool.
func decodeChunked(in *bufio.Reader, to *spool.Spool, limit int64, l headLimits) error {
	r := &headReader{headLimits: l, in: in}
	var total int64
	for {
		size, err := r.chunkSize()
		if err != nil {
			return err
		}
		if size == 0 {
			return r.trailer()
		}
		if size > limit-total {
			return tooLarge(limit)
		}
		total += size
		if _, err := io.CopyN(to, in, size); err != nil {
			return brokenOff(err)
		}
		line, err := r.readLine(2)
		switch {
		case err == errLineTooLong:
			return errChunk
		case err != nil:
			return brokenOff(err)
		}
		text, err := lineText(line)
		if err != nil {
			return err
		}
		if text != "" {
			return errChunk
		}
	}
}

// lineText returns a line of a chunked body without its end, which is CR LF.
func lineText(line []byte) (string, error) {
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return "", errBareLF
	}
	return text, nil
}

// brokenOff makes the error of a body that ends too early.
func brokenOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errChunked
	}
	return err
}

// chunkSize reads the line in front of a chunk.
func (r *headReader) chunkSize() (int64, error) {
	line, err := r.readLine(chunkLine)
	if err == errLineTooLong {
		return 0, errChunk
	}
	if err != nil {
		return 0, brokenOff(err)
	}
	text, err := lineText(line)
	if err != nil {
		return 0, err
	}
	digits, _, _ := strings.Cut(text, ";")
	digits = strings.TrimRight(digits, " \t")
	if digits == "" || len(digits) > 15 || strings.IndexByte(text, '\r') >= 0 {
		return 0, errChunk
	}
	var n int64
	for i := 0; i < len(digits); i++ {
		d := syntax.Unhex(digits[i])
		if d < 0 {
			return 0, errChunk
		}
		n = n<<4 | int64(d)
	}
	return n, nil
}

// trailer reads the lines behind the last chunk, within the bounds of a head.
func (r *headReader) trailer() error {
	r.read = 0
	for n := 0; ; n++ {
		line, err := r.fieldLine(n)
		if err != nil {
			return brokenOff(err)
		}
		text, err := lineText(line)
		if err != nil || text == "" {
			return err
		}
		if n == r.count {
			return r.tooMany()
		}
	}
}
