package deploy_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"gatehouse/fastcgi/record"
)

// A question is what a client asks of a program.
type question struct {
	path  string // below /cgi-bin/
	query string
	post  int  // bytes of its body; 0 for a GET
	known bool // the length of the body is announced
	cut   int  // bytes of the body that never come

	// sent, if not nil, returns when the client is to leave, which has sent all that it will.
	sent func()

	// arrived is told how much of the answer's body has come, at first when its head has.
	// The client leaves when it returns true.
	arrived func(n int64) (leave bool)
}

// A outcome is how an answer ended, as its client sees it.
type outcome string

const (
	whole  outcome = "whole"
	broken outcome = "broken"
	left   outcome = "left" // by the client itself
)

// A result is what came of a question.
type result struct {
	status int
	body   int64
	text   string // the beginning of the body
	sum    uint32 // CRC of the body
	end    outcome
	err    error // what broken was seen by
}

func (r result) String() string {
	return fmt.Sprintf("status %d, %d bytes (%.30q), %s (%v)", r.status, r.body, r.text, r.end, r.err)
}

// textLen is how much of an answer is kept.
const textLen = 4096

// take takes a part of the body, and reports whether the client leaves.
func (r *result) take(p []byte, q *question) bool {
	r.body += int64(len(p))
	r.sum = crc32.Update(r.sum, crc32.IEEETable, p)
	r.text += string(p[:min(len(p), textLen-len(r.text))])
	return q.arrived != nil && q.arrived(r.body)
}

// records is the question as FastCGI has it, without its body.
func (q *question) records() []byte {
	pairs := [][2]string{
		{"REQUEST_METHOD", "GET"},
		{"SCRIPT_NAME", "/cgi-bin/" + q.path},
		{"REQUEST_URI", "/cgi-bin/" + q.path + "?" + q.query},
		{"QUERY_STRING", q.query},
		{"SERVER_PROTOCOL", "HTTP/1.1"},
		{"SERVER_NAME", "localhost"},
		{"SERVER_PORT", "80"},
		{"REMOTE_ADDR", "127.0.0.1"},
	}
	switch {
	case q.post > 0 && q.known:
		pairs = append(pairs, [2]string{"CONTENT_LENGTH", strconv.Itoa(q.post)})
	case q.post > 0:
		pairs = append(pairs, [2]string{"HTTP_TRANSFER_ENCODING", "chunked"})
	}
	if q.post > 0 {
		pairs[0][1] = "POST"
	}
	var params []byte
	for _, p := range pairs {
		params = record.AppendPair(params, p[0], p[1])
	}
	b := record.AppendBegin(nil, 1, record.Responder, 0)
	b = record.AppendStream(b, record.Params, 1, params)
	return record.AppendRecord(b, record.Params, 1, nil)
}

// send sends the body. An error is the answer's, if it matters.
func (q *question) send(w io.Writer) {
	chunk := make([]byte, 32<<10)
	for i := range chunk {
		chunk[i] = 'p'
	}
	for n := q.post - q.cut; n > 0; {
		part := min(n, len(chunk))
		if _, err := w.Write(record.AppendRecord(nil, record.Stdin, 1, chunk[:part])); err != nil {
			return
		}
		n -= part
	}
	if q.cut == 0 {
		w.Write(record.AppendRecord(nil, record.Stdin, 1, nil))
	}
}

// ask asks by FastCGI, on a connection of its own.
func (q *question) ask(socket string) (r result) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return result{end: broken, err: err}
	}
	conn.SetDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	defer func() {
		conn.Close()
		<-sent
	}()
	if _, err := conn.Write(q.records()); err != nil {
		close(sent)
		return result{end: broken, err: err}
	}
	go func() {
		defer close(sent)
		q.send(conn)
		if q.sent != nil {
			q.sent()
			conn.Close()
		}
	}()
	var head []byte
	for in := record.NewReader(conn); ; {
		h, content, err := in.Next()
		if err != nil {
			r.end, r.err = broken, err
			if errors.Is(err, net.ErrClosed) {
				r.end = left
			}
			return r
		}
		switch h.Type() {
		case record.Stdout:
			if r.status == 0 {
				head = append(head, content...)
				text, rest, ok := strings.Cut(string(head), "\r\n\r\n")
				if !ok {
					continue
				}
				if _, err := fmt.Sscanf(text, "Status: %d", &r.status); err != nil {
					r.end, r.err = broken, fmt.Errorf("head %q: %w", text, err)
					return r
				}
				content = []byte(rest)
			}
			if r.take(content, q) {
				r.end = left
				return r
			}
		case record.EndRequest:
			e, err := record.ParseEnd(content)
			if err == nil && (e.ProtocolStatus != record.RequestComplete || r.status == 0) {
				err = errors.New("an end without an answer")
			}
			r.end, r.err = whole, err
			if err != nil {
				r.end = broken
			}
			return r
		}
	}
}
