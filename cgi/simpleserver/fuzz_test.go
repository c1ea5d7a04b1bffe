package simpleserver

import (
	"bufio"
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
)

// FuzzReadHead: a head that is accepted, printed and read again, is the same; one
// that is not is refused within the bounds.
func FuzzReadHead(f *testing.F) {
	for _, r := range pythonRequests() {
		if len(r) < 4096 {
			f.Add([]byte(r), false)
			f.Add([]byte(r), true)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, compat bool) {
		l := headLimits{line: 1000, field: 1000, count: 20, bytes: 4000, compat: compat}
		src := bytes.NewReader(raw)
		in := bufio.NewReaderSize(src, 64)
		h, err := readHead(in, l)
		// What is read is at most the bound, the line that goes over it, and the buffer.
		if took := len(raw) - src.Len(); took > l.line+l.bytes+l.field+128 {
			t.Fatalf("read %d bytes", took)
		}
		if err != nil {
			if e, ok := err.(*requestError); ok {
				answer := e.append(nil, preamble{"1.0", "x"}, h.method, noon)
				if line, _, _ := strings.Cut(string(answer), "\r\n"); !e.headless && strings.ContainsAny(line, "\r\n\x00") {
					t.Fatalf("status line %q", line)
				}
			}
			return
		}
		printed := h.append(nil)
		l.line, l.field, l.bytes, l.count = 1<<20, 1<<20, 1<<20, 100
		again, err := readHead(bufio.NewReader(bytes.NewReader(printed)), l)
		if err != nil {
			t.Fatalf("%q, printed as %q, is refused: %v", raw, printed, err)
		}
		h.line, again.line = "", ""
		if !reflect.DeepEqual(h, again) {
			t.Fatalf("%+v, printed as %q, is read as %+v", h, printed, again)
		}
		s := &Server{Compat: compat, Software: "x"}
		env, err := s.environ(new(cgi.Environ), h, "127.0.0.1")
		if compat || err != nil {
			return
		}
		for name, value := range env.All() {
			if strings.ContainsAny(name, "\x00\r\n=") || strings.IndexByte(value, 0) >= 0 || strings.HasPrefix(name, "HTTP_") && strings.ContainsAny(value, "\r\n") {
				t.Fatalf("variable %q=%q", name, value)
			}
		}
		if p := env.Get("PATH_INFO"); p != "*" && !strings.HasPrefix(p, "/") {
			t.Fatalf("PATH_INFO %q", p)
		}
	})
}

// FuzzChunked: what is decoded, sent as one chunk, decodes to the same.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n", "3\nabc\n0\n\n", "A\r\n0123456789\r\n00\r\n\r\n", "fffffffffffffff\r\n", "-1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l := headLimits{field: 1000, count: 20, bytes: 4000}
		decode := func(raw []byte) ([]byte, error) {
			to := spool.New(spool.Limits{Memory: 1 << 20})
			defer to.Close()
			if err := decodeChunked(bufio.NewReaderSize(bytes.NewReader(raw), 64), to, 1<<16, l); err != nil {
				return nil, err
			}
			return io.ReadAll(to)
		}
		body, err := decode(raw)
		if err != nil {
			return
		}
		var again []byte
		if len(body) > 0 {
			again = append(again, []byte(strings.ToUpper(hex(len(body))))...)
			again = append(append(append(again, "\r\n"...), body...), "\r\n"...)
		}
		got, err := decode(append(again, "0\r\n\r\n"...))
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%q: %v", raw, err)
		}
	})
}

func hex(n int) string {
	const digits = "0123456789abcdef"
	if n < 16 {
		return digits[n : n+1]
	}
	return hex(n/16) + digits[n%16:n%16+1]
}
