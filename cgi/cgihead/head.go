// Package cgihead parses the head of a CGI response: what a CGI program, a FastCGI or an
// SCGI application writes before the body (RFC 3875 § 6).
//
// [Read] reads a head from an io.Reader. A [Parser] is fed with pieces as they arrive.
// Both are lenient where RFC 3875 asks for it or the common web servers are, and give a [Head] whose status is ready for
// [cgi.ResponseWriter.StartResponse].
package cgihead

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/cgi"
)

// The kinds of an [Error].
var (
	// ErrMalformed: the head breaks a rule.
	ErrMalformed = errors.New("bad head")
	// ErrMissing: the output ended before the head did.
	ErrMissing = errors.New("no head")
	// ErrTooLong: the head is longer than its limit.
	ErrTooLong = errors.New("head is longer than head_bytes")
)

// An Error says what is wrong with a head.
type Error struct {
	Kind   error  // ErrMalformed, ErrMissing or ErrTooLong; Unwrap returns it
	Line   int    // number of the line, from 1
	Text   string // the beginning of the line, or of all output if there is no head
	Reason string // which rule it breaks
	Remedy string // what to print instead, or empty if that depends
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%v: line %d, %q: %s", e.Kind, e.Line, e.Text, e.Reason)
	if e.Remedy != "" {
		s += ": " + e.Remedy
	}
	return s
}

func (e *Error) Unwrap() error { return e.Kind }

// A Head is the head of a response (RFC 3875 § 6.2).
type Head struct {
	Status string // code, space and reason, ready for StartResponse
	Code   int    // 200 to 999

	// Fields are the header fields in order, hop-by-hop ones included. It lacks Status,
	// X-CGI-* (RFC 3875 § 6.3.5 lets a server drop those), a Content-Type without a value,
	// all but the last Content-Type, and all but the first Content-Length.
	Fields        []cgi.Field
	ContentLength int64 // the value of Content-Length, or -1

	// ContentTypes is how many Content-Types with a value the response gave. RFC 3875 §
	// 6.3 allows one.
	ContentTypes int

	// Explicit reports whether the response gave a status, in a Status field or in an HTTP
	// status line. Otherwise it is 302 with a Location and 200 without.
	Explicit bool

	// LocalRedirect reports whether the head is "Location: /path" alone (RFC 3875 §
	// 6.2.2), which asks the server to respond as if that path had been requested.
	LocalRedirect bool

	// Traceback reports whether the head had a line "<!--: spam": the program failed, and
	// Python's cgitb shows its traceback in the response.
	Traceback bool
}

// Location returns the value of the Location field, or "".
func (h *Head) Location() string {
	for i := range h.Fields {
		if strings.EqualFold(h.Fields[i].Name, "Location") {
			return h.Fields[i].Value
		}
	}
	return ""
}

// setStatus sets a checked status, with a missing reason supplied, and without what stands
// between code and reason but for one space. A HTAB in the reason, which HTTP allows,
// becomes a space.
func (h *Head) setStatus(s string) {
	h.Explicit = true
	h.Code, _ = strconv.Atoi(s[:3])
	s = strings.ReplaceAll(s, "\t", " ")
	reason := strings.TrimLeft(s[3:], ": ")
	switch {
	case reason == "":
		h.Status = s[:3] + " " + http.StatusText(h.Code)
	case len(reason) == len(s)-4 && s[3] == ' ':
		h.Status = s
	default:
		h.Status = s[:3] + " " + reason
	}
}
