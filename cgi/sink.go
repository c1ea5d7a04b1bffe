package cgi

// A Sink encodes one response in a front-end's wire format. It applies no framing rules: the
// [Handler] has checked everything that it is given. It is used by one goroutine at a time.
type Sink interface {
	// WriteHead writes the head, once and before anything else. It may be held back until
	// Flush or Finish. The Head and its fields are valid only during the call.
	WriteHead(*Head) error

	// Write writes part of the body, which may be held back likewise. It must not keep p.
	Write(p []byte) (int, error)

	// Flush sends what is held back.
	Flush() error

	// Finish ends the response. It is the last call, whatever failed before, and sends
	// head, body and end in one write where it can. If the End is not Complete, WriteHead
	// may not have been called.
	Finish(Outcome) error
}

// A Head is the head of a response, ready to send.
type Head struct {
	Code   int    // the status code, 200 to 999
	Status string // the code, a space, and the reason phrase, which may be empty
	Fields []Field

	// HTTPVersion is that of an origin server ("1.0"), whose head begins with a
	// status line, or "" for a gateway's. See [Handler.OriginServer].
	HTTPVersion string

	// Bare says that the client speaks HTTP/0.9, so that no head is sent.
	Bare bool
}

// AppendCGI appends the head as text, with lines that end in CR LF, and the empty
// line after it: in the form of RFC 3875 § 6.2 with "Status:" first, or of HTTP if
// HTTPVersion is set.
func (h *Head) AppendCGI(b []byte) []byte {
	switch {
	case h.Bare:
		return b
	case h.HTTPVersion != "":
		b = append(b, "HTTP/"...)
		b = append(b, h.HTTPVersion...)
		b = append(b, ' ')
	default:
		b = append(b, "Status: "...)
	}
	b = append(b, h.Status...)
	b = append(b, "\r\n"...)
	return appendFields(b, h.Fields)
}

func appendFields(b []byte, fields []Field) []byte {
	for i := range fields {
		b = append(b, fields[i].Name...)
		b = append(b, ": "...)
		b = append(b, fields[i].Value...)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// An End says how a response ended.
type End uint8

const (
	// Complete: all of it was written.
	Complete End = iota
	// Truncated: it broke off. The front-end must make that visible to the web server, so
	// that no client mistakes a partial response for a complete one.
	Truncated
	// Aborted: the web server gave up the request, and nobody reads the response.
	Aborted
)

func (e End) String() string {
	switch e {
	case Complete:
		return "complete"
	case Truncated:
		return "truncated"
	case Aborted:
		return "aborted"
	}
	return "unknown end"
}

// An Outcome is the end of a response, with the exit status of the application
// for the protocols that carry one (FastCGI's appStatus, CGI's exit).
type Outcome struct {
	End        End
	ExitStatus int

	// Overdue reports whether a time limit of the [Handler] has passed. The application may
	// then still run, and Handler.Run returns when it has returned, but the web server must
	// not wait for that: a front-end that ends a response by closing its connection does
	// so at once.
	Overdue bool
}
