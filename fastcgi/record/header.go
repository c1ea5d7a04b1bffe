package record

import (
	"encoding/binary"
	"fmt"
)

const (
	// Version1 is the only version of the protocol, the first byte of every
	// record.
	Version1 = 1

	// HeaderLen is the length of a record's header in bytes.
	HeaderLen = 8

	// maxPadding is the most padding, in bytes, that one record holds.
	maxPadding = 255
)

// Header is the header of a record as it lies in memory (FastCGI 1.0 § 3.3):
// version, type, id (16 bits, big-endian), content length (16 bits,
// big-endian), padding length, and a reserved byte, which is ignored. It must
// hold [HeaderLen] bytes or more; their content may be anything. Nothing is
// copied, so a Header is good for as long as the bytes under it.
type Header []byte

// Version returns the protocol version. A record with another one than
// [Version1] says nothing about where the next record starts, so nothing can
// be read after it.
func (h Header) Version() byte { return h[0] }

// Type returns the record's type, known or not.
func (h Header) Type() Type { return Type(h[1]) }

// ID returns the id of the request the record belongs to, 0 for the
// connection itself.
func (h Header) ID() uint16 { return binary.BigEndian.Uint16(h[2:4]) }

// ContentLength returns the bytes of content that follow the header, 0 to
// [MaxContent].
func (h Header) ContentLength() int { return int(binary.BigEndian.Uint16(h[4:6])) }

// PaddingLength returns the bytes to skip after the content, 0 to 255. Records
// of every type may have padding, those without content too.
func (h Header) PaddingLength() int { return int(h[6]) }

// AppendHeader appends the header of a record whose content and padding, in
// bytes, the caller sends behind it. It panics if content is not within 0 to
// [MaxContent] or padding not within 0 to 255.
func AppendHeader(dst []byte, t Type, id uint16, content, padding int) []byte {
	checkSizes(content, padding)
	return append(dst,
		Version1, byte(t),
		byte(id>>8), byte(id),
		byte(content>>8), byte(content),
		byte(padding), 0)
}

// PutHeader writes the same header as [AppendHeader] into dst[:HeaderLen], for
// content that was placed before its length was known. It panics if dst has no
// room for them, and on the sizes that AppendHeader refuses.
func PutHeader(dst []byte, t Type, id uint16, content, padding int) {
	AppendHeader(dst[:0:HeaderLen], t, id, content, padding)
}

// checkSizes panics if a header cannot express these sizes.
func checkSizes(content, padding int) {
	if content < 0 || content > MaxContent {
		panic(fmt.Sprintf("fastcgi: record content of %d bytes; a record holds 0 to %d", content, MaxContent))
	}
	if padding < 0 || padding > maxPadding {
		panic(fmt.Sprintf("fastcgi: record padding of %d bytes; a record holds 0 to %d", padding, maxPadding))
	}
}
