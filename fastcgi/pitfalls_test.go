package fastcgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// fate is an application that ends in the way that FATE names.
var fate = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	switch r.Env.Get("FATE") {
	case "nothing":
		return nil
	case "error":
		return errors.New("fails")
	case "refusal":
		return &cgi.StatusError{Code: 404}
	case "panic":
		panic("the test")
	case "empty":
		return w.StartResponse("200 OK", nil)
	case "flushed":
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		return w.Flush()
	case "no content":
		return w.StartResponse("204 No Content", nil)
	}
	return hello(w, r)
})

// TestAnswerBeginsWithAHead: whatever becomes of an application, the first record of
// its answer is STDOUT with a head: nginx takes an empty one for a broken answer. One
// empty record ends the stream, and one END_REQUEST the answer.
func TestAnswerBeginsWithAHead(t *testing.T) {
	c := serve(t, "unix", &Server{App: fate}).dial()
	for _, method := range []string{"GET", "HEAD", "POST"} {
		for name, status := range map[string]string{
			"nothing": "500", "error": "500", "refusal": "404", "panic": "500",
			"empty": "200", "flushed": "200", "no content": "204", "hello": "200",
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				c.send(begin(1, record.KeepConn), params(1, "REQUEST_METHOD="+method, "FATE="+name), endStdin(1))
				var got []string
				for typ := record.Type(0); typ != record.EndRequest; {
					var id uint16
					var content []byte
					var err error
					if typ, id, content, err = c.next(); err != nil {
						t.Fatal(err)
					}
					if len(got) == 0 && !bytes.HasPrefix(content, []byte("Status: "+status+" ")) {
						t.Errorf("the first record is %v %q; want a head with status %s", typ, content, status)
					}
					got = append(got, fmt.Sprint(typ, " ", id, " ", min(len(content), 1)))
				}
				if n := len(got); n < 3 || got[n-2] != "FCGI_STDOUT 1 0" || got[n-1] != "FCGI_END_REQUEST 1 1" ||
					strings.Count(strings.Join(got, ","), "FCGI_STDOUT 1 0") != 1 {
					t.Errorf("records %q; want one empty STDOUT before the END_REQUEST", got)
				}
			})
		}
	}
}

// TestNothingUnasked: on a connection that has sent no management record there is
// nothing but STDOUT and END_REQUEST, and on a kept one nothing behind that.
func TestNothingUnasked(t *testing.T) {
	c := serve(t, "unix", &Server{App: fate}).dial()
	requests := 0
	for _, name := range []string{"nothing", "panic", "hello", "empty", "hello"} {
		// What is left of a body, and what belongs to no request, asks for no answer.
		c.send(begin(1, record.KeepConn), params(1, "FATE="+name, "CONTENT_LENGTH=10"), stdin(1, "12345"), stdin(1, "67890"),
			endStdin(1), stdin(1, "late"), abort(1), stdin(9, "stray"), endStdin(9))
		requests++
	}
	for range requests {
		c.answer(1)
	}
	c.send(record.AppendRecord(nil, record.GetValues, 0, nil))
	if typ, id, _, err := c.next(); typ != record.GetValuesResult || id != 0 || err != nil {
		t.Errorf("then came %v of request %d, %v; want only what was asked for", typ, id, err)
	}
}

// TestBodyIsNoRequest: the body that an application left unread may hold records,
// and none of them counts.
func TestBodyIsNoRequest(t *testing.T) {
	c := serve(t, "unix", &Server{App: hello}).dial()
	evil := string(get(1, record.KeepConn)) + string(abort(1)) + string(raw(1, 9, 0, "", 0, 0))
	for range 3 {
		c.send(post(1, record.KeepConn, strings.Repeat(evil, 1000)))
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("got %q", a.stdout)
		}
	}
	c.send(get(1, 0))
	c.answer(1)
	c.closed()
}

// TestAnswerWhileTheBodyComes: an application writes much before it reads much, and
// the web server reads nothing before it has sent all.
func TestAnswerWhileTheBodyComes(t *testing.T) {
	const size = 4 << 20
	large := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		if _, err := w.Write(large); err != nil {
			return err
		}
		n, err := io.Copy(w, r.Body)
		if n != size {
			t.Errorf("the body has %d bytes, %v; want %d", n, err, size)
		}
		return err
	})
	for _, network := range []string{"unix", "tcp"} {
		c := serve(t, network, &Server{App: app}).dial()
		for _, id := range []uint16{1, 7} {
			c.send(post(id, record.KeepConn, string(large)))
			if a := c.answer(id); bodyOf(t, a) != string(large)+string(large) {
				t.Errorf("%s, request %d: the answer is not what was written", network, id)
			}
		}
	}
}

// TestVariableNames: a variable without a name ends its request with an answer, and
// a name with "=" in it is the application's to judge.
func TestVariableNames(t *testing.T) {
	c := serve(t, "unix", &Server{App: vars}).dial()
	send := func(name, value string) *answer {
		c.send(begin(1, record.KeepConn), raw(1, 4, 1, string(record.AppendPair(nil, name, value)), 0, 0), raw(1, 4, 1, "", 0, 0), endStdin(1))
		return c.answer(1)
	}
	for name, status := range map[string]string{"": "400", "A\x00B": "400", "A=B": "200", strings.Repeat("N", 300): "200"} {
		a := send(name, "value")
		if !strings.HasPrefix(a.stdout, "Status: "+status+" ") {
			t.Errorf("%.20q: got %q; want %s", name, a.stdout, status)
		}
		if status == "200" && bodyOf(t, a) != name+"=value\n" {
			t.Errorf("%.20q: got %q", name, bodyOf(t, a))
		}
	}
}

// TestIdleConnectionsHoldNobodyUp: connections that are kept, or opened ahead of
// their first request, are nobody's turn.
func TestIdleConnectionsHoldNobodyUp(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello, Limits: cgi.Limits{Requests: 1}})
	var kept []*client
	for range 200 {
		ts.dial() // ahead of its request
		c := ts.dial()
		c.send(get(1, record.KeepConn))
		c.answer(1)
		kept = append(kept, c)
	}
	c := ts.dial()
	c.send(get(1, 0))
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("beside idle connections: got %q", a.stdout)
	}
	for _, c := range kept {
		c.send(get(1, 0))
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("after being idle: got %q", a.stdout)
		}
	}
}
