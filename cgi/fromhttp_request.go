package cgi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// requestHeader makes the header of a request from its variables. What net/http
// keeps elsewhere (Host, Transfer-Encoding, Trailer) is left out.
func requestHeader(r *Request) (http.Header, error) {
	pairs := &r.Env.pairs
	n := 2
	for i := range pairs.len() {
		if strings.HasPrefix(pairs.name(i), "HTTP_") {
			n++
		}
	}
	h := headerMaker{header: make(http.Header, n), values: make([]string, 0, n)}
	contentType := r.Env.Get("CONTENT_TYPE")
	contentLength := false
	for i := range pairs.len() {
		variable := pairs.name(i)
		name, ok := strings.CutPrefix(variable, "HTTP_")
		if !ok {
			continue
		}
		value := pairs.value(i)
		if c := syntax.ControlAt(value); c >= 0 {
			return nil, fmt.Errorf("control character %#02x in %.80s", value[c], variable)
		}
		switch name {
		case "HOST", "PROXY", "TRANSFER_ENCODING", "TRAILER":
		case "CONTENT_LENGTH":
			contentLength = value != ""
		case "CONTENT_TYPE":
			if contentType == "" {
				contentType = value
			}
		default:
			h.variable(name, value)
		}
	}
	if contentType != "" {
		if c := syntax.ControlAt(contentType); c >= 0 {
			return nil, fmt.Errorf("control character %#02x in CONTENT_TYPE", contentType[c])
		}
		h.add("Content-Type", contentType)
	}
	if r.ContentLength > 0 || r.ContentLength == 0 && contentLength {
		h.add("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	return h.header, nil
}

// A headerMaker makes a http.Header whose values share one array.
type headerMaker struct {
	header http.Header
	values []string
	odd    bool // a field has come whose name may come again
}

// variable adds the field of a variable, whose name is given without HTTP_. Names are
// unique in an Environ, so that only those that net/http spells anew can meet.
func (h *headerMaker) variable(name, value string) {
	field := knownHeader(name)
	if field == "" {
		if !syntax.IsToken(name) {
			return
		}
		field = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if field == "Proxy" {
			return
		}
		h.odd = true
	}
	h.add(field, value)
}

func (h *headerMaker) add(field, value string) {
	if h.odd {
		if old := h.header[field]; old != nil {
			h.header[field] = append(old, value)
			return
		}
	}
	k := len(h.values)
	h.values = append(h.values, value)
	h.header[field] = h.values[k : k+1 : k+1]
}

// knownHeader returns the canonical name of a field that most requests have, or "". It
// saves an allocation for each; a switch is faster than a map.
func knownHeader(name string) string {
	switch name {
	case "ACCEPT":
		return "Accept"
	case "ACCEPT_CHARSET":
		return "Accept-Charset"
	case "ACCEPT_ENCODING":
		return "Accept-Encoding"
	case "ACCEPT_LANGUAGE":
		return "Accept-Language"
	case "AUTHORIZATION":
		return "Authorization"
	case "CACHE_CONTROL":
		return "Cache-Control"
	case "CONNECTION":
		return "Connection"
	case "CONTENT_ENCODING":
		return "Content-Encoding"
	case "COOKIE":
		return "Cookie"
	case "DNT":
		return "Dnt"
	case "EXPECT":
		return "Expect"
	case "FORWARDED":
		return "Forwarded"
	case "IF_MATCH":
		return "If-Match"
	case "IF_MODIFIED_SINCE":
		return "If-Modified-Since"
	case "IF_NONE_MATCH":
		return "If-None-Match"
	case "IF_RANGE":
		return "If-Range"
	case "KEEP_ALIVE":
		return "Keep-Alive"
	case "ORIGIN":
		return "Origin"
	case "PRAGMA":
		return "Pragma"
	case "PRIORITY":
		return "Priority"
	case "RANGE":
		return "Range"
	case "REFERER":
		return "Referer"
	case "SEC_FETCH_DEST":
		return "Sec-Fetch-Dest"
	case "SEC_FETCH_MODE":
		return "Sec-Fetch-Mode"
	case "SEC_FETCH_SITE":
		return "Sec-Fetch-Site"
	case "SEC_FETCH_USER":
		return "Sec-Fetch-User"
	case "TE":
		return "Te"
	case "UPGRADE_INSECURE_REQUESTS":
		return "Upgrade-Insecure-Requests"
	case "USER_AGENT":
		return "User-Agent"
	case "VIA":
		return "Via"
	case "X_FORWARDED_FOR":
		return "X-Forwarded-For"
	case "X_FORWARDED_HOST":
		return "X-Forwarded-Host"
	case "X_FORWARDED_PROTO":
		return "X-Forwarded-Proto"
	case "X_REAL_IP":
		return "X-Real-Ip"
	case "X_REQUESTED_WITH":
		return "X-Requested-With"
	}
	return ""
}
