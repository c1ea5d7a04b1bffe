package cgi

import (
	"crypto/rand"
	"encoding/base32"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
)

// MaxRequestID is the longest id of a request that a [Handler] takes from a variable.
const MaxRequestID = 128

// requestNumbers number requests. Their name, which they get when one is first written,
// tells them from those of other processes and machines.
type requestNumbers struct {
	last atomic.Uint64
	once sync.Once
	made string
}

// spoken are the digits of names: those of base 32 that nobody confuses when they are read aloud.
var spoken = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// name returns 40 random bits in eight characters. Of a million processes, two have the same
// with a probability of one third.
func (n *requestNumbers) name() string {
	n.once.Do(func() {
		var b [5]byte
		rand.Read(b[:]) // which never fails
		n.made = spoken.EncodeToString(b[:])
	})
	return n.made
}

// RequestID returns the id of the request that is in the log, on the error page and in the
// program's REQUEST_ID: the one that the variable [Handler.RequestIDFrom] holds, if it is valid.
// Otherwise it is made of the name of the Handler, eight random characters, and the request's ID,
// as in "k7rm3qxp-17": no other process makes the same. It is empty until a Handler has begun
// with the request.
func (r *Request) RequestID() string {
	if r.sentID != "" {
		return r.sentID
	}
	return string(r.AppendRequestID(make([]byte, 0, 32)))
}

// AppendRequestID appends the RequestID to b.
func (r *Request) AppendRequestID(b []byte) []byte {
	switch {
	case r.sentID != "":
		return append(b, r.sentID...)
	case r.ID == 0:
		return b
	case r.numbers != nil:
		b = append(append(b, r.numbers.name()...), '-')
	}
	return strconv.AppendUint(b, r.ID, 10)
}

// LogAttr returns what a line of the log says of the request that it is about: "request", the
// RequestID, and the "trace_id" and "span_id" of its [Environ.TraceParent], if it has one. The
// attribute is a group without a name, which a log shows as if they were given one by one. Any
// goroutine may call it.
func (r *Request) LogAttr() slog.Attr {
	id := slog.String("request", r.RequestID())
	if r.trace.TraceID == "" {
		return id
	}
	return slog.Group("", id, slog.String("trace_id", r.trace.TraceID), slog.String("span_id", r.trace.SpanID))
}

// identify gives the request its id.
func (h *Handler) identify(r *Request, n *requestNumbers) {
	if r.ID == 0 {
		r.numbers = n
		r.ID = n.last.Add(1)
	}
	from := h.RequestIDFrom
	if from == "" && r.program {
		from = "REQUEST_ID"
	}
	if from != "" && r.sentID == "" {
		if id := r.Env.Get(from); ValidRequestID(id) {
			r.sentID = id
		}
	}
	r.trace, _ = r.Env.TraceParent()
}

// setIDVariable has the variables show the RequestID as REQUEST_ID. That costs allocations,
// which not every request is worth: an [App] that wants the id calls RequestID.
func (r *Request) setIDVariable() {
	if r.ID != 0 && !r.shownID {
		r.Env.Set("REQUEST_ID", r.RequestID())
		r.shownID = true
	}
}

// ValidRequestID reports whether s may be the id of a request: 1 to [MaxRequestID] letters,
// digits, dots, underscores and hyphens of ASCII, which mean nothing in a log, in HTML or in a
// shell.
func ValidRequestID(s string) bool {
	if len(s) == 0 || len(s) > MaxRequestID {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
