package fault

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"gatehouse/cgi/cgihead"
	"gatehouse/fastcgi/record"
	"gatehouse/scgi"
)

// A Protocol is one that a gateway speaks to web servers, by the name that package
// gatehouse has for it.
type Protocol string

const (
	FastCGI Protocol = "fastcgi"
	SCGI    Protocol = "scgi"
	HTTP    Protocol = "http"
)

// Protocols returns all of them.
func Protocols() []Protocol { return []Protocol{FastCGI, SCGI, HTTP} }

// A Request is one that a peer sends, on a connection of its own. With a body it is a POST.
type Request struct {
	Path, Query string // in the form of a URL
	Body        []byte

	// Unannounced leaves the length of the body out, where the protocol can: over FastCGI
	// and HTTP.
	Unannounced bool
}

// Encode returns the bytes of r, and how many of them hold the request: fewer are not a
// whole one, whatever the peer does then.
func (p Protocol) Encode(r Request) (message []byte, needed int) {
	method := "GET"
	if r.Body != nil {
		method = "POST"
	}
	if p == HTTP {
		m := fmt.Appendf(nil, "%s %s?%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n", method, r.Path, r.Query)
		if r.Unannounced {
			m = fmt.Appendf(m, "Transfer-Encoding: chunked\r\n\r\n")
			for chunk := range bytes.SplitAfterSeq(r.Body, []byte("\n")) {
				m = fmt.Appendf(m, "%x\r\n%s\r\n", len(chunk), chunk)
			}
			m = append(m, "0\r\n\r\n"...)
			return m, len(m)
		}
		m = fmt.Appendf(m, "Content-Length: %d\r\n\r\n%s", len(r.Body), r.Body)
		return m, len(m)
	}
	length := strconv.Itoa(len(r.Body))
	vars := [][2]string{{"CONTENT_LENGTH", length}, {"SCGI", "1"}, {"REQUEST_METHOD", method}, {"SCRIPT_NAME", r.Path}, {"QUERY_STRING", r.Query}}
	if p == SCGI {
		var head []byte
		for _, v := range vars {
			head = append(append(append(append(head, v[0]...), 0), v[1]...), 0)
		}
		m := append(scgi.AppendNetstring(nil, head), r.Body...)
		return m, len(m)
	}
	const id = 1
	if r.Unannounced {
		vars[0] = [2]string{"HTTP_TRANSFER_ENCODING", "chunked"}
	}
	var head []byte
	for _, v := range vars {
		head = record.AppendPair(head, v[0], v[1])
	}
	m := record.AppendBegin(nil, id, record.Responder, 0)
	m = record.AppendStream(m, record.Params, id, head)
	m = record.AppendRecord(m, record.Params, id, nil)
	m = record.AppendStream(m, record.Stdin, id, r.Body)
	if !r.Unannounced {
		// The length is known, so that the end says nothing new; nor does padding.
		needed = len(m) - record.Padding(len(r.Body)%record.MaxAligned)
	}
	m = record.AppendRecord(m, record.Stdin, id, nil)
	if needed == 0 {
		needed = len(m)
	}
	return m, needed
}

// An Outcome is what a web server can tell of a response.
type Outcome string

const (
	Whole     Outcome = "whole"
	Truncated Outcome = "truncated" // visibly
	Nothing   Outcome = "nothing"   // not a byte
)

// A Response is what a peer has got.
type Response struct {
	Outcome Outcome
	Status  int // 0 if its head is not whole
	Body    []byte
	Err     error // what a truncation was seen by
}

func (r Response) String() string {
	return fmt.Sprintf("%s, status %d, %d bytes (%.40q), %v", r.Outcome, r.Status, len(r.Body), r.Body, r.Err)
}

var (
	errNoEnd  = errors.New("the end of the response does not come")
	errLength = errors.New("the response is shorter than its Content-Length")
)

// Response returns what a web server makes of the bytes that it has received, after which
// reading ended with err, nil for the end of the connection.
func (p Protocol) Response(received []byte, err error) (r Response) {
	if len(received) == 0 {
		return Response{Outcome: Nothing, Err: err}
	}
	r.Outcome = Whole
	switch p {
	case HTTP:
		r.Err = r.readHTTP(received, err)
	case FastCGI:
		var text []byte
		if text, r.Err = stdout(received); r.Err != nil && err != nil {
			r.Err = err
		}
		r.readHead(text)
	default:
		r.Err = err
		r.readHead(received)
	}
	if r.Err != nil {
		r.Outcome = Truncated
	}
	return r
}

// readHTTP reads a response, after which the connection ended with end.
func (r *Response) readHTTP(received []byte, end error) error {
	from := io.Reader(bytes.NewReader(received))
	if end != nil {
		from = io.MultiReader(from, failing{end})
	}
	h, err := http.ReadResponse(bufio.NewReader(from), nil)
	if err != nil {
		return err
	}
	r.Status = h.StatusCode
	r.Body, err = io.ReadAll(h.Body)
	return err
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// readHead reads a CGI response.
func (r *Response) readHead(text []byte) {
	from := bytes.NewReader(text)
	head, rest, err := cgihead.Read(from, -1)
	if err != nil {
		if r.Err == nil {
			r.Err = err
		}
		return
	}
	r.Status = head.Code
	r.Body = append(rest, text[len(text)-from.Len():]...)
	if r.Err == nil && head.ContentLength > int64(len(r.Body)) {
		r.Err = errLength
	}
}

// stdout returns what the records hold of STDOUT, up to the end of the request.
func stdout(records []byte) (text []byte, err error) {
	from := record.NewReader(bytes.NewReader(records))
	for {
		h, content, err := from.Next()
		switch {
		case err == io.EOF:
			return text, errNoEnd
		case err != nil:
			return text, err
		}
		switch h.Type() {
		case record.Stdout:
			text = append(text, content...)
		case record.EndRequest:
			end, err := record.ParseEnd(content)
			if err == nil && end.ProtocolStatus != record.RequestComplete {
				err = errors.New(end.ProtocolStatus.String())
			}
			return text, err
		}
	}
}
