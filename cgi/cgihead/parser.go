package cgihead

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/internal/syntax"
)

// DefaultLimit is the default limit on the length of a head, in bytes.
const DefaultLimit = 64 << 10

// Read reads a head from r, in pieces, and returns it together with the bytes of the
// body that were read along with it.
//
// The head may be limit bytes long; zero is DefaultLimit, and a negative limit is none.
// An error that does not come from r is an *[Error].
func Read(r io.Reader, limit int) (head *Head, rest []byte, err error) {
	p := NewParser(limit)
	buf := make([]byte, 4<<10)
	for {
		n, rerr := r.Read(buf)
		k, done, err := p.Feed(buf[:n])
		if err != nil {
			return nil, nil, err
		}
		if done {
			return p.Head(), buf[k:n], nil
		}
		if rerr == io.EOF {
			return nil, nil, p.End()
		}
		if rerr != nil {
			return nil, nil, rerr
		}
	}
}

// A Parser parses a head that arrives in pieces of any size. The result does not depend
// on how the input is cut.
//
// A Parser is lenient where the common web servers are:
//
//   - Lines end in LF or CR LF, in any mixture; extra CRs before the LF are ignored.
//   - The first line may be an HTTP status line.
//   - A status is three digits; the reason may follow in any way, as in the
//     "404: Not Found" of php-cgi.
//   - Location may be relative to the URL of the request. Without a status that is a 302 for
//     the client, which resolves it.
//   - Of several Content-Types the last one counts.
//   - A line "<!--: spam", with which Python's cgitb breaks out of any head, starts the head
//     over: earlier lines are dropped.
//
// Everything else is strict: a line without a colon, a space before the colon, a
// continuation line, a control character, a repeated Location or Status, and contradicting
// Content-Lengths are errors.
type Parser struct {
	limit int
	text  []byte // the lines of the head that count, and a last one that is not complete
	line  int    // where that last line begins
	lines int    // complete lines
	size  int    // bytes of the head so far, of all complete lines
	marks []headMark
	some  bool // any field has been seen

	status, statusLine     headMark
	location               bool
	contentType            int // number of the mark of Content-Type, from 1; 0 if there is none
	types                  int // Content-Types so far
	contentLength          int64
	hasStatus, hasHTTPLine bool

	head Head
	done bool
}

// A headMark says where a name and a value are in Parser.text.
type headMark struct{ name, nameEnd, value, valueEnd int }

// NewParser returns a Parser for one head of at most limit bytes; zero is DefaultLimit,
// and a negative limit is none.
func NewParser(limit int) *Parser {
	p := new(Parser)
	p.Reset(limit)
	return p
}

// Reset makes p ready for another head. The Head of the last one is no longer valid, but
// strings taken from it are.
func (p *Parser) Reset(limit int) {
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 0 {
		limit = 1<<31 - 1
	}
	clear(p.head.Fields)
	if cap(p.text) > DefaultLimit {
		p.text = nil // a pooled parser keeps no memory of a large head
	}
	*p = Parser{limit: limit, text: p.text[:0], marks: p.marks[:0], contentLength: -1,
		head: Head{Fields: p.head.Fields[:0]}}
}

// Head returns the head, once Feed has returned done. It is valid until Reset.
func (p *Parser) Head() *Head { return &p.head }

// Feed parses the next bytes of the output. When the head is done, b[n:] is the beginning
// of the body.
func (p *Parser) Feed(b []byte) (n int, done bool, err error) {
	for n < len(b) && !p.done {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			p.text = append(p.text, b[n:]...)
			n = len(b)
			if len(p.text)-p.line > p.limit-p.size {
				return n, false, p.tooLong()
			}
			break
		}
		p.text = append(p.text, b[n:n+i]...)
		n += i + 1
		if len(p.text)-p.line+1 > p.limit-p.size {
			return n, false, p.tooLong()
		}
		p.size += len(p.text) - p.line + 1
		if err := p.endLine(); err != nil {
			return n, false, err
		}
	}
	return n, p.done, nil
}

// End returns the *[Error] for output that ended before its head did.
func (p *Parser) End() error {
	e := &Error{Kind: ErrMissing, Line: p.lines + 1, Text: excerpt(p.text[p.line:]),
		Reason: "the output ended before the empty line that ends a head"}
	if len(p.text) == 0 && p.lines == 0 {
		e.Reason = "the output is empty"
	}
	if p.lines == 0 && !strings.Contains(e.Text, ":") {
		e.Remedy = printHead
	}
	return e
}

func (p *Parser) tooLong() error {
	line := p.text[p.line:]
	if len(line) > p.limit-p.size {
		line = line[:p.limit-p.size] // as if nothing had come after the limit
	}
	return &Error{Kind: ErrTooLong, Line: p.lines + 1, Text: excerpt(line),
		Reason: fmt.Sprintf("no empty line within %d bytes", p.limit)}
}

// printHead is the remedy for output that begins with the body.
const printHead = `print "Content-Type: text/html" and an empty line first`

// noField is the error of a line that is part of the body, by the looks of it.
func (p *Parser) noField(format string, args ...any) error {
	e := p.errorf(format, args...).(*Error)
	if e.Remedy = printHead; p.some {
		e.Remedy = "print an empty line before it, which ends the head"
	}
	return e
}

func (p *Parser) errorf(format string, args ...any) error {
	return &Error{Kind: ErrMalformed, Line: p.lines, Text: excerpt(p.text[p.line:]), Reason: fmt.Sprintf(format, args...)}
}

// excerpt returns the beginning of a line for a message.
func excerpt(b []byte) string {
	if len(b) > 80 {
		b = b[:80]
	}
	return string(bytes.TrimRight(b, "\r"))
}

// endLine parses the line that has become complete.
func (p *Parser) endLine() error {
	p.lines++
	line := bytes.TrimRight(p.text[p.line:], "\r")
	if len(line) == 0 {
		p.text = p.text[:p.line]
		return p.finishHead()
	}
	keep, err := p.parseLine(line)
	if err != nil {
		return err
	}
	if keep {
		p.line = len(p.text)
	} else {
		p.text = p.text[:p.line]
	}
	return nil
}

// parseLine parses one line and reports whether its text is needed later.
func (p *Parser) parseLine(line []byte) (keep bool, err error) {
	if p.lines == 1 && bytes.HasPrefix(line, []byte("HTTP/")) {
		i := bytes.IndexByte(line, ' ')
		if i < 0 {
			return false, p.errorf("a status line has a status code")
		}
		p.some, p.hasHTTPLine = true, true
		p.statusLine = p.mark(line, 0, i+1)
		return true, p.checkStatus(p.value(p.statusLine))
	}
	if line[0] == ' ' || line[0] == '\t' {
		return false, p.errorf("a field has one line, continuation lines are not allowed")
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return false, p.noField("a line of a head is \"Name: value\"")
	}
	name := line[:colon]
	if bytes.HasPrefix(name, []byte("<!--")) {
		p.startOver()
		return false, nil
	}
	if err := p.checkName(name); err != nil {
		return false, err
	}
	m := p.mark(line, colon, colon+1)
	value := p.value(m)
	for _, c := range value {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return false, p.errorf("control character %#02x in the value", c)
		}
	}
	p.some = true
	return p.addField(name, m, value)
}

// startOver drops the fields so far: they belong to a response that the program gave up.
func (p *Parser) startOver() {
	p.marks, p.some, p.contentLength = p.marks[:0], false, -1
	p.location, p.hasStatus, p.hasHTTPLine = false, false, false
	p.contentType, p.types = 0, 0
	p.head.Traceback = true
}

func (p *Parser) checkName(name []byte) error {
	if len(name) == 0 {
		return p.errorf("the field has no name")
	}
	for i, c := range name {
		if syntax.IsTokenByte(c) {
			continue
		}
		if c == ' ' || c == '\t' {
			return p.errorf("space in the name, or before the colon")
		}
		return p.noField("byte %#02x at offset %d of the name is not allowed", c, i)
	}
	return nil
}

// mark returns where the name and the trimmed value of line are, which is the last
// one of p.text.
func (p *Parser) mark(line []byte, nameEnd, value int) headMark {
	end := len(line)
	for value < end && (line[value] == ' ' || line[value] == '\t') {
		value++
	}
	for end > value && (line[end-1] == ' ' || line[end-1] == '\t') {
		end--
	}
	return headMark{p.line, p.line + nameEnd, p.line + value, p.line + end}
}

func (p *Parser) value(m headMark) []byte { return p.text[m.value:m.valueEnd] }

// addField checks one field and notes it, unless it is dropped.
func (p *Parser) addField(name []byte, m headMark, value []byte) (keep bool, err error) {
	is := func(s string) bool { return len(name) == len(s) && strings.EqualFold(string(name), s) }
	switch {
	case is("Status"):
		if len(value) == 0 {
			return false, nil
		}
		if p.hasStatus {
			return false, p.errorf("Status is given twice")
		}
		p.hasStatus, p.status = true, m
		return true, p.checkStatus(value)
	case is("Content-Type"):
		if len(value) == 0 {
			return false, nil
		}
		if p.contentType > 0 {
			p.marks = slices.Delete(p.marks, p.contentType-1, p.contentType)
		}
		p.contentType = len(p.marks) + 1
		p.types++
	case is("Location"):
		if p.location {
			return false, p.errorf("Location is given twice")
		}
		if len(value) == 0 {
			return false, p.errorf("Location has no value")
		}
		p.location = true
	case is("Content-Length"):
		if len(value) == 0 {
			return false, nil
		}
		n, ok := syntax.ParseLength(string(value))
		if !ok {
			return false, p.errorf("Content-Length is not a number of bytes")
		}
		if p.contentLength >= 0 {
			if p.contentLength != n {
				return false, p.errorf("Content-Length is given twice, as %d and as %d", p.contentLength, n)
			}
			return false, nil
		}
		p.contentLength = n
	case len(name) > 6 && strings.EqualFold(string(name[:6]), "X-CGI-"):
		return false, nil
	}
	p.marks = append(p.marks, m)
	return true, nil
}

// checkStatus checks "404 Not Found", "404: Not Found" or "404".
func (p *Parser) checkStatus(v []byte) error {
	if len(v) < 3 || !syntax.IsDigit(v[0]) || !syntax.IsDigit(v[1]) || !syntax.IsDigit(v[2]) || len(v) > 3 && !endsCode(v[3]) {
		return p.errorf("a status is three digits, a space and a reason")
	}
	if v[0] < '2' {
		return p.errorf("the final status of a response is 200 or more")
	}
	if i := syntax.ControlAt(string(v)); i >= 0 {
		return p.errorf("control character %#02x in the status", v[i])
	}
	return nil
}

// endsCode reports whether c may follow the three digits of a status.
func endsCode(c byte) bool { return c == ' ' || c == '\t' || c == ':' }

// finishHead makes the Head, at its empty line.
func (p *Parser) finishHead() error {
	if !p.some {
		return p.noField("the head has no field")
	}
	text, h := string(p.text), &p.head
	h.ContentLength, h.ContentTypes = p.contentLength, p.types
	for _, m := range p.marks {
		h.Fields = append(h.Fields, cgi.Field{Name: text[m.name:m.nameEnd], Value: text[m.value:m.valueEnd]})
	}
	switch {
	case p.hasStatus:
		h.setStatus(text[p.status.value:p.status.valueEnd])
	case p.hasHTTPLine:
		h.setStatus(text[p.statusLine.value:p.statusLine.valueEnd])
	case p.location:
		h.Code, h.Status = http.StatusFound, "302 Found"
		location := h.Location()
		h.LocalRedirect = len(h.Fields) == 1 && strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//")
	default:
		h.Code, h.Status = http.StatusOK, "200 OK"
	}
	p.done = true
	return nil
}
