package fastcgi

import (
	"strconv"
	"time"

	"gatehouse/cgi"
)

// DataModTime returns the time at which the file that is a Filter's Data was last
// modified (FCGI_DATA_LAST_MOD, FastCGI 1.0 § 6.4), or the zero time if the web server does
// not say.
func DataModTime(env *cgi.Environ) time.Time {
	if n, ok := parseNumber(env.Get("FCGI_DATA_LAST_MOD")); ok {
		return time.Unix(n, 0)
	}
	return time.Time{}
}

// dataLength returns the length in bytes of a Filter's Data (FCGI_DATA_LENGTH), or -1 if
// the web server does not say.
func dataLength(env *cgi.Environ) int64 {
	if n, ok := parseNumber(env.Get("FCGI_DATA_LENGTH")); ok {
		return n
	}
	return -1
}

// parseNumber parses a number of at most 19 digits.
func parseNumber(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && len(s) <= 19
}
