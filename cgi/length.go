package cgi

import (
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// BodyLength returns the length of a request's body as the variables state it, or -1 if
// they do not. endMarked says that the protocol marks the end of a body, as FastCGI does.
//
// CONTENT_LENGTH counts if it is digits (RFC 3875 § 4.1.2). If it is absent, empty,
// negative, or contradicted (by HTTP_TRANSFER_ENCODING "chunked" or, in a protocol
// that does not mark the end of a body, by a larger HTTP_CONTENT_LENGTH), the
// larger of the two numbers counts, if there is one: web servers that do not
// buffer the body are known to send what had arrived so far, nothing, or -1.
func (e *Environ) BodyLength(endMarked bool) int64 {
	n, ok := syntax.ParseLength(e.Get("CONTENT_LENGTH"))
	if ok && endMarked && !isChunked(e) {
		return n
	}
	if h, hok := syntax.ParseLength(e.Get("HTTP_CONTENT_LENGTH")); hok && (!ok || h > n) {
		return h
	}
	if ok {
		return n
	}
	return -1
}

func isChunked(env *Environ) bool {
	te := env.Get("HTTP_TRANSFER_ENCODING")
	return te != "" && strings.Contains(strings.ToLower(te), "chunked")
}
