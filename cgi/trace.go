package cgi

// Trace returns the trace-id and the parent-id of the request's traceparent (W3C Trace
// Context § 3.2), in lower-case hexadecimal, or nothing if there is none or it is malformed.
// Gatehouse takes no part in a trace: applications get the field, and tracestate, as they came.
func (r *Request) Trace() (traceID, spanID string) {
	if r.traceparent == "" {
		return "", ""
	}
	return r.traceparent[3:35], r.traceparent[36:52]
}

// The length of a traceparent of version 00.
const traceparentLength = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// validTraceparent reports whether s can be read as a traceparent. A later version than 00 may
// go on behind a further hyphen (§ 3.2.4).
func validTraceparent(s string) bool {
	switch {
	case len(s) < traceparentLength, s[2] != '-' || s[35] != '-' || s[52] != '-':
		return false
	case !isLowerHex(s[:2]) || !isLowerHex(s[3:35]) || !isLowerHex(s[36:52]) || !isLowerHex(s[53:55]):
		return false
	case s[:2] == "ff", isZero(s[3:35]), isZero(s[36:52]):
		return false
	case s[:2] == "00":
		return len(s) == traceparentLength
	}
	return len(s) == traceparentLength || s[traceparentLength] == '-'
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
