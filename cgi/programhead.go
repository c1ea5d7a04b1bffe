package cgi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Errors of a program's head. A [HeadError] wraps one of them.
var (
	// ErrHead: the head breaks a rule.
	ErrHead = errors.New("bad head")
	// ErrNoHead: the output ended before the head did.
	ErrNoHead = errors.New("no head")
	// ErrHeadBytes: the head is longer than head_bytes.
	ErrHeadBytes = errors.New("head is longer than head_bytes")
)

// A HeadError says what is wrong with the head of a program's answer.
type HeadError struct {
	Kind   error  // ErrHead, ErrNoHead or ErrHeadBytes
	Line   int    // number of the line, from 1
	Text   string // the beginning of the line, or of all output if there is no head
	Reason string // what rule it breaks
}

func (e *HeadError) Error() string {
	return fmt.Sprintf("%v: line %d, %q: %s", e.Kind, e.Line, e.Text, e.Reason)
}

func (e *HeadError) Unwrap() error { return e.Kind }

// A ProgramHead is the head of what a CGI program, a FastCGI or an SCGI
// application answers (RFC 3875 § 6.2), with the status settled.
type ProgramHead struct {
	Status string // code, space and reason, ready for StartResponse
	Code   int    // 200 to 999
	// Fields are the header fields in order, hop-by-hop ones included. Status is not
	// among them, nor are X-CGI-* (RFC 3875 § 6.3.5 lets a server drop those) and a
	// Content-Type without a value. A Content-Length is there once.
	Fields        []Field
	ContentLength int64 // what Content-Length says, or -1
	// Explicit: the program gave a status, by Status or as an HTTP status line.
	// Otherwise it is 302 with a Location and 200 without.
	Explicit bool
	// LocalRedirect: the head is "Location: /path" alone (RFC 3875 § 6.2.2), which
	// asks the server to answer as if that path had been requested.
	LocalRedirect bool
	// Traceback: the head had a line "<!--: spam". The program has failed, and Python's
	// cgitb shows its traceback in the answer.
	Traceback bool
}

// Location returns the value of the Location field, or "".
func (h *ProgramHead) Location() string {
	for i := range h.Fields {
		if strings.EqualFold(h.Fields[i].Name, "Location") {
			return h.Fields[i].Value
		}
	}
	return ""
}

// setStatus takes a checked status and supplies a missing reason. A HTAB in the
// reason, which HTTP allows, becomes a space.
func (h *ProgramHead) setStatus(s string) {
	h.Explicit = true
	h.Code, _ = strconv.Atoi(s[:3])
	h.Status = strings.ReplaceAll(s, "\t", " ")
	if len(strings.TrimRight(s, " ")) == 3 {
		h.Status = s[:3] + " " + http.StatusText(h.Code)
	}
}
