package cgi

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
)

// An orderedSink notes what comes after what.
type orderedSink struct {
	textSink
	body   *orderedBody
	closed int // how often the body had been closed at Finish
}

func (s *orderedSink) Finish(o Outcome) error {
	s.closed = s.body.closed
	return s.textSink.Finish(o)
}

// An orderedBody yields its blocks, then does as it is told.
type orderedBody struct {
	blocks   []string
	last     func() ([]byte, error)
	closing  func() error
	env      *Environ
	closed   int
	orphaned bool // the variables did not know their request at Close
}

func (b *orderedBody) Next() ([]byte, error) {
	if len(b.blocks) > 0 {
		block := b.blocks[0]
		b.blocks = b.blocks[1:]
		return []byte(block), nil
	}
	if b.last != nil {
		return b.last()
	}
	return nil, io.EOF
}

func (b *orderedBody) Len() int { return -1 }

func (b *orderedBody) Close() error {
	b.closed++
	b.orphaned = b.env.Request() == nil
	if b.closing != nil {
		return b.closing()
	}
	return nil
}

// TestWSGIBodyIsClosed: exactly once, while the request is still there, and before
// the sink gets the end, whatever happens.
func TestWSGIBodyIsClosed(t *testing.T) {
	broken := errors.New("broken")
	fails := func() ([]byte, error) { return nil, broken }
	panics := func() ([]byte, error) { panic("overboard") }
	for name, c := range map[string]struct {
		body    orderedBody
		status  string
		beside  error // what the application returns with the body
		failing error // of the sink
		end     End
	}{
		"success":                  {status: "200 OK", body: orderedBody{blocks: []string{"a", "b"}}},
		"no block":                 {status: "200 OK"},
		"an error":                 {status: "200 OK", body: orderedBody{blocks: []string{"a"}, last: fails}, end: Truncated},
		"an error first":           {status: "200 OK", body: orderedBody{last: fails}},
		"a panic":                  {status: "200 OK", body: orderedBody{blocks: []string{"a"}, last: panics}, end: Truncated},
		"a panic first":            {status: "200 OK", body: orderedBody{last: panics}},
		"the client is gone":       {status: "200 OK", body: orderedBody{blocks: []string{"a", "b"}}, failing: syscall.EPIPE, end: Aborted},
		"the request is given up":  {status: "200 OK", body: orderedBody{last: func() ([]byte, error) { return nil, ErrAborted }}, end: Aborted},
		"no head":                  {status: "2", body: orderedBody{blocks: []string{"a"}}},
		"beside an error":          {status: "200 OK", beside: broken},
		"Close fails":              {status: "200 OK", body: orderedBody{blocks: []string{"a"}, closing: func() error { return broken }}, end: Truncated},
		"Close panics":             {status: "200 OK", body: orderedBody{blocks: []string{"a"}, closing: func() error { panic("overboard") }}, end: Truncated},
		"Close panics in a panic":  {status: "200 OK", body: orderedBody{last: panics, closing: func() error { panic("overboard") }}},
		"Close finds it given up":  {status: "200 OK", body: orderedBody{closing: func() error { return ErrAborted }}, end: Aborted},
		"the answer is broken off": {status: "200 OK", body: orderedBody{last: func() ([]byte, error) { return nil, io.ErrUnexpectedEOF }}},
	} {
		t.Run(name, func(t *testing.T) {
			body := &c.body
			sink := &orderedSink{textSink: textSink{failing: c.failing}, body: body}
			h := &Handler{Log: quiet}
			res := h.Run(&Request{Env: NewEnviron("REQUEST_METHOD=GET")}, sink, WSGI(func(env *Environ, start StartResponse) (Body, error) {
				body.env = env
				start(c.status, nil, nil)
				return body, c.beside
			}))
			if body.closed != 1 || sink.closed != 1 || body.orphaned {
				t.Errorf("closed %d times, %d before the end, orphaned %v", body.closed, sink.closed, body.orphaned)
			}
			if res.End != c.end || sink.finished[0].End != c.end {
				t.Errorf("%v: %v", res.End, res.Err)
			}
		})
	}
}

// TestWSGIStartSendsNothing: start stores, and the head is sent with the first block
// that is not empty.
func TestWSGIStartSendsNothing(t *testing.T) {
	sink := new(textSink)
	r := &Request{Env: NewEnviron("REQUEST_METHOD=GET")}
	new(Handler).Run(r, sink, WSGI(func(env *Environ, start StartResponse) (Body, error) {
		write, err := start("200 OK", nil, nil)
		if err != nil {
			return nil, err
		}
		if err := write(nil); err != nil || sink.heads+sink.flushes != 0 {
			t.Errorf("an empty block: %v, %d heads, %d flushes", err, sink.heads, sink.flushes)
		}
		if err := write([]byte("a")); err != nil || sink.heads != 1 || sink.flushes != 1 {
			t.Errorf("a block: %v, %d heads, %d flushes", err, sink.heads, sink.flushes)
		}
		return Blocks(nil, []byte("b")), nil
	}))
	if sink.String() != "Status: 200 OK\r\n\r\nab" {
		t.Errorf("got %q", sink)
	}
}

// TestWSGILateUse: what start returned, and start, reach no other request.
func TestWSGILateUse(t *testing.T) {
	var late WriteFunc
	var lateStart StartResponse
	h := &Handler{Log: quiet}
	h.Run(&Request{Env: new(Environ)}, new(textSink), WSGI(func(env *Environ, start StartResponse) (_ Body, err error) {
		lateStart = start
		late, err = start("200 OK", nil, nil)
		return Blocks(), err
	}))
	sink := new(textSink)
	h.Run(&Request{Env: new(Environ)}, sink, WSGI(func(env *Environ, start StartResponse) (Body, error) {
		if _, err := start("200 OK", nil, nil); err != nil {
			return nil, err
		}
		if err := late([]byte("late")); err == nil {
			t.Error("write works after the end")
		}
		for _, cause := range []error{nil, errReturned} {
			if write, err := lateStart("500 Late", nil, cause); err == nil || write([]byte("late")) == nil {
				t.Error("start works after the end")
			}
		}
		return Blocks(), nil
	}))
	if sink.String() != "Status: 200 OK\r\nContent-Length: 0\r\n\r\n" {
		t.Errorf("got %q", sink)
	}
}

// TestWSGISingleBlock: the one block of a body that says so has its length stated,
// however long it is; a body that has more is cut.
func TestWSGISingleBlock(t *testing.T) {
	long := strings.Repeat("x", bufferedBytes+1)
	const head = "Status: 200 OK\r\n"
	withLength := func(n int) string { return fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, n) }
	wsgi(t, yields(long)).want(t, Complete, withLength(len(long))+long)
	serveWith(t, new(Handler), &Request{Env: NewEnviron("REQUEST_METHOD=HEAD")}, yields(long)).want(t, Complete, withLength(len(long)))
	wsgi(t, yields(long, long)).want(t, Complete, head+"\r\n"+long+long)
	wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
		_, err := start("304 Not Modified", nil, nil)
		return Blocks([]byte(long)), err
	}).want(t, Complete, "Status: 304 Not Modified\r\n\r\n")

	r := wsgi(t, returns(oneOf{Blocks([]byte("da"), []byte("ta"))}))
	r.want(t, Complete, withLength(2)+"da")
	if !errors.Is(r.result.Err, ErrContentLength) {
		t.Errorf("error %v", r.result.Err)
	}

	// A cut is not all that the log tells if there is more.
	broken := errors.New("broken")
	r = wsgi(t, returns(failingClose{oneOf{Blocks([]byte("da"), []byte("ta"))}, broken}))
	r.want(t, Complete, withLength(2)+"da")
	if !errors.Is(r.result.Err, ErrContentLength) || !errors.Is(r.result.Err, broken) {
		t.Errorf("error %v", r.result.Err)
	}
}

// oneOf says that it has one block.
type oneOf struct{ Body }

func (oneOf) Len() int { return 1 }

// TestWSGINext: the last block may come with io.EOF, and what comes with another
// error is no part of the answer.
func TestWSGINext(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		err  error
		end  End
		want string
	}{
		"the end":  {io.EOF, Complete, "Status: 200 OK\r\n\r\na"},
		"an error": {broken, Complete, errorPage500},
	} {
		for _, body := range []Body{
			&orderedBody{env: new(Environ), last: func() ([]byte, error) { return []byte("a"), c.err }},
			Seq(func(yield func([]byte, error) bool) { yield([]byte("a"), c.err) }),
		} {
			r := wsgi(t, returns(body))
			if r.result.End != c.end || r.sink.String() != c.want {
				t.Errorf("%s: %v, got %q", name, r.result.End, r.sink)
			}
		}
	}
}

// TestWSGISeqEnds: the function of a Seq is ended by Close, also if it has not begun.
func TestWSGISeqEnds(t *testing.T) {
	ended := 0
	endless := func(yield func([]byte, error) bool) {
		defer func() { ended++ }()
		for yield([]byte("x"), nil) {
		}
	}
	wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
		_, err := start("200 OK", []Field{{"Content-Length", "3"}}, nil)
		return Seq(endless), err
	}).want(t, Complete, "Status: 200 OK\r\nContent-Length: 3\r\n\r\nxxx")
	if ended != 1 {
		t.Errorf("ended %d times", ended)
	}
	wsgi(t, func(env *Environ, start StartResponse) (Body, error) { return Seq(endless), errors.New("test") })
	if ended != 1 {
		t.Errorf("ended %d times", ended)
	}
}

// TestRefusedHeadIsNamed: an application that does not look at the error of
// StartResponse fails by it, and not by what it writes.
func TestRefusedHeadIsNamed(t *testing.T) {
	r := wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
		start("200 OK", []Field{{"A b", "c"}}, nil)
		return Blocks([]byte("data")), nil
	})
	if r.want(t, Complete, errorPage500); !errors.Is(r.result.Err, ErrField) {
		t.Errorf("error %v", r.result.Err)
	}
}

// TestContentLengthIsSpeltAsGiven: the Handler checks it, and leaves it as it is.
func TestContentLengthIsSpeltAsGiven(t *testing.T) {
	wsgi(t, func(env *Environ, start StartResponse) (Body, error) {
		_, err := start("200 OK", []Field{{"A", "1"}, {"content-LENGTH", "004"}, {"B", "2"}}, nil)
		return Blocks([]byte("da"), []byte("ta")), err
	}).want(t, Complete, "Status: 200 OK\r\nA: 1\r\ncontent-LENGTH: 004\r\nB: 2\r\n\r\ndata")
}

// TestSinkThatFailsAtTheEnd: the end of an answer whose last part could not be sent
// is not Complete.
func TestSinkThatFailsAtTheEnd(t *testing.T) {
	for name, app := range map[string]App{
		"an answer":     answer("200 OK", nil, "x"),
		"an error page": AppFunc(func(ResponseWriter, *Request) error { return errors.New("test") }),
	} {
		sink := &textSink{failing: syscall.EPIPE}
		h := &Handler{Log: quiet}
		res := h.Run(&Request{Env: NewEnviron("REQUEST_METHOD=GET")}, sink, app)
		if res.End != Aborted || sink.finished[0].End != Aborted {
			t.Errorf("%s: %+v, %v", name, res, sink.finished)
		}
	}
}
