package cgi

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// parseStatus checks "200 OK": three digits, a space, and a reason phrase that may
// be empty (PEP 3333, RFC 3875 § 6.3.3).
func parseStatus(s string) (code int, err error) {
	switch {
	case len(s) < 4:
		return 0, fmt.Errorf("%w %q: it must be at least 4 characters long", ErrStatus, s)
	case !syntax.IsDigit(s[0]) || !syntax.IsDigit(s[1]) || !syntax.IsDigit(s[2]):
		return 0, fmt.Errorf("%w %.80q: it must begin with a 3-digit code", ErrStatus, s)
	case s[3] != ' ':
		return 0, fmt.Errorf("%w %.80q: it must have a space after the code", ErrStatus, s)
	}
	// Unlike a field's value it holds no HTAB either, as wsgiref has it.
	if i := strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }); i >= 0 {
		return 0, fmt.Errorf("%w %.80q: control character %#02x at offset %d", ErrStatus, s, s[i], i)
	}
	if s[0] < '2' {
		return 0, fmt.Errorf("%w %.80q: a final status is 200 or more", ErrStatus, s)
	}
	return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0'), nil
}

// statusLine returns "404 Not Found" for 404.
func statusLine(code int) string {
	text := http.StatusText(code)
	if text == "" {
		text = "Unknown"
	}
	return fmt.Sprintf("%03d %s", code, text)
}

// knownStatus is statusLine, without an allocation for the most common status.
func knownStatus(code int) string {
	if code == http.StatusOK {
		return "200 OK"
	}
	return statusLine(code)
}

// mayHaveBody reports whether a response of that status has a body and a length.
func mayHaveBody(code int) bool {
	return code != http.StatusNoContent && code != http.StatusNotModified
}
