package fastcgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// raw makes a record by hand, with any version, padding and reserved byte.
func raw(version, typ byte, id uint16, content string, padding int, reserved byte) []byte {
	b := []byte{version, typ, byte(id >> 8), byte(id), byte(len(content) >> 8), byte(len(content)), byte(padding), reserved}
	return append(append(b, content...), bytes.Repeat([]byte{0xaa}, padding)...)
}

// vars answers with the variables, a line each.
var vars = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := w.StartResponse("200 OK", nil); err != nil {
		return err
	}
	for name, value := range r.Env.All() {
		fmt.Fprintf(w, "%s=%s\n", name, value)
	}
	return nil
})

func TestF1RecordHeader(t *testing.T) {
	ts := serve(t, "unix", &Server{App: echo})

	t.Run("padding and reserved bytes on every type", func(t *testing.T) {
		c := ts.dial()
		pairs := string(record.AppendPair(nil, "CONTENT_LENGTH", "5"))
		for _, pad := range []int{0, 1, 7, 255} {
			c.send(
				raw(1, 1, 1, "\x00\x01\x01\x00\x00\x00\x00\x00", pad, 9),
				raw(1, 4, 1, pairs, pad, 9),
				raw(1, 4, 1, "", pad, 9),
				raw(1, 99, 1, "unknown", pad, 9),
				raw(1, 5, 1, "hello", pad, 9),
				raw(1, 5, 1, "", pad, 9))
			if a := c.answer(1); !strings.HasSuffix(a.stdout, "\r\n\r\nhello") {
				t.Fatalf("padding %d: got %q", pad, a.stdout)
			}
		}
	})

	for _, version := range []byte{0, 2, 'G', 255} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			c := ts.dial()
			c.send(raw(version, 1, 1, "\x00\x01\x00\x00\x00\x00\x00\x00", 0, 0))
			c.closed()
		})
	}
}

// TestF1MistakenProtocol: a peer that does not speak FastCGI gets a response that it can read,
// and the log says what to do.
func TestF1MistakenProtocol(t *testing.T) {
	for sent, want := range map[string]struct{ response, log string }{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                            {"HTTP/1.1 400 Bad Request\r\n", "HTTP came to a FastCGI listener"},
		"24:CONTENT_LENGTH\x000\x00SCGI\x001\x00,":                     {"Status: 502 Bad Gateway\r\n", "use fastcgi_pass, not scgi_pass"},
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00": {"HTTP/1.1 400 Bad Request\r\n", "TLS came to a FastCGI listener"},
	} {
		ts := serve(t, "tcp", &Server{App: hello})
		c := ts.dial()
		c.send([]byte(sent))
		c.Conn.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), want.response) {
			t.Errorf("%q: got %q, %v; want %q", sent, got, err, want.response)
		}
		ts.Close()
		if log := ts.logs.String(); !strings.Contains(log, want.log) || strings.Count(log, "\n") != 1 {
			t.Errorf("%q: log is %q, want one line with %q", sent, log, want.log)
		}
	}
	// What comes after a record is no request of another protocol.
	ts := serve(t, "tcp", &Server{App: hello})
	c := ts.dial()
	c.send(get(1, record.KeepConn))
	c.answer(1)
	c.send([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	c.closed()
	ts.Close()
	if log := ts.logs.String(); !strings.Contains(log, "not a FastCGI 1 record: version byte is 71") {
		t.Errorf("log is %q", log)
	}
}

func TestF2RequestID(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	for _, id := range []uint16{1, 2, 255, 256, 65535} {
		c := ts.dial()
		c.send(get(id, 0))
		if a := c.answer(id); a.stdout != helloAnswer {
			t.Errorf("request %d: got %q", id, a.stdout)
		}
	}
}

func TestF3ManagementID(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	t.Run("application records with id 0 are a protocol error", func(t *testing.T) {
		for _, typ := range []byte{1, 2, 4, 5, 8} {
			c := ts.dial()
			c.send(raw(1, typ, 0, "\x00\x01\x00\x00\x00\x00\x00\x00", 0, 0))
			c.closed()
		}
	})
	t.Run("management records with another id are ignored", func(t *testing.T) {
		c := ts.dial()
		c.send(raw(1, 9, 1, "\x0f\x00FCGI_MPXS_CONNS", 0, 0), raw(1, 10, 3, "", 0, 0), raw(1, 11, 3, "12345678", 0, 0), get(1, 0))
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("got %q", a.stdout)
		}
	})
}

func TestF4InactiveIDs(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	c := ts.dial()
	for range 2 {
		c.send(stdin(7, "stray"), endStdin(7), params(8, "A=b"), abort(9), raw(1, 8, 3, "data", 4, 0), get(1, record.KeepConn))
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("got %q", a.stdout)
		}
	}
}

func TestF5BeginActive(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	c := ts.dial()
	c.send(begin(1, 1), begin(1, 1))
	c.closed()
}

func TestF6BeginBody(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	for n := range 8 {
		c := ts.dial()
		c.send(raw(1, 1, 1, "\x00\x01\x00\x00\x00\x00\x00\x00"[:n], 0, 0))
		c.closed()
	}
	c := ts.dial()
	c.send(raw(1, 1, 1, "\x00\x01\x00\x00\x00\x00\x00\x00"+strings.Repeat("x", 300), 3, 0), params(1), endStdin(1))
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("longer body: got %q", a.stdout)
	}
}

func TestF7StreamBoundaries(t *testing.T) {
	ts := serve(t, "unix", &Server{App: vars})
	long := strings.Repeat("v", 200)
	pairs := record.AppendPair(record.AppendPair(nil, "A", "1"), "LONG", long)
	for cut := 1; cut < len(pairs); cut++ {
		c := ts.dial()
		c.send(begin(1, 0), raw(1, 4, 1, string(pairs[:cut]), cut%8, 0), raw(1, 4, 1, string(pairs[cut:]), 0, 0), raw(1, 4, 1, "", 0, 0), endStdin(1))
		if a := c.answer(1); bodyOf(t, a) != "A=1\nLONG="+long+"\n" {
			t.Fatalf("cut at %d: got %q", cut, a.stdout)
		}
	}
}

// TestF7EveryByte sends a request a byte at a time.
func TestF7EveryByte(t *testing.T) {
	ts := serve(t, "unix", &Server{App: echo})
	c := ts.dial()
	for _, b := range post(1, 0, "hello") {
		c.send([]byte{b})
	}
	if a := c.answer(1); bodyOf(t, a) != "hello" {
		t.Errorf("got %q", a.stdout)
	}
}

func TestF8AfterTheEnd(t *testing.T) {
	ts := serve(t, "unix", &Server{App: echo})
	c := ts.dial()
	c.send(begin(1, 1), params(1, "CONTENT_LENGTH=5"), params(1, "LATE=1"), stdin(1, "hello"), endStdin(1), stdin(1, "late"), endStdin(1))
	if a := c.answer(1); bodyOf(t, a) != "hello" {
		t.Errorf("got %q", a.stdout)
	}
	c.send(get(1, 0))
	if a := c.answer(1); bodyOf(t, a) != "" {
		t.Errorf("second: got %q", a.stdout)
	}
}

func TestF9TruncatedPair(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	for _, p := range []string{"\x05", "\x05\x05", "\x05\x05HELL", "\x80\x00", "\xff\xff\xff\xff\xff\xff\xff\xffx", "\x01\x7fAb", "\x00\x05hello"} {
		c := ts.dial()
		c.send(begin(1, 1), raw(1, 4, 1, p, 0, 0), raw(1, 4, 1, "", 0, 0), endStdin(1))
		if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 400 Bad Request\r\n") {
			t.Errorf("%q: got %q", p, a.stdout)
		}
		c.send(get(1, 0)) // its frame was intact, so the connection is
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("%q: got %q", p, a.stdout)
		}
	}
}

func TestF9Values(t *testing.T) {
	ts := serve(t, "unix", &Server{App: vars})
	c := ts.dial()
	c.send(begin(1, 1), raw(1, 4, 1, "\x80\x00\x00\x01\x80\x00\x00\x01Ab\x01\x00C\x02\x80\x00\x00\x02DE\xff\x01", 0, 0), raw(1, 4, 1, "", 0, 0), endStdin(1))
	if a := c.answer(1); bodyOf(t, a) != "A=b\nC=\nDE=\xff\x01\n" {
		t.Errorf("got %q", a.stdout)
	}
	for range 3 {
		c.send(get(1, 1, "A=b\x00c"))
		if a := c.answer(1); !strings.HasPrefix(a.stdout, "Status: 400 Bad Request\r\n") {
			t.Errorf("NUL: got %q", a.stdout)
		}
	}
	c.Close()
	ts.Close()
	if n := strings.Count(ts.logs.String(), "NUL byte"); n > 2 || !strings.Contains(ts.logs.String(), "times=2") {
		t.Errorf("%d lines about 3 requests: %s", n, ts.logs)
	}
}

func TestF10Duplicates(t *testing.T) {
	ts := serve(t, "unix", &Server{App: vars})
	c := ts.dial()
	c.send(begin(1, 0), params(1, "HTTP_COOKIE=a=1", "X=1", "HTTP_X_A=one", "HTTP_COOKIE=b=2", "HTTP_X_A=two", "X=2", "HTTP_HOST=a", "HTTP_HOST=b"), endStdin(1))
	if a := c.answer(1); bodyOf(t, a) != "HTTP_COOKIE=a=1; b=2\nX=2\nHTTP_X_A=one, two\nHTTP_HOST=b\n" {
		t.Errorf("got %q", a.stdout)
	}
}

func TestF11AnswerBeforeBody(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	c := ts.dial()
	// The answer comes although STDIN has only begun; what follows is discarded.
	c.send(begin(1, 1), params(1, "CONTENT_LENGTH=1000000"), stdin(1, strings.Repeat("x", 100)))
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("got %q", a.stdout)
	}
	c.send(stdin(1, strings.Repeat("x", 999_900)), endStdin(1), get(1, 0))
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("second: got %q", a.stdout)
	}
}

func TestF12BodyLength(t *testing.T) {
	got := make(chan error, 1)
	ts := serve(t, "unix", &Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		b, err := io.ReadAll(r.Body)
		got <- err
		w.StartResponse("200 OK", nil)
		fmt.Fprintf(w, "%d %s", r.ContentLength, b)
		return nil
	})})
	for _, x := range []struct {
		length, sent, body string
		err                error
	}{
		{"5", "hello", "5 hello", nil},
		{"5", "hello world", "5 hello", nil},
		{"11", "hello", "11 hello", io.ErrUnexpectedEOF},
		{"", "hello", "-1 hello", nil},
		{"-1", "hello", "-1 hello", nil},
		{"0", "hello", "0 ", nil},
		{"", "", "0 ", nil},
	} {
		c := ts.dial()
		c.send(begin(1, 0), params(1, "CONTENT_LENGTH="+x.length), stdin(1, x.sent), endStdin(1))
		a := c.answer(1)
		if err := <-got; !errors.Is(err, x.err) {
			t.Errorf("length %q, sent %q: Read returned %v, want %v", x.length, x.sent, err, x.err)
		}
		if b := bodyOf(t, a); b != x.body {
			t.Errorf("length %q, sent %q: got %q, want %q", x.length, x.sent, b, x.body)
		}
	}
	ts.Close()
	if log := ts.logs.String(); strings.Count(log, "body cut at its length") != 2 {
		t.Errorf("log is %q, want two lines for what was cut", log)
	}
}

func TestF13GetValues(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello, Limits: cgi.Limits{Connections: 50, Requests: 20}})
	ask := func(c *client, names ...string) string {
		var p []byte
		for _, n := range names {
			p = record.AppendPair(p, n, "")
		}
		c.send(record.AppendRecord(nil, record.GetValues, 0, p))
		typ, id, content, err := c.next()
		if err != nil || typ != record.GetValuesResult || id != 0 {
			t.Fatalf("got %v, id %d, %v", typ, id, err)
		}
		var s []string
		for len(content) > 0 {
			name, value, rest, err := record.NextPair(content)
			if err != nil {
				t.Fatal(err)
			}
			s = append(s, string(name)+"="+string(value))
			content = rest
		}
		return strings.Join(s, " ")
	}
	c := ts.dial()
	for asked, want := range map[string]string{
		"FCGI_MPXS_CONNS": "FCGI_MPXS_CONNS=1",
		"FCGI_MAX_CONNS FCGI_MAX_REQS FCGI_MPXS_CONNS": "FCGI_MAX_CONNS=50 FCGI_MAX_REQS=1000 FCGI_MPXS_CONNS=1",
		"NOBODY_KNOWS FCGI_MAX_CONNS":                  "FCGI_MAX_CONNS=50",
		"FCGI_MAX_CONNS FCGI_MAX_CONNS":                "FCGI_MAX_CONNS=50",
		"NOBODY_KNOWS":                                 "",
	} {
		if got := ask(c, strings.Fields(asked)...); got != want {
			t.Errorf("asked for %s: got %q, want %q", asked, got, want)
		}
	}
	if got := ask(c); got != "" {
		t.Errorf("asked for nothing: got %q", got)
	}
	c.send(begin(1, 0))
	if got := ask(c, "FCGI_MPXS_CONNS"); got != "FCGI_MPXS_CONNS=1" {
		t.Errorf("in the middle of a request: got %q", got)
	}
}

func TestF14UnknownManagement(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	c := ts.dial()
	for _, typ := range []byte{10, 11, 12, 200, 255} {
		c.send(raw(1, typ, 0, "whatever", 5, 0))
		got, id, content, err := c.next()
		if err != nil || got != record.UnknownType || id != 0 || string(content) != string([]byte{typ, 0, 0, 0, 0, 0, 0, 0}) {
			t.Errorf("type %d: got %v, id %d, %q, %v", typ, got, id, content, err)
		}
	}
}

func TestF15UnknownApplicationType(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	c := ts.dial()
	c.send(begin(1, 0), raw(1, 42, 1, strings.Repeat("x", 20_000), 7, 0), raw(1, 3, 1, "12345678", 0, 0), raw(1, 6, 1, "out", 0, 0), params(1), endStdin(1))
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("got %q", a.stdout)
	}
}

func TestF16UnknownRole(t *testing.T) {
	ts := serve(t, "unix", &Server{App: hello})
	for _, role := range []record.Role{0, 2, 3, 4, 65535} {
		c := ts.dial()
		c.send(record.AppendBegin(nil, 1, role, record.KeepConn), params(1, "A=b"), endStdin(1), get(1, 0))
		if a := c.answer(1); a.stdout != "" || a.end.ProtocolStatus != record.UnknownRole {
			t.Errorf("role %d: got %+v", role, a)
		}
		if a := c.answer(1); a.stdout != helloAnswer {
			t.Errorf("role %d, next request: got %q", role, a.stdout)
		}
		c = ts.dial()
		c.send(record.AppendBegin(nil, 1, role, 0), params(1, "A=b"), endStdin(1))
		if a := c.answer(1); a.end.ProtocolStatus != record.UnknownRole {
			t.Errorf("role %d: got %+v", role, a)
		}
		c.closed()
	}
}
