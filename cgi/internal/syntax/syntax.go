// Package syntax has the lexical rules of HTTP and CGI that the packages below cgi share:
// tokens, field values, lengths and escapes.
package syntax

import "strings"

// tokenBytes is tchar of RFC 9110 § 5.6.2.
var tokenBytes = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// IsTokenByte reports whether c may be part of a token.
func IsTokenByte(c byte) bool { return tokenBytes[c] }

// IsToken reports whether s is a token (RFC 9110 § 5.6.2).
func IsToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

// IsDigit reports whether c is a decimal digit.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

// ParseLength parses a Content-Length or CONTENT_LENGTH: digits only.
func ParseLength(s string) (int64, bool) {
	if s == "" || len(s) > 19 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if !IsDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, n >= 0
}

// ControlAt returns the offset of the first control character but HTAB in s, or -1.
func ControlAt(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		// Eight bytes at once: the high bit of one below 0x20, or of 0x7f, comes out set, and
		// no other does unless there is such a byte.
		x := load64(s[i:])
		low := x - 0x20*eachByte
		del := (x ^ 0x7f*eachByte) - eachByte
		if (low|del)&^x&(0x80*eachByte) != 0 {
			break
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return i
		}
	}
	return -1
}

const eachByte = 0x0101010101010101

// load64 returns the first eight bytes of s.
func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// Unescape decodes %XX, and leaves an invalid escape as it is.
func Unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := Unhex(s[i+1]), Unhex(s[i+2]); hi >= 0 && lo >= 0 {
				b = append(b, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// Unhex returns the value of a hexadecimal digit, or -1.
func Unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
