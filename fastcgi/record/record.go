package record

import (
	"slices"
	"strconv"
)

const (
	// MaxContent is the most content, in bytes, that one record holds: its
	// length is a 16-bit number (FastCGI 1.0 § 3.3).
	MaxContent = 65535

	// MaxAligned is the largest multiple of 8 that is not above MaxContent.
	// Streams are split there, so that full records need no padding.
	MaxAligned = 65528

	// ListenSockFileno is the descriptor on which an application is given its
	// listening socket (FastCGI 1.0 § 2.2).
	ListenSockFileno = 0

	// KeepConn is the flag of BEGIN_REQUEST that asks the application to
	// leave the connection open after END_REQUEST (FastCGI 1.0 § 5.1). The
	// other flag bits have no meaning.
	KeepConn = 1
)

// Type says what a record is (FastCGI 1.0 § 8). Any other number is legal on
// the wire and has no meaning.
type Type uint8

// The record types.
const (
	BeginRequest    Type = 1
	AbortRequest    Type = 2
	EndRequest      Type = 3
	Params          Type = 4
	Stdin           Type = 5
	Stdout          Type = 6
	Stderr          Type = 7
	Data            Type = 8
	GetValues       Type = 9
	GetValuesResult Type = 10
	UnknownType     Type = 11
)

var typeNames = [...]string{
	BeginRequest:    "FCGI_BEGIN_REQUEST",
	AbortRequest:    "FCGI_ABORT_REQUEST",
	EndRequest:      "FCGI_END_REQUEST",
	Params:          "FCGI_PARAMS",
	Stdin:           "FCGI_STDIN",
	Stdout:          "FCGI_STDOUT",
	Stderr:          "FCGI_STDERR",
	Data:            "FCGI_DATA",
	GetValues:       "FCGI_GET_VALUES",
	GetValuesResult: "FCGI_GET_VALUES_RESULT",
	UnknownType:     "FCGI_UNKNOWN_TYPE",
}

// String returns the specification's name, such as FCGI_STDIN, or "type 12"
// for a number that has none.
func (t Type) String() string {
	if t >= BeginRequest && t <= UnknownType {
		return typeNames[t]
	}
	return "type " + strconv.Itoa(int(t))
}

// IsManagement reports whether t is one of the three management types
// (FastCGI 1.0 § 4), which belong to the connection and travel with id 0. It
// does not look at the id: a number without a meaning is a management record
// too when it comes with id 0, and is answered by UNKNOWN_TYPE.
func (t Type) IsManagement() bool {
	return t >= GetValues && t <= UnknownType
}

// Padding returns how many bytes, 0 to 7, bring content up to a multiple
// of 8.
func Padding(content int) int {
	return -content & 7
}

// zeros is what padding is made of.
var zeros [8]byte

// AppendRecord appends one record with its content, padded to a multiple of 8.
// An empty content ends a stream. It panics if content has more than
// [MaxContent] bytes.
//
// Content of more than [MaxAligned] bytes brings content and padding to 65536
// together. The format allows that, but a peer may hold both in a buffer of
// 65535 bytes; [AppendStream] never does it.
func AppendRecord(dst []byte, t Type, id uint16, content []byte) []byte {
	padding := Padding(len(content))
	dst = AppendHeader(slices.Grow(dst, HeaderLen+len(content)+padding), t, id, len(content), padding)
	dst = append(dst, content...)
	return append(dst, zeros[:padding]...)
}

// AppendStream appends data as records of type t with at most [MaxAligned]
// bytes of content each. It does not end the stream, and appends nothing if
// data is empty: an empty record is the end, which is for the caller to send.
func AppendStream(dst []byte, t Type, id uint16, data []byte) []byte {
	records := (len(data) + MaxAligned - 1) / MaxAligned
	dst = slices.Grow(dst, records*HeaderLen+len(data)+Padding(len(data)))
	for len(data) > MaxAligned {
		dst = AppendRecord(dst, t, id, data[:MaxAligned])
		data = data[MaxAligned:]
	}
	if len(data) > 0 {
		dst = AppendRecord(dst, t, id, data)
	}
	return dst
}

// AppendUnknownType appends the answer to a management record of a type that
// the receiver does not know (FastCGI 1.0 § 4.2): UNKNOWN_TYPE with id 0 and
// t in its body.
func AppendUnknownType(dst []byte, t Type) []byte {
	dst = AppendHeader(dst, UnknownType, 0, bodyLen, 0)
	return append(dst, byte(t), 0, 0, 0, 0, 0, 0, 0)
}
