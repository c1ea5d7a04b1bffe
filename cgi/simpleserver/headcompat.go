package simpleserver

import (
	"io"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/internal/syntax"
)

// isPythonSpace reports what str.isspace holds for white space in ISO 8859-1.
func isPythonSpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r' || 0x1c <= c && c <= 0x1f || c == 0x85 || c == 0xa0
}

// pythonStrip is str.strip.
func pythonStrip(s string) string {
	for s != "" && isPythonSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isPythonSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// pythonSplit is str.split.
func pythonSplit(s string) []string {
	var words []string
	for i := 0; i < len(s); {
		if isPythonSpace(s[i]) {
			i++
			continue
		}
		begin := i
		for i < len(s) && !isPythonSpace(s[i]) {
			i++
		}
		words = append(words, s[begin:i])
	}
	return words
}

// parseLineCompat takes the request line apart as http.server's parse_request does.
func (h *head) parseLineCompat() error {
	words := pythonSplit(h.line)
	if len(words) == 0 {
		return errNoRequest
	}
	if len(words) >= 3 {
		v := words[len(words)-1]
		major, ok := pythonMajor(v)
		switch {
		case !ok:
			return &requestError{code: 400, message: "Bad request version (" + repr(v) + ")", headless: true}
		case len(major) > 1 || major > "1":
			return &requestError{code: 505, message: "Invalid HTTP version (" + v[len("HTTP/"):] + ")", headless: true}
		}
		h.version = v
	}
	err := h.setRequestLine(words)
	if e, ok := err.(*requestError); ok {
		e.headless = h.version == "" || h.version == "HTTP/0.9"
	}
	return err
}

// pythonMajor checks a version of two numbers of at most ten digits, and returns
// the first without its leading zeros.
func pythonMajor(v string) (major string, ok bool) {
	number, ok := strings.CutPrefix(v, "HTTP/")
	if !ok {
		return "", false
	}
	major, minor, ok := strings.Cut(number, ".")
	if !ok || !isNumber(major) || !isNumber(minor) || len(major) > 10 || len(minor) > 10 {
		return "", false
	}
	return strings.TrimLeft(major, "0"), true
}

func isNumber(s string) bool {
	for i := 0; i < len(s); i++ {
		if !syntax.IsDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// fieldsCompat reads the header fields as http.client.parse_headers and the email
// package do: a carriage return ends a line too, the end of the connection ends the
// header, the first line that is no field ends the fields, and a folded value keeps
// its line ends.
func (r *headReader) fieldsCompat(h *head) error {
	var block strings.Builder
	for n := 1; ; n++ {
		line, err := r.fieldLine(n)
		if err != nil && err != io.EOF {
			return headlessOld(err, h)
		}
		block.Write(line)
		if n > r.count {
			return headlessOld(r.tooMany(), h)
		}
		if s := string(line); s == "\r\n" || s == "\n" || s == "" {
			break
		}
	}
	if !h.addCompat(block.String(), r.count) {
		return headlessOld(r.tooMany(), h)
	}
	return nil
}

// headlessOld makes an error of a client of HTTP/0.9 one without a head.
func headlessOld(err error, h *head) error {
	if e, ok := err.(*requestError); ok && h.version == "HTTP/0.9" {
		e.headless = true
	}
	return err
}

// addCompat takes the fields of a header. It reports whether there are at most so many
// lines: those that a carriage return ends have not been counted.
func (h *head) addCompat(block string, most int) bool {
	open := false // a continuation has a field to belong to
	for n := 1; block != ""; n++ {
		line := universalLine(block)
		if n > most+1 { // the last one is empty
			return false
		}
		block = block[len(line):]
		name := emailName(line)
		switch {
		case line[0] == ' ' || line[0] == '\t':
			if open {
				h.fields[len(h.fields)-1].Value += line
			}
		case strings.HasPrefix(line, "From ") || name == 0:
			// A line of an mbox file, and a field without a name, are left out.
			open = false
		case name < 0:
			block = ""
		default:
			h.fields = append(h.fields, cgi.Field{Name: line[:name], Value: strings.TrimLeft(line[name+1:], " \t")})
			open = true
		}
	}
	for i := range h.fields {
		h.fields[i].Value = strings.TrimRight(h.fields[i].Value, "\r\n")
	}
	return true
}

// universalLine returns the first line of s with its end: LF, CR LF or CR.
func universalLine(s string) string {
	i := strings.IndexAny(s, "\r\n")
	switch {
	case i < 0:
		return s
	case strings.HasPrefix(s[i:], "\r\n"):
		return s[:i+2]
	}
	return s[:i+1]
}

// emailName returns the length of the name of the field in line, or -1 if the line
// is none.
func emailName(line string) int {
	for i := 0; i < len(line); i++ {
		if line[i] == ':' {
			return i
		}
		if line[i] <= ' ' || line[i] > '~' {
			return -1
		}
	}
	return -1
}
