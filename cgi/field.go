package cgi

import (
	"fmt"
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// A Field is a header field (RFC 9110 § 5).
type Field struct {
	Name, Value string
}

// Variable returns the field with which an Authorizer sets a variable for the request that
// it lets in (FastCGI 1.0 § 6.3). The web server does not send it to the client.
func Variable(name, value string) Field { return Field{"Variable-" + name, value} }

// A FieldError says what is wrong with a header field. It wraps [ErrField].
type FieldError struct {
	Name   string // as given
	Reason string // what rule it breaks
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("cgi: invalid header field %.80q: %s", e.Name, e.Reason)
}

func (e *FieldError) Unwrap() error { return ErrField }

// checkField returns what is wrong with a field of a response. Names are tokens
// (RFC 9110 § 5.6.2), values hold no control character but HTAB.
func checkField(f *Field) error {
	if f.Name == "" {
		return &FieldError{f.Name, "it has no name"}
	}
	for i := 0; i < len(f.Name); i++ {
		if !syntax.IsTokenByte(f.Name[i]) {
			return &FieldError{f.Name, fmt.Sprintf("byte %#02x at offset %d of the name is not allowed", f.Name[i], i)}
		}
	}
	if i := syntax.ControlAt(f.Value); i >= 0 {
		return &FieldError{f.Name, fmt.Sprintf("control character %#02x at offset %d of the value", f.Value[i], i)}
	}
	if len(f.Name) == 6 && strings.EqualFold(f.Name, "Status") {
		return &FieldError{f.Name, "the status is set by StartResponse"}
	}
	return nil
}

// IsHopByHop reports whether name is a hop-by-hop header field of RFC 2616 §
// 13.5.1, in any case. It is wsgiref's is_hop_by_hop to the letter, so "Trailers"
// is one and "Trailer" is not.
func IsHopByHop(name string) bool {
	switch len(name) {
	case 2:
		return strings.EqualFold(name, "TE")
	case 7:
		return strings.EqualFold(name, "Upgrade")
	case 8:
		return strings.EqualFold(name, "Trailers")
	case 10:
		return strings.EqualFold(name, "Connection") || strings.EqualFold(name, "Keep-Alive")
	case 17:
		return strings.EqualFold(name, "Transfer-Encoding")
	case 18:
		return strings.EqualFold(name, "Proxy-Authenticate")
	case 19:
		return strings.EqualFold(name, "Proxy-Authorization")
	}
	return false
}

// isConnectionField reports whether a field concerns the connection and not the
// message, so that a gateway removes it (RFC 3875 § 6.3.5, RFC 9110 § 7.6.1): the
// hop-by-hop fields, and those two that is_hop_by_hop does not know.
func isConnectionField(name string) bool {
	return IsHopByHop(name) ||
		len(name) == 7 && strings.EqualFold(name, "Trailer") ||
		len(name) == 16 && strings.EqualFold(name, "Proxy-Connection")
}
