package cgi

import (
	"io"
	"net/http"
	"os"
	"strings"
)

// unreliable reports whether the end of an HTTP/1 request may be in dispute: one with
// Transfer-Encoding may have had a Content-Length as well, and one of HTTP/1.0 a
// Transfer-Encoding (RFC 9112 § 6.1). net/http removes either before a handler sees it.
func unreliable(req *http.Request) bool {
	return req.ProtoMajor == 1 && (req.ProtoMinor == 0 || len(req.TransferEncoding) > 0)
}

// resolveInfo removes the dot segments of PATH_INFO, as [Handler.HTTP] says; target is the
// request-target. The error is a StatusError of 400.
func resolveInfo(target, info string) (string, error) {
	if strings.IndexByte(target, '%') >= 0 && hidesDotDot(rawPath(target)) {
		return info, badPath(hiddenDotDot, rawPath(target))
	}
	if os.PathSeparator == '\\' && strings.IndexByte(info, '\\') >= 0 && hasDotDot(strings.ReplaceAll(info, `\`, "/")) {
		return info, badPath(`a ".." beside a backslash in the path %.200q`, info)
	}
	if !strings.Contains(info, "/.") {
		return info, nil
	}
	depth, dots := 0, false
	for segment := range strings.SplitSeq(info, "/") {
		switch segment {
		case "":
		case ".":
			dots = true
		case "..":
			dots = true
			if depth--; depth < 0 {
				return info, badPath("the path %.200q leads above its root", info)
			}
		default:
			depth++
		}
	}
	if !dots {
		return info, nil
	}
	return cleanPath(info), nil
}

// A methodRefusal responds to a method that no application gets.
type methodRefusal struct {
	code  int
	allow string // of a 405 (RFC 9110 § 15.5.6)
}

func (m methodRefusal) ServeCGI(w ResponseWriter, _ *Request) error {
	fields := []Field{{"Content-Type", "text/plain"}}
	if m.allow != "" {
		fields = append(fields, Field{"Allow", m.allow})
	}
	status := statusLine(m.code)
	if err := w.StartResponse(status, fields); err != nil {
		return err
	}
	_, err := io.WriteString(w, status+"\n")
	return err
}
