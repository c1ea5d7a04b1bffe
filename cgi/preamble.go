package cgi

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// MakeOrigin makes the head that of an origin server, as wsgiref's send_preamble does:
// with a status line of that version of HTTP ("1.0"), then a Date and, unless software
// is empty, a Server field where the application gave none. A client whose
// SERVER_PROTOCOL is HTTP/0.9 gets no head at all. The Fields are not changed in place.
func (h *Head) MakeOrigin(version, software, protocol string, now time.Time) {
	if strings.EqualFold(protocol, "HTTP/0.9") {
		h.Bare = true
		return
	}
	h.HTTPVersion = version
	fields := make([]Field, 0, len(h.Fields)+2)
	if !h.has("Date") {
		fields = append(fields, Field{"Date", now.UTC().Format(http.TimeFormat)})
	}
	if software != "" && !h.has("Server") {
		fields = append(fields, Field{"Server", software})
	}
	h.Fields = append(fields, h.Fields...)
}

func (h *Head) has(name string) bool {
	return slices.ContainsFunc(h.Fields, func(f Field) bool { return strings.EqualFold(f.Name, name) })
}

// addPreamble makes the response that of an origin server.
func (w *response) addPreamble() {
	h := w.handler
	version, now := h.HTTPVersion, time.Now
	if version == "" {
		version = "1.0"
	}
	if h.Now != nil {
		now = h.Now
	}
	w.head.MakeOrigin(version, h.ServerSoftware, w.req.Env.Get("SERVER_PROTOCOL"), now())
}
