package scgi

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

var netstringTests = []struct {
	in         string
	limit      int
	data, rest string
	err        error
	text       string // in the error
}{
	{in: "5:hello,", limit: 100, data: "hello"},
	{in: "5:hello,body", limit: 100, data: "hello", rest: "body"},
	{in: "0:,", limit: 100},
	{in: "0:,", limit: 0},
	{in: "5:hello,", limit: 5, data: "hello"},
	{in: "10:0123456789,x", limit: 10, data: "0123456789", rest: "x"},
	{in: "3:,,,,", limit: 100, data: ",,,"},
	{in: "", limit: 100, err: io.ErrUnexpectedEOF},
	{in: "5", limit: 100, err: io.ErrUnexpectedEOF},
	{in: "5:", limit: 100, err: io.ErrUnexpectedEOF},
	{in: "5:hello", limit: 100, err: io.ErrUnexpectedEOF},
	{in: "5:hello;", limit: 100, err: ErrMalformed, text: "comma"},
	{in: "5:hello\n", limit: 100, err: ErrMalformed, text: "0x0a"},
	{in: ":hello,", limit: 100, err: ErrMalformed, text: "no length"},
	{in: "05:hello,", limit: 100, err: ErrMalformed, text: "leading zero"},
	{in: "00:,", limit: 100, err: ErrMalformed, text: "leading zero"},
	{in: "+5:hello,", limit: 100, err: ErrMalformed, text: "0x2b"},
	{in: "-5:hello,", limit: 100, err: ErrMalformed, text: "0x2d"},
	{in: " 5:hello,", limit: 100, err: ErrMalformed, text: "0x20"},
	{in: "5 :hello,", limit: 100, err: ErrMalformed, text: "0x20"},
	{in: "0x5:hello,", limit: 100, err: ErrMalformed, text: "0x78"},
	{in: "5;hello,", limit: 100, err: ErrMalformed, text: "0x3b"},
	{in: "GET / HTTP/1.1\r\n", limit: 100, err: ErrMalformed, text: "HTTP came"},
	{in: "\x01\x01\x00\x01\x00\x08\x00\x00", limit: 100, err: ErrMalformed, text: "FastCGI came"},
	{in: "\x16\x03\x01\x02\x00", limit: 100, err: ErrMalformed, text: "TLS came"},
	{in: "6:hello!,", limit: 5, err: ErrTooLarge, text: "5 bytes"},
	{in: "6", limit: 5, err: ErrTooLarge},
	{in: "1:", limit: 0, err: ErrTooLarge},
	{in: "101:", limit: 100, err: ErrTooLarge},
	{in: "99999999", limit: 1 << 20, err: ErrTooLarge},
	{in: strings.Repeat("9", 4000), limit: 1<<31 - 1, err: ErrTooLarge},
}

func TestG1Netstring(t *testing.T) {
	for _, tt := range netstringTests {
		data, rest, err := ParseNetstring([]byte(tt.in), tt.limit)
		if !errors.Is(err, tt.err) || err == nil && tt.err != nil {
			t.Errorf("%.40q: error %v, want %v", tt.in, err, tt.err)
			continue
		}
		if err != nil {
			if !strings.Contains(err.Error(), tt.text) || data != nil || rest != nil {
				t.Errorf("%.40q: %q, %q and error %q, want nothing and %q", tt.in, data, rest, err, tt.text)
			}
			continue
		}
		if string(data) != tt.data || string(rest) != tt.rest {
			t.Errorf("%q: %q and %q, want %q and %q", tt.in, data, rest, tt.data, tt.rest)
		}
		if got := append(AppendNetstring(nil, data), rest...); string(got) != tt.in {
			t.Errorf("%q became %q", tt.in, got)
		}
	}
}

func TestG2LengthIsCappedBeforeMemory(t *testing.T) {
	for _, in := range []string{"1048577:", "99999999", "18446744073709551617:", strings.Repeat("1", 1<<16)} {
		b := []byte(in)
		allocs := testing.AllocsPerRun(10, func() {
			if _, _, err := ParseLength(b, 1<<20); !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%.20q: %v", in, err)
			}
		})
		if allocs > 10 {
			t.Errorf("%.20q: %v allocations", in, allocs)
		}
	}
	if n, size, err := ParseLength([]byte("1048576:"), 1<<20); n != 1<<20 || size != 8 || err != nil {
		t.Errorf("the limit itself: %d, %d, %v", n, size, err)
	}
}

func FuzzNetstring(f *testing.F) {
	for _, tt := range netstringTests {
		f.Add([]byte(tt.in), tt.limit)
	}
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		limit = max(limit, 0)
		data, rest, err := ParseNetstring(b, limit)
		if err != nil {
			if data != nil || rest != nil {
				t.Fatalf("data %q and rest %q with error %v", data, rest, err)
			}
			return
		}
		if len(data) > limit {
			t.Fatalf("%d bytes, over the limit of %d", len(data), limit)
		}
		if got := append(AppendNetstring(nil, data), rest...); !bytes.Equal(got, b) {
			t.Fatalf("%q became %q", b, got)
		}
		for i := range len(b) - len(rest) {
			if _, _, err := ParseNetstring(b[:i], limit); err != io.ErrUnexpectedEOF {
				t.Fatalf("%q cut to %d bytes: %v", b, i, err)
			}
		}
	})
}
