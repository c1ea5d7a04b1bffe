package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrTruncatedPair is returned by NextPair when the bytes it was given end
// before the pair does. At the end of a stream that is a protocol error;
// before it, the rest may still come.
var ErrTruncatedPair = errors.New("fastcgi: name-value pair is cut short")

const (
	shortLengthMax = 127           // the largest length that fits one byte
	longLengthBit  = 0x80          // set in the first byte of a four-byte length
	lengthMax      = math.MaxInt32 // the largest length there is: 31 bits
)

// AppendPair appends a name-value pair (FastCGI 1.0 § 3.4): both lengths, each
// in its shortest form, one byte up to 127 and four bytes above, then name and
// value. Both may hold any bytes. It panics if one of them is longer than
// 2147483647 bytes.
func AppendPair(dst []byte, name, value string) []byte {
	if len(name) <= shortLengthMax && len(value) <= shortLengthMax {
		dst = append(dst, byte(len(name)), byte(len(value)))
		return append(append(dst, name...), value...)
	}
	dst = appendLength(dst, uint64(len(name)))
	dst = appendLength(dst, uint64(len(value)))
	dst = append(dst, name...)
	return append(dst, value...)
}

func appendLength(dst []byte, n uint64) []byte {
	if n <= shortLengthMax {
		return append(dst, byte(n))
	}
	if n > lengthMax {
		panic(fmt.Sprintf("fastcgi: name or value of %d bytes; a pair holds up to %d of each", n, lengthMax))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n)|longLengthBit<<24)
}

// NextPair splits the first pair off p, which holds pairs as they lie in the
// content of PARAMS, GET_VALUES or GET_VALUES_RESULT, joined over the
// boundaries of records: a pair may straddle them at any byte. All pairs are
// read by
//
//	for len(p) > 0 {
//		name, value, rest, err := record.NextPair(p)
//		...
//		p = rest
//	}
//
// The three results share the memory of p; append to none of them. A pair that
// reaches beyond p, at whatever byte p ends, is [ErrTruncatedPair], with all
// three results empty; so is an empty p. Nothing is allocated, and no result
// is longer than p, so a limit on p is the limit on names and values,
// whatever lengths it announces.
//
// A length of less than 128 in four bytes is accepted. A name of zero length
// is returned as such, as are names and values with NUL bytes, and repeated
// names: which of them to refuse is up to the decoder above.
func NextPair[T ~string | ~[]byte](p T) (name, value, rest T, err error) {
	nameLen, n := pairLength(p)
	valueLen, m := pairLength(p[n:])
	if n == 0 || m == 0 {
		return name, value, rest, ErrTruncatedPair
	}
	body := p[n+m:]
	// Two 31-bit lengths do not fit 32 bits together: the sum is taken in 64
	// on every machine, and before either is used as an index.
	if nameLen+valueLen > uint64(len(body)) {
		return name, value, rest, ErrTruncatedPair
	}
	end := nameLen + valueLen
	return body[:nameLen], body[nameLen:end], body[end:], nil
}

// pairLength reads the length at the start of p and returns it with the bytes
// it took, 1 or 4; 0 if p ends before the length does.
func pairLength[T ~string | ~[]byte](p T) (length uint64, size int) {
	switch {
	case len(p) >= 1 && p[0] < longLengthBit:
		return uint64(p[0]), 1
	case len(p) >= 4:
		return uint64(p[0]&^longLengthBit)<<24 | uint64(p[1])<<16 | uint64(p[2])<<8 | uint64(p[3]), 4
	}
	return 0, 0
}
