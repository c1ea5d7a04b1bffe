package fastcgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"strings"
	"syscall"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// handler is a http.Handler that answers with what f says of the request.
func handler(f func(r *http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, f(r))
	})
}

// defects of net/http/fcgi (Go 1.26) that show in one answer. docs/net-http-fcgi.md
// tells of them; where theirs does not hold any more, it is out of date.
var defects = []struct {
	name         string
	handler      http.Handler
	request      []byte
	ours, theirs string // in STDOUT
	without      string // not in our STDOUT
}{
	{name: "a request target in absolute form",
		handler: handler(func(r *http.Request) string { return r.URL.String() }),
		request: get(1, 0, "HTTP_HOST=h", "REQUEST_URI=http://h/a?b", "QUERY_STRING=b"),
		ours:    "\r\n\r\n/a?b", theirs: "http://hhttp://h/a?b"},
	{name: "a request target that is an asterisk",
		handler: handler(func(r *http.Request) string { return r.URL.Path }),
		request: get(1, 0, "HTTP_HOST=h", "REQUEST_URI=*"),
		ours:    "\r\n\r\n*", theirs: "\r\n\r\n"},
	{name: "a host that is no host",
		handler: handler(func(r *http.Request) string { return r.Host + r.URL.Path }),
		request: get(1, 0, "HTTP_HOST=a b", "REQUEST_URI=/x"),
		ours:    "\r\n\r\na b/x", theirs: "Status: 500 "},
	{name: "a path that is no valid escape",
		handler: handler(func(r *http.Request) string { return r.URL.Path }),
		request: get(1, 0, "REQUEST_URI=/100%", "SCRIPT_NAME=/100%"),
		ours:    "\r\n\r\n/100%", theirs: "Status: 500 "},
	{name: "the mount point",
		handler: handler(func(r *http.Request) string { return "mount " + cgi.ScriptName(r) }),
		request: get(1, 0, "REQUEST_URI=/app/x", "SCRIPT_NAME=/app", "PATH_INFO=/x"),
		ours:    "mount /app", theirs: "mount "},
	{name: "RequestURI",
		handler: handler(func(r *http.Request) string { return fmt.Sprintf("%q", r.RequestURI) }),
		request: get(1, 0, "REQUEST_URI=/a?b"),
		ours:    `"/a?b"`, theirs: `""`},
	{name: "HTTPS in other spellings",
		handler: handler(func(r *http.Request) string { return fmt.Sprint("TLS ", r.TLS != nil) }),
		request: get(1, 0, "HTTPS=On"),
		ours:    "TLS true", theirs: "TLS false"},
	{name: "REQUEST_SCHEME",
		handler: handler(func(r *http.Request) string { return fmt.Sprint("TLS ", r.TLS != nil) }),
		request: get(1, 0, "REQUEST_SCHEME=https"),
		ours:    "TLS true", theirs: "TLS false"},
	{name: "SERVER_PROTOCOL of HTTP/2",
		handler: handler(func(r *http.Request) string { return r.Proto }),
		request: get(1, 0, "SERVER_PROTOCOL=HTTP/2"),
		ours:    "\r\n\r\nHTTP/2.0", theirs: "Status: 500 "},
	{name: "no SERVER_PROTOCOL",
		handler: handler(func(r *http.Request) string { return r.Proto }),
		request: get(1, 0),
		ours:    "\r\n\r\nHTTP/1.0", theirs: "Status: 500 "},
	{name: "httpoxy",
		handler: handler(func(r *http.Request) string { return fmt.Sprintf("Proxy %q", r.Header.Get("Proxy")) }),
		request: get(1, 0, "HTTP_PROXY=evil"),
		ours:    `Proxy ""`, theirs: `Proxy "evil"`},
	{name: "fields of the connection",
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set(http.TrailerPrefix+"X", "1")
			io.WriteString(w, "hello")
		}),
		request: get(1, 0),
		ours:    "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n", theirs: "Connection: close\r\n"},
	{name: "Close",
		handler: handler(func(r *http.Request) string { return fmt.Sprint("Close ", r.Close) }),
		request: get(1, 0),
		ours:    "Close false", theirs: "Close true"},
	{name: "a client without an address",
		handler: handler(func(r *http.Request) string { return fmt.Sprintf("from %q", r.RemoteAddr) }),
		request: get(1, 0),
		ours:    `from ""`, theirs: `from ":0"`},
	{name: "a repeated field",
		handler: handler(func(r *http.Request) string { return r.Header.Get("Cookie") }),
		request: get(1, 0, "HTTP_COOKIE=a=1", "HTTP_COOKIE=b=2"),
		ours:    "\r\n\r\na=1; b=2", theirs: "\r\n\r\nb=2"},
	{name: "variables that do not decode",
		handler: handler(func(r *http.Request) string { return "served " + r.Method }),
		request: bytes.Join([][]byte{begin(1, 0), raw(1, 4, 1, "\x0e\x03REQUEST_METHODGET\x0f\x08SERVER_PROTOCOLHTTP/1.1\x04\x7fHTTP", 0, 0), raw(1, 4, 1, "", 0, 0), endStdin(1)}, nil),
		ours:    "Status: 400 ", theirs: "served GET"},
	{name: "a negative CONTENT_LENGTH",
		handler: handler(readBody),
		request: bytes.Join([][]byte{begin(1, 0), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=-5"), stdin(1, "hello"), endStdin(1)}, nil),
		ours:    "1 hello <nil>", theirs: "-5 hello <nil>"},
	{name: "no CONTENT_LENGTH",
		handler: handler(readBody),
		request: bytes.Join([][]byte{begin(1, 0), params(1, "REQUEST_METHOD=POST"), stdin(1, "hello"), endStdin(1)}, nil),
		ours:    "1 hello <nil>", theirs: "0 hello <nil>"},
	{name: "a body that is shorter than its length",
		handler: handler(readBody),
		request: bytes.Join([][]byte{begin(1, 0), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=9"), stdin(1, "hello"), endStdin(1)}, nil),
		ours:    "9 hello the body ended 4 bytes before its length: unexpected EOF", theirs: "9 hello <nil>"},
	{name: "a body that is longer than its length",
		handler: handler(readBody),
		request: bytes.Join([][]byte{begin(1, 0), params(1, "REQUEST_METHOD=POST", "CONTENT_LENGTH=2"), stdin(1, "hello"), endStdin(1)}, nil),
		ours:    "2 he <nil>", theirs: "2 hello <nil>"},
	{name: "an informational response",
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "hello")
		}),
		request: get(1, 0),
		ours:    "Status: 200 OK\r\n", theirs: "Status: 103 Early Hints\r\n"},
	{name: "the body of an answer to HEAD",
		handler: handler(func(*http.Request) string { return "hello" }),
		request: get(1, 0, "REQUEST_METHOD=HEAD"),
		ours:    "Content-Length: 5\r\n\r\n", theirs: "\r\n\r\nhello", without: "hello"},
	{name: "the body of a 204",
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			io.WriteString(w, "hello")
		}),
		request: get(1, 0),
		ours:    "Status: 204 No Content\r\n", theirs: "\r\n\r\nhello", without: "hello"},
	{name: "sniffing what is encoded",
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, "<html>")
		}),
		request: get(1, 0),
		ours:    "Content-Encoding: br\r\n", theirs: "Content-Type: text/html", without: "Content-Type"},
	{name: "a body longer than its Content-Length",
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "hello")
		}),
		request: get(1, 0),
		ours:    "\r\n\r\nhe", theirs: "\r\n\r\nhello", without: "hello"},
	{name: "the length of a small answer",
		handler: handler(func(*http.Request) string { return "hello" }),
		request: get(1, 0),
		ours:    "Content-Length: 5\r\n", theirs: "Content-Type: text/plain\r\n"},
	{name: "a line end in a field",
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Name", "a\r\nSet-Cookie: b")
			io.WriteString(w, "hello")
		}),
		request: get(1, 0),
		ours:    "Status: 500 ", theirs: "X-Name: a  Set-Cookie: b"},
	{name: "a context that ends",
		handler: handler(func(r *http.Request) string { return fmt.Sprint("ends ", r.Context().Done() != nil) }),
		request: get(1, 0),
		ours:    "ends true", theirs: "ends false"},
	{name: "deadlines",
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			fmt.Fprint(w, c.SetReadDeadline(moment()), " ", c.SetReadDeadline(moment().Add(testkit.Patience)), " ", c.SetWriteDeadline(moment().Add(testkit.Patience)), " ", c.EnableFullDuplex())
		}),
		request: get(1, 0),
		ours:    "<nil> <nil> <nil> <nil>", theirs: "feature not supported feature not supported"},
}

// readBody tells of the body: 1 for a length that is right or open.
func readBody(r *http.Request) string {
	b, err := io.ReadAll(r.Body)
	n := r.ContentLength
	if n == -1 || n == 5 {
		n = 1
	}
	return fmt.Sprint(n, " ", string(b), " ", err)
}

func TestDefectsOfNetHTTPFcgi(t *testing.T) {
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			// Most web servers send it; what lacks it lacks it on purpose.
			request := d.request
			if d.name != "no SERVER_PROTOCOL" && !bytes.Contains(request, []byte("SERVER_PROTOCOL")) {
				request = addVariable(request, "SERVER_PROTOCOL", "HTTP/1.1")
			}
			our := serveHandler(t, d.handler).dial()
			our.send(request)
			if got := our.answer(1).stdout; !strings.Contains(got, d.ours) || d.without != "" && strings.Contains(got, d.without) {
				t.Errorf("ours: %q, want %q", got, d.ours)
			}
			their := serveTheirs(t, d.handler).dial()
			their.send(request)
			if got := their.theirAnswer(); !strings.Contains(got, d.theirs) || d.without == "" && strings.Contains(got, d.ours) {
				t.Errorf("net/http/fcgi: %q, want %q", got, d.theirs)
			}
		})
	}
}

// addVariable puts a variable behind those of a request's first BEGIN_REQUEST.
func addVariable(request []byte, name, value string) []byte {
	b := bytes.Clone(request[:16])
	b = append(b, record.AppendStream(nil, record.Params, 1, record.AppendPair(nil, name, value))...)
	return append(b, request[16:]...)
}

// theirAnswer reads an answer of net/http/fcgi, with STDERR and all.
func (c *client) theirAnswer() string {
	c.t.Helper()
	answers := make(map[uint16]*answer)
	if err := c.collect(answers, 1); err != nil {
		c.t.Fatal(err)
	}
	return answers[1].stdout
}

// TestDefectFlush: Flush sends the head, also before the first Write.
func TestDefectFlush(t *testing.T) {
	flushed := func(serve func(l net.Listener, h http.Handler) error) (writes int64) {
		inner := testkit.Listen(t, "unix")
		l := &countListener{Listener: inner}
		served := make(chan error, 1)
		go func() {
			served <- serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				writes = l.writes.Load()
			}))
		}()
		c := (&testServer{t: t, addr: inner.Addr()}).dial()
		c.send(get(1, 0, "SERVER_PROTOCOL=HTTP/1.1"))
		c.answer(1)
		l.Close()
		testkit.Receive(t, "the end of Serve", served)
		return writes
	}
	if n := flushed(Serve); n != 1 {
		t.Errorf("Flush wrote %d times", n)
	}
	if n := flushed(fcgi.Serve); n != 0 {
		t.Errorf("net/http/fcgi: Flush wrote %d times", n)
	}
}

// TestDefectAbort: an aborted request has one END_REQUEST, after its handler.
func TestDefectAbort(t *testing.T) {
	started, gate := make(chan struct{}), make(chan struct{})
	waits := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Until this is read, net/http/fcgi sees nothing of what comes after it.
		io.ReadFull(r.Body, make([]byte, 5))
		started <- struct{}{}
		<-gate
		io.WriteString(w, "hello")
	})
	request := bytes.Join([][]byte{begin(1, 1), params(1, "REQUEST_METHOD=POST", "SERVER_PROTOCOL=HTTP/1.1", "CONTENT_LENGTH=9"), stdin(1, "hello")}, nil)
	next := func(c *client) (types []record.Type) {
		for {
			typ, _, _, err := c.next()
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, typ)
			if typ == record.EndRequest || typ == record.GetValuesResult {
				return types
			}
		}
	}
	ask := raw(1, byte(record.GetValues), 0, "", 0, 0)

	our := serveHandler(t, waits).dial()
	our.send(request)
	testkit.Receive(t, "the request", started)
	our.send(abort(1), ask)
	if got := next(our); got[0] != record.GetValuesResult {
		t.Errorf("the abort was answered while the handler ran: %v", got)
	}
	gate <- struct{}{}
	if got := next(our); got[len(got)-1] != record.EndRequest {
		t.Errorf("got %v", got)
	}

	their := serveTheirs(t, waits).dial()
	their.send(request)
	testkit.Receive(t, "the request", started)
	their.send(abort(1))
	first := next(their)
	gate <- struct{}{}
	second := next(their)
	if len(first) != 1 || len(second) < 2 {
		t.Errorf("net/http/fcgi: %v, then %v", first, second)
	}
}

// TestDefectSiblings: a request without KEEP_CONN does not close the connection under
// those that share it.
func TestDefectSiblings(t *testing.T) {
	gate := make(chan struct{})
	c := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-gate
		}
		io.WriteString(w, "hello")
	})).dial()
	c.send(get(1, 1, "SCRIPT_NAME=/wait"), get(2, 0))
	if a := c.answer(2); bodyOf(t, a) != "hello" {
		t.Errorf("got %+v", a)
	}
	close(gate)
	if a := c.answer(1); bodyOf(t, a) != "hello" {
		t.Errorf("sibling: got %+v", a)
	}
	c.closed()
}

// A stumbler fails once to accept.
type stumbler struct {
	net.Listener
	err error
}

func (s *stumbler) Accept() (net.Conn, error) {
	if err := s.err; err != nil {
		s.err = nil
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	return s.Listener.Accept()
}

// TestDefectAccept: Serve goes on where accepting may succeed later.
func TestDefectAccept(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ECONNABORTED} {
		l := testkit.Listen(t, "unix")
		h := handler(func(*http.Request) string { return "hello" })
		if err := fcgi.Serve(&stumbler{l, errno}, h); !errors.Is(err, errno) {
			t.Errorf("net/http/fcgi: Serve returned %v", err)
		}
		served := make(chan error, 1)
		go func() { served <- Serve(&stumbler{l, errno}, h) }()
		c := (&testServer{t: t, addr: l.Addr()}).dial()
		c.send(get(1, 0))
		if a := c.answer(1); bodyOf(t, a) != "hello" {
			t.Errorf("got %+v", a)
		}
		l.Close()
		if err := testkit.Receive(t, "the end of Serve", served); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	}
}
