package simpleserver

import (
	"runtime/debug"
	"strings"
	"time"

	"gatehouse/cgi"
)

// httpDate is the form of a Date field (RFC 9110 § 5.6.7).
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// A preamble is what an origin server puts in front of the application's fields
// (send_preamble).
type preamble struct {
	version  string // of HTTP in the answer, such as "1.0"
	software string // of the Server field; empty for none
}

// append appends the head of an answer: the status line, Date and Server unless
// the application gave its own, its fields in their order, and the empty line. A
// client that is not modern gets none.
func (p preamble) append(b []byte, protocol string, h *cgi.Head, now time.Time) []byte {
	if !isModern(protocol) {
		return b
	}
	b = append(b, "HTTP/"...)
	b = append(b, p.version...)
	b = append(b, ' ')
	b = append(b, h.Status...)
	b = append(b, "\r\n"...)
	date, server := false, p.software == ""
	for i := range h.Fields {
		date = date || strings.EqualFold(h.Fields[i].Name, "Date")
		server = server || strings.EqualFold(h.Fields[i].Name, "Server")
	}
	if !date {
		b = append(b, "Date: "...)
		b = now.UTC().AppendFormat(b, httpDate)
		b = append(b, "\r\n"...)
	}
	if !server {
		b = append(b, "Server: "...)
		b = append(b, p.software...)
		b = append(b, "\r\n"...)
	}
	for i := range h.Fields {
		b = append(b, h.Fields[i].Name...)
		b = append(b, ": "...)
		b = append(b, h.Fields[i].Value...)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// isModern reports whether a client of that protocol knows heads
// (client_is_modern). One that says nothing counts as HTTP/1.0.
func isModern(protocol string) bool { return !strings.EqualFold(protocol, "HTTP/0.9") }

// software returns the text of the Server field.
func (s *Server) software() string {
	if s.Software != "" {
		return s.Software
	}
	return ownSoftware()
}

// ownSoftware names this module, with its version if the build has one.
func ownSoftware() string {
	const name = "gatehouse"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return name
	}
	modules := append([]*debug.Module{&info.Main}, info.Deps...)
	for _, m := range modules {
		if m.Path == name && m.Version != "" && m.Version[0] == 'v' {
			return name + "/" + m.Version[1:]
		}
	}
	return name
}
