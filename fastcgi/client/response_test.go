package client

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gatehouse/cgi/cgihead"
	"gatehouse/fastcgi/record"
)

// responseTests are what may come for request 1, and what Do and Read make of it.
var responseTests = []struct {
	name, sent string
	status     string // "": Do fails
	body       string
	err        string // of Do, or of Read; "" is io.EOF
	exit       uint32
	reusable   bool
}{
	{"whole", hello(1), "200 OK", "hello", "", 0, true},
	{"without the end of STDOUT", stdout(1, "Status: 404 Not Found\n\nno") + ended(1, 0, 0), "404 Not Found", "no", "", 0, true},
	{"no body", stdout(1, "Location: http://x/\n\n") + ended(1, 0, 0), "302 Found", "", "", 0, true},
	{"exit status", stdout(1, "A: b\n\nx") + ended(1, 0xff, 0), "200 OK", "x", "", 0xff, true},
	{"in pieces", stdout(1, "A: ") + stdout(1, "b\r\n\r") + stdout(1, "\nx") + stdout(1, "y") + ended(1, 0, 0), "200 OK", "xy", "", 0, true},
	{"literal", "\x01\x06\x00\x01\x00\x07\x01\x00A: b\n\nx\xff" + "\x01\x03\x00\x01\x00\x08\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00",
		"200 OK", "x", "", 7, true},
	{"stderr between", stderr(1, "oh") + stdout(1, "A: b\n\n") + stderr(1, " no") + stderr(1, "") + stdout(1, "x") + ended(1, 0, 0), "200 OK", "x", "", 0, true},
	{"management between", string(record.AppendRecord(nil, record.GetValuesResult, 0, nil)) + hello(1), "200 OK", "hello", "", 0, true},

	{"cannot multiplex", ended(1, 0, record.CantMpxConn), "", "", "fastcgi: the application refused the request: FCGI_CANT_MPX_CONN", 0, true},
	{"overloaded", stdout(1, "") + ended(1, 3, record.Overloaded), "", "", "fastcgi: the application refused the request: FCGI_OVERLOADED", 3, true},
	{"refused in the middle", stdout(1, "A: b\n\nx") + ended(1, 0, record.Overloaded), "200 OK", "x", "fastcgi: the application refused the request: FCGI_OVERLOADED", 0, true},
	{"no output", stdout(1, "") + ended(1, 2, 0), "", "", `fastcgi: the request ended with status 2 and no response: no head: line 1, "": the output is empty`, 2, true},
	{"no head", stdout(1, "A: b\n") + ended(1, 0, 0), "", "", `no head: line 2`, 0, true},
	{"bad head", stdout(1, "x\n\n") + ended(1, 0, 0), "", "", `bad head: line 1, "x"`, 0, false},
	{"long head", stdout(1, "A: "+strings.Repeat("a", 64<<10-20)) + stdout(1, strings.Repeat("a", 100)), "", "", `head is longer than head_bytes`, 0, false},

	{"closed at once", "", "", "", "fastcgi: the connection ended after 0 bytes of the response: EOF", 0, false},
	{"closed in the head", stdout(1, "A: b"), "", "", "fastcgi: the connection ended after 4 bytes of the response: EOF", 0, false},
	{"closed in the body", stdout(1, "A: b\n\nx"), "200 OK", "x", "fastcgi: the connection ended after 7 bytes of the response: EOF", 0, false},
	{"closed before END_REQUEST", stdout(1, "A: b\n\nx") + stdout(1, ""), "200 OK", "x", "fastcgi: the connection ended after 7 bytes of the response: EOF", 0, false},
	{"closed in a record", hello(1)[:50], "200 OK", "hello", "unexpected EOF", 0, false},
	{"version 0", stdout(1, "A: b\n\nx") + "\x00\x06\x00\x01\x00\x00\x00\x00", "200 OK", "x", "fastcgi: record version is not 1 but 0", 0, false},

	{"another id", stdout(1, "A: b\n\nx") + stdout(2, "y"), "200 OK", "x", "FCGI_STDOUT record for id 2: no such request", 0, false},
	{"after the end of STDOUT", stdout(1, "A: b\n\nx") + stdout(1, "") + stdout(1, "y"), "200 OK", "x", "FCGI_STDOUT record for id 1: the stream has ended", 0, false},
	{"a record of requests", string(record.AppendRecord(nil, record.Stdin, 1, nil)), "", "", "FCGI_STDIN record for id 1: not a record of a response", 0, false},
	{"short END_REQUEST", string(record.AppendRecord(nil, record.EndRequest, 1, []byte("1234567"))), "", "", "FCGI_END_REQUEST record for id 1: fastcgi: END_REQUEST body is shorter than 8 bytes", 0, false},
	{"more behind the end", hello(1) + stdout(1, "A: b\n\nsecret"), "200 OK", "hello", "", 0, false},
}

func TestResponse(t *testing.T) {
	for _, tt := range responseTests {
		t.Run(tt.name, func(t *testing.T) {
			for name, source := range map[string]func(io.Reader) io.Reader{
				"at once": func(r io.Reader) io.Reader { return r }, "by byte": iotest.OneByteReader, "EOF with data": iotest.DataErrReader,
			} {
				c, s := scripted(tt.sent)
				s.in = source(s.in)
				r, err := c.Do(t.Context(), &Request{KeepConn: true})
				if tt.status == "" {
					if err == nil || !strings.Contains(err.Error(), tt.err) {
						t.Errorf("%s: error %v; want %s", name, err, tt.err)
					}
					if e, ok := errors.AsType[*EndError](err); ok && e.End.AppStatus != tt.exit {
						t.Errorf("%s: exit status %d", name, e.End.AppStatus)
					}
				} else {
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					b, err := io.ReadAll(r)
					if string(b) != tt.body || r.Head.Status != tt.status {
						t.Errorf("%s: %s, %q", name, r.Head.Status, b)
					}
					if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
						t.Errorf("%s: error %v; want %q", name, err, tt.err)
					}
					if _, err := r.Read(make([]byte, 1)); tt.err == "" && err != io.EOF {
						t.Errorf("%s: another Read: %v", name, err)
					}
					_, truncated := errors.AsType[*TruncatedError](err)
					if end, ok := r.End(); ok == truncated || end.AppStatus != tt.exit {
						t.Errorf("%s: end %+v, %v after %v", name, end, ok, err)
					}
					r.Close()
					if _, err := r.Read(make([]byte, 1)); err != ErrClosed {
						t.Errorf("%s: Read after Close: %v", name, err)
					}
				}
				// By byte, what is behind the end has not been seen yet.
				if err := c.Err(); (err == nil) != tt.reusable && name != "by byte" {
					t.Errorf("%s: the connection: %v", name, err)
				}
				if s.closed && c.Err() == nil {
					t.Errorf("%s: closed, without an error", name)
				}
				c.Close()
				if !s.closed || c.Err() == nil {
					t.Errorf("%s: not closed", name)
				}
			}
		})
	}
}

func TestErrorTypes(t *testing.T) {
	do := func(sent string) error {
		c, _ := scripted(sent)
		defer c.Close()
		_, err := c.Do(t.Context(), &Request{})
		return err
	}
	for sent, want := range map[string]error{
		"":                                    io.EOF,
		"\x01":                                io.ErrUnexpectedEOF,
		"\x00\x00\x00\x00\x00\x00\x00\x00":    record.ErrVersion,
		ended(1, 0, 0):                        cgihead.ErrMissing,
		stdout(1, "x\n"):                      cgihead.ErrMalformed,
		stdout(1, strings.Repeat("x", 65534)): io.EOF,
	} {
		if err := do(sent); !errors.Is(err, want) {
			t.Errorf("%.20q: %v; want %v", sent, err, want)
		}
	}
	if p, ok := errors.AsType[*ProtocolError](do(hello(9))); !ok || p.ID != 9 || p.Type != record.Stdout {
		t.Errorf("another id: %+v", p)
	}
}

// TestHeadBytes: the limit is the parser's.
func TestHeadBytes(t *testing.T) {
	for limit, ok := range map[int]bool{0: true, 50: true, 5: false, -1: true} {
		c, _ := scripted(hello(1))
		c.HeadBytes = limit
		r, err := c.Do(t.Context(), &Request{})
		if (err == nil) != ok || !ok && !errors.Is(err, cgihead.ErrTooLong) {
			t.Errorf("%d: %v", limit, err)
		}
		if err == nil {
			r.Close()
		}
	}
}

// TestEndRead: the end that has come along with the last bytes comes with them, and no other one.
func TestEndRead(t *testing.T) {
	head := stdout(1, "A: b\n\n")
	for name, test := range map[string]struct {
		parts []string
		want  error
	}{
		"whole":      {[]string{stdout(1, "hello") + stdout(1, "") + stderr(1, "why") + ended(1, 0, 0)}, io.EOF},
		"more":       {[]string{stdout(1, "hello") + stdout(1, ", world") + ended(1, 0, 0)}, nil},
		"no end":     {[]string{stdout(1, "hello") + stdout(1, "")}, nil},
		"half":       {[]string{stdout(1, "hello") + ended(1, 0, 0)[:12]}, nil},
		"overloaded": {[]string{stdout(1, "hello") + ended(1, 0, record.Overloaded)}, nil},
		"no record":  {[]string{stdout(1, "hello") + strings.Repeat("garbage ", 20)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			c, _ := scripted(append([]string{head}, test.parts...)...)
			r, err := c.Do(t.Context(), &Request{Stderr: &b})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			p := make([]byte, 3)
			if n, err := r.Read(p); string(p[:n]) != "hel" || err != nil {
				t.Fatalf("%q, %v", p[:n], err)
			}
			if n, err := r.Read(p); string(p[:n]) != "lo" || err != test.want {
				t.Fatalf("%q, %v", p[:n], err)
			}
			switch _, err := io.ReadAll(r); {
			case test.want == io.EOF && (err != nil || b.String() != "why"):
				t.Errorf("behind the end: %v, stderr %q", err, b.String())
			case test.want == nil && name != "more" && err == nil:
				t.Error("no error of a response that is not whole")
			}
		})
	}
}

// TestStderr: it comes as it is, and is bounded where nobody reads.
func TestStderr(t *testing.T) {
	var b strings.Builder
	c, _ := scripted(stderr(1, "one "), stdout(1, "A: b\n\nx"), stderr(1, "two "), stdout(1, "y"), stderr(1, "three"), ended(1, 0, 0))
	r, err := c.Do(t.Context(), &Request{Stderr: &b})
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != "one " {
		t.Errorf("with the head: %q", b.String())
	}
	if got := body(t, r); got != "xy" || b.String() != "one two three" {
		t.Errorf("body %q, stderr %q", got, b.String())
	}

	b.Reset()
	c, _ = scripted(stderr(1, "why"), ended(1, 1, 0))
	if _, err := c.Do(t.Context(), &Request{Stderr: &b}); err == nil || b.String() != "why" {
		t.Errorf("without a response: %v, stderr %q", err, b.String())
	}
}
