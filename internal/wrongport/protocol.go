package wrongport

import (
	"bytes"
	"encoding/binary"
	"strings"

	"gatehouse/fastcgi/record"
)

// A Protocol is what a listener or a peer speaks.
type Protocol string

// The protocols. Listeners speak the first three.
const (
	FastCGI Protocol = "FastCGI"
	SCGI    Protocol = "SCGI"
	HTTP    Protocol = "HTTP"
	UWSGI   Protocol = "uwsgi"              // with modifier1 0, as nginx and Apache send it
	TLS     Protocol = "TLS"                // a ClientHello
	PROXY   Protocol = "the PROXY protocol" // of HAProxy, version 1 or 2; another one follows
)

// Enough is how many bytes tell any protocol.
const Enough = 16

// protocolOf returns the protocol that begins with b, or "". Less than Enough bytes may not
// tell.
func protocolOf(b []byte) Protocol {
	switch {
	case isFastCGI(b):
		return FastCGI
	case isSCGI(b):
		return SCGI
	case isPROXY(b):
		return PROXY
	case isHTTP(b):
		return HTTP
	case len(b) >= 2 && b[0] == 22 && b[1] == 3: // a handshake (RFC 8446 § 5.1)
		return TLS
	case isUWSGI(b):
		return UWSGI
	}
	return ""
}

// isFastCGI reports whether b begins with the header of a record.
func isFastCGI(b []byte) bool {
	return len(b) >= 2 && b[0] == record.Version1 && b[1] > 0 && record.Type(b[1]) <= record.UnknownType
}

// isSCGI reports whether b begins with a netstring whose first variable is CONTENT_LENGTH.
func isSCGI(b []byte) bool {
	const first = "CONTENT_LENGTH\x00"
	digits, rest, found := bytes.Cut(b[:min(len(b), Enough)], []byte(":"))
	if !found || len(digits) == 0 || len(bytes.Trim(digits, "0123456789")) > 0 {
		return false
	}
	n := min(len(rest), len(first))
	return string(rest[:n]) == first[:n]
}

// isHTTP reports whether b begins with a method, in upper case as all that are known, or is a
// part of one. The preface of HTTP/2 begins with one, too.
func isHTTP(b []byte) bool {
	n := 0
	for n < len(b) && (b[n] >= 'A' && b[n] <= 'Z' || n > 0 && b[n] == '-') {
		n++
	}
	return n >= 3 && (n == len(b) || b[n] == ' ')
}

// version2 begins a header of version 2 of the PROXY protocol; the rest of it is 4 bytes, of
// which two are the length of what follows.
const version2 = "\r\n\r\n\x00\r\nQUIT\n"

// isPROXY reports whether b begins with a header of the PROXY protocol.
func isPROXY(b []byte) bool {
	const least = 8 // the header of a FastCGI record is no longer
	if len(b) < least {
		return false
	}
	n := min(len(b), len(version2))
	return string(b[:n]) == version2[:n] || strings.HasPrefix(string(b[:least]), "PROXY TC") || strings.HasPrefix(string(b[:least]), "PROXY UN")
}

// afterPROXY returns what follows the header of the PROXY protocol at the beginning of b.
func afterPROXY(b []byte) []byte {
	if b[0] == 'P' {
		_, rest, _ := bytes.Cut(b, []byte("\r\n"))
		return rest
	}
	size := len(version2) + 4
	if len(b) < size {
		return nil
	}
	size += int(binary.BigEndian.Uint16(b[size-2:]))
	return b[min(len(b), size):]
}

// isUWSGI reports whether b begins with a packet of uwsgi: modifier1, the size of the
// variables, modifier2, then the size of the first name and the name.
func isUWSGI(b []byte) bool {
	if len(b) < 7 || b[0] != 0 || b[3] != 0 {
		return false
	}
	size, name := binary.LittleEndian.Uint16(b[1:]), binary.LittleEndian.Uint16(b[4:])
	return name > 0 && name < 256 && name < size && b[6] >= 'A' && b[6] <= 'Z'
}
