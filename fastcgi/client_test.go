package fastcgi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// A testServer is a Server on a socket of its own.
type testServer struct {
	*Server
	t     testing.TB
	addr  net.Addr
	pipes *pipeListener // in place of a socket
	logs  *testkit.Log
}

// serve starts s on a unix socket, on TCP, or in memory, which is for bubbles, until the
// test ends.
func serve(t testing.TB, network string, s *Server) *testServer {
	t.Helper()
	ts := &testServer{Server: s, t: t, logs: new(testkit.Log)}
	s.Log = ts.logs.Logger()
	if s.Handler == nil {
		s.Handler = new(cgi.Handler)
	}
	s.Handler.Log = s.Log
	var l net.Listener
	if network == "memory" {
		ts.pipes = newPipeListener()
		l = ts.pipes
	} else {
		l = testkit.Listen(t, network)
	}
	ts.addr = l.Addr()
	testkit.Serve(t, s, l, ErrServerClosed)
	return ts
}

// A client is the web server's side of a connection.
type client struct {
	t testing.TB
	net.Conn
	r *record.Reader
}

func (ts *testServer) dial() *client {
	ts.t.Helper()
	var c net.Conn
	if ts.pipes != nil {
		c = ts.pipes.dial(0, true)
		ts.t.Cleanup(func() { c.Close() })
	} else {
		c = testkit.Dial(ts.t, ts.addr)
	}
	c.SetDeadline(time.Now().Add(testkit.Patience))
	return &client{ts.t, c, record.NewReader(c)}
}

func (c *client) send(parts ...[]byte) {
	c.t.Helper()
	if _, err := c.Write(bytes.Join(parts, nil)); err != nil {
		c.t.Fatal(err)
	}
}

func begin(id uint16, flags byte) []byte {
	return record.AppendBegin(nil, id, record.Responder, flags)
}

func params(id uint16, vars ...string) []byte {
	var p []byte
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		p = record.AppendPair(p, name, value)
	}
	return record.AppendHeader(record.AppendStream(nil, record.Params, id, p), record.Params, id, 0, 0)
}

func stdin(id uint16, data string) []byte {
	return record.AppendStream(nil, record.Stdin, id, []byte(data))
}

func endStdin(id uint16) []byte { return record.AppendHeader(nil, record.Stdin, id, 0, 0) }

func abort(id uint16) []byte { return record.AppendHeader(nil, record.AbortRequest, id, 0, 0) }

// get is a whole request without a body.
func get(id uint16, flags byte, vars ...string) []byte {
	vars = append([]string{"REQUEST_METHOD=GET", "CONTENT_LENGTH="}, vars...)
	return bytes.Join([][]byte{begin(id, flags), params(id, vars...), endStdin(id)}, nil)
}

// post is a request with its body.
func post(id uint16, flags byte, body string, vars ...string) []byte {
	vars = append([]string{"REQUEST_METHOD=POST", "CONTENT_LENGTH=" + strconv.Itoa(len(body))}, vars...)
	return bytes.Join([][]byte{begin(id, flags), params(id, vars...), stdin(id, body), endStdin(id)}, nil)
}

// An answer is what came for one request.
type answer struct {
	stdout, stderr string
	ended          bool
	end            record.End
}

// next reads a record.
func (c *client) next() (record.Type, uint16, []byte, error) {
	h, content, err := c.r.Next()
	if err != nil {
		return 0, 0, nil, err
	}
	return h.Type(), h.ID(), content, nil
}

// collect reads records into answers until n requests have ended, or the
// connection has, in which case it returns the error.
func (c *client) collect(answers map[uint16]*answer, n int) error {
	for n > 0 {
		typ, id, content, err := c.next()
		if err != nil {
			return err
		}
		a := answers[id]
		if a == nil {
			a = new(answer)
			answers[id] = a
		}
		if a.ended {
			c.t.Errorf("%v record for request %d after its END_REQUEST", typ, id)
		}
		switch typ {
		case record.Stdout:
			a.stdout += string(content)
		case record.Stderr:
			a.stderr += string(content)
		case record.EndRequest:
			a.ended = true
			if a.end, err = record.ParseEnd(content); err != nil {
				c.t.Error(err)
			}
			n--
		default:
			c.t.Errorf("unexpected %v record for request %d", typ, id)
		}
	}
	return nil
}

// answer reads the answer of one request to its end.
func (c *client) answer(id uint16) *answer {
	c.t.Helper()
	answers := make(map[uint16]*answer)
	if err := c.collect(answers, 1); err != nil {
		c.t.Fatalf("reading the answer of request %d: %v", id, err)
	}
	if answers[id] == nil || len(answers) != 1 {
		c.t.Fatalf("answers for %v, want one for %d", answers, id)
	}
	return answers[id]
}

// closed checks that the server closes the connection, without another record.
func (c *client) closed() {
	c.t.Helper()
	typ, id, _, err := c.next()
	if err == nil {
		c.t.Fatalf("%v record for request %d, want the connection closed", typ, id)
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		c.t.Fatal("the connection was not closed")
	}
}

var hello = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := w.StartResponse("200 OK", []cgi.Field{{Name: "Content-Type", Value: "text/plain"}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "hello world\n")
	return err
})

const helloAnswer = "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello world\n"

// echo answers with the body.
var echo = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := w.StartResponse("200 OK", nil); err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
})

// body cuts the head off an answer.
func bodyOf(t testing.TB, a *answer) string {
	t.Helper()
	_, b, ok := strings.Cut(a.stdout, "\r\n\r\n")
	if !ok {
		t.Fatalf("no head in %q", a.stdout)
	}
	return b
}

// untilCancelled waits for the request's context.
func untilCancelled(r *cgi.Request) error {
	<-r.Context().Done()
	return context.Cause(r.Context())
}
