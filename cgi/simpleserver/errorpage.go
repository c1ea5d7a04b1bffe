package simpleserver

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A requestError is a request that the server refuses before an application sees
// it. Its texts are ISO 8859-1, as the request is.
type requestError struct {
	code     int
	message  string // the reason phrase; empty for the code's own
	explain  string // of the page; empty for the code's own
	headless bool   // the response is the page alone
}

func (e *requestError) Error() string {
	if e.explain != "" {
		return fmt.Sprintf("%d %s: %s", e.code, e.phrase(), e.explain)
	}
	return fmt.Sprintf("%d %s", e.code, e.phrase())
}

func (e *requestError) phrase() string {
	if e.message != "" {
		return e.message
	}
	if m := errorTexts[e.code]; m[0] != "" {
		return m[0]
	}
	return http.StatusText(e.code)
}

// errorTexts holds the reason phrase and the explanation of http.server for each
// code that the server refuses requests with.
var errorTexts = map[int][2]string{
	400: {"Bad Request", "Bad request syntax or unsupported method"},
	408: {"Request Timeout", "Request timed out; try again later"},
	411: {"Length Required", "Client must specify Content-Length"},
	413: {"Request Entity Too Large", "Entity is too large"},
	414: {"Request-URI Too Long", "URI is too long"},
	431: {"Request Header Fields Too Large", "The server is unwilling to process the request because its header fields are too large"},
	501: {"Not Implemented", "Server does not support this operation"},
	503: {"Service Unavailable", "The server cannot process the request due to a high load"},
	505: {"HTTP Version Not Supported", "Cannot fulfill request"},
}

var escapeText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// page returns the error page of Python's http.server, in UTF-8.
func (e *requestError) page() []byte {
	explain := e.explain
	if explain == "" {
		explain = errorTexts[e.code][1]
	}
	code := strconv.Itoa(e.code)
	b := []byte("<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n" +
		"        <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n" +
		"        <p>Error code: " + code + "</p>\n        <p>Message: ")
	b = appendLatin1(b, escapeText.Replace(e.phrase()))
	b = append(b, ".</p>\n        <p>Error code explanation: "+code+" - "...)
	b = appendLatin1(b, escapeText.Replace(explain))
	return append(b, ".</p>\n    </body>\n</html>\n"...)
}

// append appends the whole response (send_error), without the page if the method is
// HEAD.
func (e *requestError) append(b []byte, p preamble, method string, now time.Time) []byte {
	page := e.page()
	if !e.headless {
		b = append(b, "HTTP/"+p.version+" "+strconv.Itoa(e.code)+" "+e.phrase()+"\r\n"...)
		if p.software != "" {
			b = append(b, "Server: "+p.software+"\r\n"...)
		}
		b = append(b, "Date: "...)
		b = now.UTC().AppendFormat(b, http.TimeFormat)
		b = append(b, "\r\nConnection: close\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(page)), 10)
		b = append(b, "\r\n\r\n"...)
	}
	if method == "HEAD" {
		return b
	}
	return append(b, page...)
}

// repr returns what Python's repr makes of s, in ISO 8859-1.
func repr(s string) string {
	utf := appendRepr(nil, s)
	b := utf[:0]
	for i := 0; i < len(utf); {
		r, n := utf8.DecodeRune(utf[i:])
		b, i = append(b, byte(r)), i+n
	}
	return string(b)
}
