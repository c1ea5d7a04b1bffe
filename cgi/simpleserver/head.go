package simpleserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/internal/syntax"
)

// headLimits bound the head of a request.
type headLimits struct {
	line, field int  // bytes of the request line, and of a line of a field, with their ends
	count       int  // lines of fields
	bytes       int  // of all
	compat      bool // read it as http.server does
}

// A head is the head of a request. All of it is ISO 8859-1, as it came.
type head struct {
	line    string // the request line without its end
	method  string
	target  string
	version string // such as "HTTP/1.0"
	fields  []cgi.Field
}

// errNoRequest: the client closed the connection, or sent an empty line.
var errNoRequest = errors.New("no request")

// errLineTooLong: a line does not end where it must.
var errLineTooLong = errors.New("line too long")

// A headReader reads a head, line by line.
type headReader struct {
	headLimits
	in   *bufio.Reader
	read int // bytes of the head so far
}

// readHead reads the head of a request. The error is errNoRequest, a
// *requestError, or one of in. The head is filled in as far as it was read.
func readHead(in *bufio.Reader, l headLimits) (*head, error) {
	r := &headReader{headLimits: l, in: in}
	h := new(head)
	line, err := r.requestLine()
	h.line = strings.TrimRight(string(line), "\r\n")
	if err == nil {
		if l.compat {
			err = h.parseLineCompat()
		} else {
			err = h.parseLine()
		}
	}
	if err != nil {
		return h, err
	}
	switch {
	case l.compat:
		err = r.fieldsCompat(h)
	case h.version != "HTTP/0.9":
		err = r.fields(h)
	}
	return h, err
}

// requestLine reads the first line. One empty line in front of it is skipped (RFC
// 9112 § 2.2), though not by http.server.
func (r *headReader) requestLine() ([]byte, error) {
	line, err := r.readLine(r.line)
	if err == nil && !r.compat && len(bytes.TrimRight(line, "\r\n")) == 0 {
		line, err = r.readLine(r.line)
	}
	switch {
	case err == errLineTooLong:
		return nil, &requestError{code: 414}
	case err == io.EOF && len(line) == 0:
		return nil, errNoRequest
	case err == io.EOF && r.compat:
		return line, nil
	case err == io.EOF:
		return line, errIncomplete
	}
	return line, err
}

// errIncomplete is a head that broke off. Nobody knows what it was going to ask.
var errIncomplete = &requestError{code: 400, explain: "the request ended before its header did"}

// readLine reads a line with its end, which has limit bytes at most, and waits for
// no more than tells that it is longer. At the end of the connection it returns
// what there is, and io.EOF.
func (r *headReader) readLine(limit int) ([]byte, error) {
	var line []byte
	for {
		if _, err := r.in.Peek(1); err != nil {
			return line, err
		}
		part, _ := r.in.Peek(min(r.in.Buffered(), limit+1-len(line)))
		end := bytes.IndexByte(part, '\n')
		if end >= 0 {
			part = part[:end+1]
		}
		line = append(line, part...)
		r.read += len(part)
		r.in.Discard(len(part))
		if len(line) > limit {
			return nil, errLineTooLong
		}
		if end >= 0 {
			return line, nil
		}
	}
}

// parseLine takes the request line apart (RFC 9112 § 3), with any number of spaces
// and tabs between its words.
func (h *head) parseLine() error {
	for i := 0; i < len(h.line); i++ {
		if c := h.line[i]; c < ' ' && c != '\t' || c == 0x7f {
			return &requestError{code: 400, explain: fmt.Sprintf("control character in the request line at offset %d", i)}
		}
	}
	words := strings.FieldsFunc(h.line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 {
		return errNoRequest
	}
	if len(words) >= 3 {
		if err := h.parseVersion(words[len(words)-1]); err != nil {
			return err
		}
	}
	if err := h.setRequestLine(words); err != nil {
		return err
	}
	if !syntax.IsToken(h.method) || h.version == "HTTP/0.9" && h.method != "GET" {
		return &requestError{code: 400, message: "Bad request method (" + repr(h.method) + ")"}
	}
	return nil
}

// parseVersion takes a version of one digit each, from 0.9 to 1.9.
func (h *head) parseVersion(v string) error {
	ok := len(v) == 8 && v[:5] == "HTTP/" && syntax.IsDigit(v[5]) && v[6] == '.' && syntax.IsDigit(v[7])
	switch {
	case !ok || v[5] == '0' && v != "HTTP/0.9":
		return &requestError{code: 400, message: "Bad request version (" + repr(v) + ")"}
	case v[5] > '1':
		return &requestError{code: 505, message: "Invalid HTTP version (" + v[5:] + ")"}
	}
	h.version = v
	return nil
}

// setRequestLine takes the words of a request line whose version has been checked.
func (h *head) setRequestLine(words []string) error {
	switch {
	case len(words) < 2 || len(words) > 3:
		return &requestError{code: 400, message: "Bad request syntax (" + repr(h.line) + ")"}
	case len(words) == 2 && words[0] != "GET":
		return &requestError{code: 400, message: "Bad HTTP/0.9 request type (" + repr(words[0]) + ")"}
	case len(words) == 2:
		h.version = "HTTP/0.9"
	}
	h.method, h.target = words[0], words[1]
	if strings.HasPrefix(h.target, "//") {
		// A client would take a link made of it for one to another host.
		h.target = "/" + strings.TrimLeft(h.target, "/")
	}
	return nil
}

// fields reads the header fields and the empty line (RFC 9112 § 5).
func (r *headReader) fields(h *head) error {
	for n := 0; ; n++ {
		line, err := r.fieldLine(n)
		if err == io.EOF {
			return errIncomplete
		}
		if err != nil {
			return err
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if text == "" {
			return nil
		}
		if n == r.count {
			return r.tooMany()
		}
		if err := h.addLine(text); err != nil {
			return err
		}
	}
}

// fieldLine reads a line of the header, the nth.
func (r *headReader) fieldLine(n int) ([]byte, error) {
	line, err := r.readLine(r.field)
	switch {
	case err == errLineTooLong:
		return nil, &requestError{code: 431, message: "Line too long",
			explain: fmt.Sprintf("got more than %d bytes when reading header line", r.field)}
	case r.read > r.bytes:
		return nil, &requestError{code: 431, message: "Too many headers",
			explain: fmt.Sprintf("got more than %d bytes of headers", r.bytes)}
	}
	return line, err
}

func (r *headReader) tooMany() error {
	return &requestError{code: 431, message: "Too many headers", explain: fmt.Sprintf("got more than %d headers", r.count)}
}

// addLine takes a line of the header. One that begins with a space or a tab goes on
// with the field before (RFC 9112 § 5.2).
func (h *head) addLine(line string) error {
	for i := 0; i < len(line); i++ {
		if c := line[i]; c < ' ' && c != '\t' || c == 0x7f {
			return &requestError{code: 400, explain: fmt.Sprintf("control character %#02x in the header", c)}
		}
	}
	if line[0] == ' ' || line[0] == '\t' {
		if len(h.fields) == 0 {
			return &requestError{code: 400, explain: "the header begins with a continuation line"}
		}
		if more := strings.Trim(line, " \t"); more != "" {
			f := &h.fields[len(h.fields)-1]
			f.Value = strings.TrimLeft(f.Value+" "+more, " ")
		}
		return nil
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok || !syntax.IsToken(name) {
		return &requestError{code: 400, explain: "a line of the header is not a field: " + repr(line[:min(len(line), 80)])}
	}
	h.fields = append(h.fields, cgi.Field{Name: name, Value: strings.Trim(value, " \t")})
	return nil
}

// append appends the head as it would be sent.
func (h *head) append(b []byte) []byte {
	b = append(b, h.method+" "+h.target...)
	if h.version != "" {
		b = append(b, " "+h.version...)
	}
	b = append(b, "\r\n"...)
	for _, f := range h.fields {
		b = append(b, f.Name+": "+f.Value+"\r\n"...)
	}
	return append(b, "\r\n"...)
}

// get returns the value of the first field of that name, and whether there is one.
func (h *head) get(name string) (string, bool) {
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}
