package cgi

import (
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// RequestPath returns the decoded path of REQUEST_URI, or "" if that is not set. An
// invalid escape is left as it is.
func (e *Environ) RequestPath() string { return decodedPath(e.Get("REQUEST_URI")) }

// decodedPath returns the path of a request-target (RFC 9112 § 3.2), decoded. An
// invalid escape is left as it is.
func decodedPath(target string) string { return syntax.Unescape(rawPath(target)) }

// rawPath returns the path of a request-target as it was sent.
func rawPath(target string) string {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if !strings.HasPrefix(target, "/") {
		// The absolute form has a scheme and an authority in front.
		if i := strings.Index(target, "://"); i >= 0 {
			rest := target[i+3:]
			j := strings.IndexByte(rest, '/')
			if j < 0 {
				return "/"
			}
			target = rest[j:]
		}
	}
	return target
}

// RequestTarget returns the path and the query of a request for a log line, as the client
// sent them if the web server reports that (REQUEST_URI).
func (e *Environ) RequestTarget() string {
	if u := e.Get("REQUEST_URI"); u != "" {
		return u
	}
	u := settle(e, PathAuto).path
	if q := e.Get("QUERY_STRING"); q != "" {
		u += "?" + q
	}
	return u
}

// unescapeButSlash decodes %XX in a path, but not "%2F": what Apache does with
// "AllowEncodedSlashes NoDecode".
func unescapeButSlash(s string) string {
	var b strings.Builder
	for {
		i := indexEncodedSlash(s)
		if i < 0 {
			break
		}
		b.WriteString(syntax.Unescape(s[:i]))
		b.WriteString(s[i : i+len("%2F")])
		s = s[i+len("%2F"):]
	}
	if b.Len() == 0 {
		return syntax.Unescape(s)
	}
	b.WriteString(syntax.Unescape(s))
	return b.String()
}

// indexEncodedSlash returns the offset of the first "%2F" in s, or -1.
func indexEncodedSlash(s string) int {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' && s[i+1] == '2' && s[i+2]|0x20 == 'f' {
			return i
		}
	}
	return -1
}

// cleanPath removes empty segments, "." and "..", but not a slash at the end: what most web
// servers do to a path before they look at it.
func cleanPath(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	return resolveDots(mergeSlashes(path))
}

func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	b := make([]byte, 0, len(path))
	for i := range len(path) {
		if path[i] != '/' || i == 0 || path[i-1] != '/' {
			b = append(b, path[i])
		}
	}
	return string(b)
}

// hidesDotDot reports whether a path, not decoded, has a ".." segment that shows only once
// "%2F" is decoded.
func hidesDotDot(raw string) bool {
	if strings.IndexByte(raw, '%') < 0 {
		return false
	}
	for segment := range strings.SplitSeq(raw, "/") {
		if strings.IndexByte(segment, '%') < 0 {
			continue
		}
		if s := syntax.Unescape(segment); strings.IndexByte(s, '/') >= 0 && hasDotDot(s) {
			return true
		}
	}
	return false
}

// hasDotDot reports whether a path has a ".." segment, also one between slashes that are
// still encoded.
func hasDotDot(path string) bool {
	if !strings.Contains(path, "..") {
		return false
	}
	path = strings.ReplaceAll(strings.ReplaceAll(path, "%2F", "/"), "%2f", "/")
	for segment := range strings.SplitSeq(path, "/") {
		if segment == ".." {
			return true
		}
	}
	return false
}

// spellings are the ways in which a web server may have written the path of a
// request-target, not decoded.
func spellings(raw string) [3]string { return [3]string{raw, resolveDots(raw), cleanPath(raw)} }
