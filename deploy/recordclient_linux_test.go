package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"sync"

	"gatehouse/cgi"
	"gatehouse/fastcgi/client"
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

// variables are those of the question.
func (q *question) variables() *cgi.Environ {
	env := cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/cgi-bin/"+q.path, "REQUEST_URI=/cgi-bin/"+q.path+"?"+q.query,
		"QUERY_STRING="+q.query, "SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=localhost", "SERVER_PORT=80", "REMOTE_ADDR=127.0.0.1")
	if q.post > 0 {
		env.Set("REQUEST_METHOD", "POST")
		if q.known {
			env.Set("CONTENT_LENGTH", strconv.Itoa(q.post))
		} else {
			env.Set("HTTP_TRANSFER_ENCODING", "chunked")
		}
	}
	return env
}

// An upload is the body of a question. One that is cut has no end.
type upload struct {
	left   int
	cut    bool
	closed chan struct{}
	once   sync.Once
	sent   chan struct{} // closed when all has been sent that will be
}

func (u *upload) Read(p []byte) (int, error) {
	if u.left == 0 && u.cut {
		u.once.Do(func() { close(u.sent) })
		<-u.closed
		return 0, io.ErrUnexpectedEOF
	}
	if u.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), u.left)
	for i := range n {
		p[i] = 'p'
	}
	u.left -= n
	return n, nil
}

func (u *upload) Close() error {
	close(u.closed)
	u.once.Do(func() { close(u.sent) })
	return nil
}

// ask asks by FastCGI, on a connection of its own.
func (q *question) ask(socket string) (r result) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := client.Dial(ctx, "unix", socket)
	if err != nil {
		return result{end: broken, err: err}
	}
	body := &upload{left: q.post - q.cut, cut: q.cut > 0, closed: make(chan struct{}), sent: make(chan struct{})}
	var leaving sync.WaitGroup
	defer leaving.Wait()
	defer conn.Close()
	if q.sent != nil {
		leaving.Go(func() {
			<-body.sent
			q.sent()
			conn.Close()
		})
	}
	resp, err := conn.Do(ctx, &client.Request{Params: q.variables().All(), Stdin: body})
	if err == nil {
		defer resp.Close()
		r.status = resp.Head.Code
		if r.take(nil, q) {
			r.end = left
			return r
		}
		buf := make([]byte, 32<<10)
		for n := 0; err == nil; {
			n, err = resp.Read(buf)
			if r.take(buf[:n], q) {
				r.end = left
				return r
			}
		}
	}
	switch {
	case err == io.EOF:
		r.end = whole
	case errors.Is(err, client.ErrClosed):
		r.end, r.err = left, err
	default:
		r.end, r.err = broken, err
	}
	return r
}
