package scgi

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"gatehouse/internal/wrongport"
)

// Errors of a head.
var (
	// ErrMalformed is wrapped by every error about bytes that are no SCGI request.
	ErrMalformed = errors.New("malformed SCGI request")
	// ErrTooLarge is wrapped when a head is over its limit, in bytes or variables.
	ErrTooLarge = errors.New("SCGI head is too large")
)

// AppendNetstring appends data as a netstring: its length in ASCII digits, a
// colon, the bytes, and a comma.
func AppendNetstring(dst, data []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(data)), 10)
	dst = append(dst, ':')
	dst = append(dst, data...)
	return append(dst, ',')
}

// ParseLength reads the length at the beginning of a netstring, and returns it
// with the size of its text, the colon included. A size of 0 without an error
// says that b ends before the colon.
//
// The length is digits only, at least one, without a leading zero unless it is 0.
// One over limit is ErrTooLarge as soon as its digits show it, so that nothing is
// kept, nor allocated, for it.
func ParseLength(b []byte, limit int) (length, size int, err error) {
	for i, c := range b {
		switch {
		case c == ':' && i > 0:
			return length, i + 1, nil
		case c == ':':
			return 0, 0, fmt.Errorf("%w: the netstring has no length before its colon", ErrMalformed)
		case c < '0' || c > '9':
			if peer := wrongport.Recognize(wrongport.SCGI, b); peer != nil {
				return 0, 0, fmt.Errorf("%w: %w", ErrMalformed, peer)
			}
			return 0, 0, fmt.Errorf("%w: byte %#02x where a netstring has a digit or a colon", ErrMalformed, c)
		case i > 0 && length == 0:
			return 0, 0, fmt.Errorf("%w: the length of the netstring has a leading zero", ErrMalformed)
		}
		d := int(c - '0')
		if length > (limit-d)/10 || d > limit {
			return 0, 0, fmt.Errorf("%w: %.20q… is over %d bytes", ErrTooLarge, b[:i+1], limit)
		}
		length = length*10 + d
	}
	return length, 0, nil
}

// ParseNetstring splits b after the netstring at its beginning. The data shares
// its memory. A b that ends within the netstring is io.ErrUnexpectedEOF; for
// limit see ParseLength.
func ParseNetstring(b []byte, limit int) (data, rest []byte, err error) {
	n, size, err := ParseLength(b, limit)
	if err != nil {
		return nil, nil, err
	}
	if size == 0 || len(b)-size <= n {
		return nil, nil, io.ErrUnexpectedEOF
	}
	if err := checkComma(b[size+n]); err != nil {
		return nil, nil, err
	}
	return b[size : size+n], b[size+n+1:], nil
}

func checkComma(c byte) error {
	if c != ',' {
		return fmt.Errorf("%w: byte %#02x where the netstring ends with a comma", ErrMalformed, c)
	}
	return nil
}
