package simpleserver

import (
	"fmt"
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// A framing says how long the body of a request is.
type framing struct {
	length  int64 // of the body; -1 if only its end tells
	chunked bool
	raw     bool // the body goes on to the end of the connection (Compat)
}

// framing finds out how long the body is (RFC 9112 § 6.3).
func (h *head) framing(limit int64) (framing, error) {
	f := framing{}
	length, coding, codings := "", "", 0
	for _, field := range h.fields {
		switch {
		case strings.EqualFold(field.Name, "Content-Length"):
			if length != "" && field.Value != length {
				return f, &requestError{code: 400, explain: "conflicting Content-Length"}
			}
			n, ok := syntax.ParseLength(field.Value)
			if !ok {
				return f, &requestError{code: 400, explain: "Content-Length is not a number of bytes: " + repr(field.Value[:min(len(field.Value), 40)])}
			}
			length, f.length = field.Value, n
		case strings.EqualFold(field.Name, "Transfer-Encoding"):
			coding = field.Value
			codings++
		}
	}
	switch {
	case codings > 0 && length != "":
		return f, &requestError{code: 400, explain: "Content-Length together with Transfer-Encoding"}
	case codings > 0 && (h.version == "HTTP/1.0" || h.version == "HTTP/0.9"):
		return f, &requestError{code: 411}
	case codings > 1 || codings == 1 && !strings.EqualFold(coding, "chunked"):
		return f, &requestError{code: 501, explain: "the only transfer coding known is chunked"}
	case codings == 1:
		f.length, f.chunked = -1, true
	case f.length > limit:
		return f, tooLarge(limit)
	}
	return f, nil
}

func tooLarge(limit int64) *requestError {
	return &requestError{code: 413, explain: fmt.Sprintf("the body is longer than %d bytes (body_bytes)", limit)}
}

// framingCompat tells the Handler how much there may be: wsgiref's applications get
// the connection and look for the end themselves.
func (h *head) framingCompat() framing {
	f := framing{raw: true}
	value, _ := h.get("Content-Length")
	if n, ok := syntax.ParseLength(value); ok {
		f.length = n
	} else if _, ok := h.get("Transfer-Encoding"); ok {
		f.length = -1
	}
	return f
}
