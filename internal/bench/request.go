//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"gatehouse/fastcgi/record"
)

// A request is what a load sends.
type request struct {
	http     bool   // HTTP instead of FastCGI
	browser  bool   // in HTTP, with all header fields that are among the variables
	keep     bool   // KEEP_CONN, or a connection that HTTP keeps
	id       uint16 // 0 means 1
	filename string // SCRIPT_FILENAME; "" for a common one
	query    string // QUERY_STRING; "" for a common one
	body     int    // length of the body, in bytes
}

// forSize returns a request for a program of the workshop, which takes the length of its
// response from the query.
func forSize(filename string, size int) request {
	q := request{filename: filename}
	if filename != "" {
		q.query = fmt.Sprint("size=", size)
	}
	return q
}

// variables returns what nginx sends with its stock parameters and a common browser.
func (q request) variables() [][2]string {
	method, kind, length := "GET", "", ""
	if q.body > 0 {
		method, kind, length = "POST", "application/octet-stream", fmt.Sprint(q.body)
	}
	filename := q.filename
	if filename == "" {
		filename = "/var/www/html/hello"
	}
	name, query := "/"+path.Base(filename), q.query
	if query == "" {
		query = "a=1&b=two"
	}
	return [][2]string{
		{"QUERY_STRING", query}, {"REQUEST_METHOD", method}, {"CONTENT_TYPE", kind}, {"CONTENT_LENGTH", length},
		{"SCRIPT_NAME", name}, {"REQUEST_URI", name + "?" + query}, {"DOCUMENT_URI", name}, {"DOCUMENT_ROOT", "/var/www/html"},
		{"SERVER_PROTOCOL", "HTTP/1.1"}, {"REQUEST_SCHEME", "http"}, {"GATEWAY_INTERFACE", "CGI/1.1"}, {"SERVER_SOFTWARE", "nginx/1.22.1"},
		{"REMOTE_ADDR", "127.0.0.1"}, {"REMOTE_PORT", "45678"}, {"SERVER_ADDR", "127.0.0.1"}, {"SERVER_PORT", "80"},
		{"SERVER_NAME", "www.example.test"}, {"REDIRECT_STATUS", "200"}, {"HTTP_HOST", "www.example.test"},
		{"HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
		{"HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{"HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"}, {"HTTP_ACCEPT_ENCODING", "gzip, deflate"}, {"HTTP_COOKIE", "session=0123456789abcdef"},
		{"SCRIPT_FILENAME", filename},
	}
}

// environment returns the variables as the environment of a program.
func (q request) environment() []string {
	var env []string
	for _, v := range q.variables() {
		env = append(env, v[0]+"="+v[1])
	}
	return env
}

// scgi returns the SCGI form of a request without a body.
func (q request) scgi() []byte {
	b := []byte("CONTENT_LENGTH\x000\x00SCGI\x001\x00")
	for _, v := range q.variables() {
		if v[0] != "CONTENT_LENGTH" {
			b = append(b, v[0]+"\x00"+v[1]+"\x00"...)
		}
	}
	return fmt.Appendf(nil, "%d:%s,", len(b), b)
}

// head returns the request without its body.
func (q request) head() []byte {
	var pairs []byte
	for _, v := range q.variables() {
		pairs = record.AppendPair(pairs, v[0], v[1])
	}
	var flags byte
	if q.keep {
		flags = record.KeepConn
	}
	id := max(q.id, 1)
	b := record.AppendBegin(nil, id, record.Responder, flags)
	b = record.AppendStream(b, record.Params, id, pairs)
	return record.AppendRecord(b, record.Params, id, nil)
}

// bytes returns a whole request without a body.
func (q request) bytes() []byte {
	if q.http && q.browser {
		return q.browserHead()
	}
	if q.http {
		return fmt.Appendf(nil, "GET /%s?a=1&b=two HTTP/1.1\r\nHost: www.example.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", q.filename)
	}
	return record.AppendRecord(q.head(), record.Stdin, max(q.id, 1), nil)
}

// browserHead returns the request in HTTP without its body, with all header fields that are among
// the variables.
func (q request) browserHead() []byte {
	method, query := "GET", q.query
	if q.body > 0 {
		method = "POST"
	}
	if query == "" {
		query = "a=1&b=two"
	}
	b := fmt.Appendf(nil, "%s /%s?%s HTTP/1.1\r\n", method, path.Base(q.filename), query)
	for _, v := range q.variables() {
		if name, ok := strings.CutPrefix(v[0], "HTTP_"); ok {
			b = fmt.Appendf(b, "%s: %s\r\n", strings.ReplaceAll(name, "_", "-"), v[1])
		}
	}
	if q.body > 0 {
		b = fmt.Appendf(b, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", q.body)
	}
	return append(b, "\r\n"...)
}

// A response is what a side must send. The first response of a side is parsed, and the
// others must be the same bytes. One that differs (net/http/fcgi sends the time of day)
// is parsed as well, and the next ones are compared with it. So every response is
// checked, mostly at the cost of a comparison.
type response struct {
	http  bool
	body  string // after the head
	bytes []byte // the last response that was parsed
}

// complete reports whether b is a complete response; false means that it is the beginning
// of one. Anything else is an error, because speed with wrong responses is worthless.
func (r *response) complete(b []byte) (bool, error) {
	if len(b) <= len(r.bytes) && string(b) == string(r.bytes[:len(b)]) {
		return len(b) == len(r.bytes), nil
	}
	read := parse
	if r.http {
		read = parseHTTP
	}
	stdout, n, err := read(b)
	if err == io.ErrUnexpectedEOF {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if n < len(b) {
		return false, fmt.Errorf("%d bytes after the end of the response", len(b)-n)
	}
	if err := r.check(stdout); err != nil {
		return false, err
	}
	r.bytes = bytes.Clone(b)
	return true, nil
}

// read reads a response into a buffer that can hold it.
func (r *response) read(from io.Reader, buf []byte) error {
	for got := 0; ; {
		n, err := from.Read(buf[got:])
		if err != nil {
			return err
		}
		got += n
		if whole, err := r.complete(buf[:got]); whole || err != nil {
			return err
		}
	}
}

// check checks the contents of STDOUT.
func (r *response) check(stdout []byte) error {
	n := headLen(stdout)
	if n == 0 || string(stdout[n:]) != r.body {
		return fmt.Errorf("the response is not %.20q but %.200q", r.body, stdout)
	}
	return nil
}

// headLen returns the length of a response's header, including the empty line that ends
// it, or 0 if it has not ended.
func headLen(b []byte) int {
	for _, end := range []string{"\r\n\r\n", "\n\n"} {
		if i := bytes.Index(b, []byte(end)); i >= 0 {
			return i + len(end)
		}
	}
	return 0
}

// parse parses the records of one response, and returns the contents of STDOUT and the
// length of the response. The error of an incomplete one is io.ErrUnexpectedEOF.
func parse(b []byte) (stdout []byte, n int, err error) {
	for {
		rest := b[n:]
		if len(rest) < record.HeaderLen {
			return stdout, n, io.ErrUnexpectedEOF
		}
		h := record.Header(rest)
		if h.Version() != record.Version1 || h.ID() != 1 {
			return stdout, n, fmt.Errorf("a record of version %d for id %d", h.Version(), h.ID())
		}
		end := record.HeaderLen + h.ContentLength()
		if len(rest) < end+h.PaddingLength() {
			return stdout, n, io.ErrUnexpectedEOF
		}
		n += end + h.PaddingLength()
		switch content := rest[record.HeaderLen:end]; h.Type() {
		case record.Stdout:
			stdout = append(stdout, content...)
		case record.Stderr:
		case record.EndRequest:
			return stdout, n, checkEnd(content)
		default:
			return stdout, n, fmt.Errorf("a record of %v in a response", h.Type())
		}
	}
}

// parseHTTP is parse for HTTP. It returns a head and the body without its framing.
func parseHTTP(b []byte) (stdout []byte, n int, err error) {
	if headLen(b) == 0 {
		return nil, 0, io.ErrUnexpectedEOF
	}
	r := bufio.NewReader(bytes.NewReader(b))
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s: %.200q", response.Status, body)
	}
	return append([]byte("Status: 200 OK\r\n\r\n"), body...), len(b) - r.Buffered(), err
}

// checkEnd checks the content of END_REQUEST.
func checkEnd(content []byte) error {
	e, err := record.ParseEnd(content)
	if err == nil && (e.AppStatus != 0 || e.ProtocolStatus != record.RequestComplete) {
		err = errors.New("the request ended with " + e.ProtocolStatus.String() + " and " + fmt.Sprint(e.AppStatus))
	}
	return err
}
