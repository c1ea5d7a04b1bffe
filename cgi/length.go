package cgi

import (
	"strings"
	"time"

	"gatehouse/cgi/internal/syntax"
)

// BodyLength returns the length of the body that the variables of a request
// state, or -1 if they state none.
//
// CONTENT_LENGTH counts if it is digits (RFC 3875 § 4.1.2). If it is absent, empty,
// negative, or contradicted (by HTTP_TRANSFER_ENCODING "chunked" or, in a protocol
// that does not mark the end of a body, by a larger HTTP_CONTENT_LENGTH), the
// larger of the two numbers counts, if there is one: web servers that do not
// buffer the body are known to send what had arrived so far, nothing, or -1.
func BodyLength(env *Environ, endMarked bool) int64 {
	n, ok := syntax.ParseLength(env.Get("CONTENT_LENGTH"))
	if ok && endMarked && !isChunked(env) {
		return n
	}
	if h, hok := syntax.ParseLength(env.Get("HTTP_CONTENT_LENGTH")); hok && (!ok || h > n) {
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

// DataLength returns the length of a Filter's Data, which FCGI_DATA_LENGTH states
// (FastCGI 1.0 § 6.4), or -1 if it states none.
func DataLength(env *Environ) int64 {
	if n, ok := syntax.ParseLength(env.Get("FCGI_DATA_LENGTH")); ok {
		return n
	}
	return -1
}

// DataModTime returns when the file was changed that is a Filter's Data, which
// FCGI_DATA_LAST_MOD states in seconds since 1970, or the zero time if it does not.
func DataModTime(env *Environ) time.Time {
	if n, ok := syntax.ParseLength(env.Get("FCGI_DATA_LAST_MOD")); ok {
		return time.Unix(n, 0)
	}
	return time.Time{}
}
