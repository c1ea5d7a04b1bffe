package cgi

// An Observation follows one request, for a tracer. Its methods are called one after the
// other, and may be called on another goroutine than the application's if a time limit of the
// Handler passes. They must not block, nor keep what they are given.
type Observation interface {
	// Head is called when the head of the response is about to be sent.
	Head(code int)

	// End is called last, once, when the response has ended.
	End(Result)
}

// A TraceParent is where a request is in a distributed trace (W3C Trace Context, the field
// traceparent).
type TraceParent struct {
	TraceID string // 32 hexadecimal digits
	SpanID  string // 16: of the caller's span, the parent
	Flags   byte   // 1: sampled
}

// TraceParent returns what the field traceparent of a request says, and whether there is a
// valid one. The variables HTTP_TRACEPARENT and HTTP_TRACESTATE reach programs and
// applications as they came.
func (e *Environ) TraceParent() (TraceParent, bool) {
	return ParseTraceParent(e.Get("HTTP_TRACEPARENT"))
}

// ParseTraceParent parses a traceparent (W3C Trace Context § 3.2). Of later versions than 00
// it takes what that has.
func ParseTraceParent(s string) (TraceParent, bool) {
	const length = 55 // version-trace-parent-flags
	if len(s) < length || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return TraceParent{}, false
	}
	version, trace, span, flags := s[:2], s[3:35], s[36:52], s[53:length]
	switch {
	case !isLowerHex(version) || !isLowerHex(trace) || !isLowerHex(span) || !isLowerHex(flags),
		version == "ff",
		version == "00" && len(s) != length,
		len(s) > length && s[length] != '-',
		isZero(trace) || isZero(span):
		return TraceParent{}, false
	}
	return TraceParent{trace, span, hexDigit(flags[0])<<4 | hexDigit(flags[1])}, true
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isZero(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return false
		}
	}
	return true
}

// hexDigit returns the value of a digit that isLowerHex has let pass.
func hexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
