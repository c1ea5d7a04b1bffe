package relay

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

// dechunk takes a body apart that arrives in pieces of n bytes.
func dechunk(in string, n int) (out string, done bool, err error) {
	c := new(chunkedBody)
	var b bytes.Buffer
	for len(in) > 0 {
		k := min(n, len(in))
		piece := []byte(in[:k])
		in = in[k:]
		for len(piece) > 0 {
			var data []byte
			if data, piece, err = c.next(piece); err != nil {
				return b.String(), false, err
			}
			b.Write(data)
		}
	}
	return b.String(), c.done(), nil
}

func TestChunkedBody(t *testing.T) {
	for _, c := range []struct {
		in, out string
		done    bool
		bad     bool
	}{
		{"0\r\n\r\n", "", true, false},
		{"5\r\nhello\r\n0\r\n\r\n", "hello", true, false},
		{"5\nhello\n0\n\n", "hello", true, false},
		{"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", true, false},
		{"A;name=value\r\n0123456789\r\n0 \r\nTrailer: x\r\nOther: y\r\n\r\n", "0123456789", true, false},
		{"005\r\nhello\r\n000\r\n\r\nrest", "hello", true, false},
		{"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", true, false},
		{"", "", false, false},
		{"5\r\nhel", "hel", false, false},
		{"5\r\nhello\r\n", "hello", false, false},
		{"5\r\nhello\r\n0\r\n", "hello", false, false},
		{"5\r\nhello\r\n0\r\nX: y\r\n", "hello", false, false},
		{"5", "", false, false},
		{"\r\n", "", false, true},
		{"x\r\n", "", false, true},
		{"-1\r\n", "", false, true},
		{"0x5\r\nhello\r\n", "", false, true},
		{" 5\r\nhello\r\n", "", false, true},
		{"5\r\nhello0\r\n\r\n", "hello", false, true},
		{"5\r\nhellohello\r\n", "hello", false, true},
		{"fffffffffffffff\r\nx", "x", false, false},
		{"ffffffffffffffff\r\n", "", false, true},
		{"5;" + strings.Repeat("x", chunkLine) + "\r\nhello\r\n", "", false, true},
		{"0\r\nX: " + strings.Repeat("x", chunkLine), "", false, true},
		{"hello world", "", false, false},
		{"<html>\n", "", false, true},
	} {
		for n := 1; n <= len(c.in)+1; n++ {
			if n > 20 {
				n = len(c.in) + 1
			}
			out, done, err := dechunk(c.in, n)
			if out != c.out || done != c.done || (err != nil) != c.bad {
				t.Errorf("%.80q in pieces of %d: %q, done %v, %v; want %q, %v", c.in, n, out, done, err, c.out, c.done)
			}
		}
	}
}

// FuzzChunkedBody: how the body is cut makes no difference, and what was chunked comes
// back.
func FuzzChunkedBody(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\n\r\n", 3)
	f.Add("0\nX: y\n\n", 1)
	f.Fuzz(func(t *testing.T, in string, n int) {
		n = 1 + max(n, -n, 0)%max(len(in), 1)
		whole, done, err := dechunk(in, len(in)+1)
		cut, cutDone, cutErr := dechunk(in, n)
		if whole != cut || done != cutDone || (err == nil) != (cutErr == nil) {
			t.Fatalf("in pieces of %d: %q, %v, %v; whole: %q, %v, %v", n, cut, cutDone, cutErr, whole, done, err)
		}
		var b bytes.Buffer
		w := httputil.NewChunkedWriter(&b)
		io.WriteString(w, in)
		w.Close()
		b.WriteString("\r\n")
		if out, done, err := dechunk(b.String(), n); out != in || !done || err != nil {
			t.Fatalf("%q: %q, %v, %v", in, out, done, err)
		}
	})
}
