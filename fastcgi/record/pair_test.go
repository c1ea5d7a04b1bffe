package record

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// pairTests are pairs in their shortest form, encoded and decoded against the
// same bytes: all four combinations of lengths, and the borders of each.
var pairTests = []struct {
	form        string
	name, value string
	want        string
}{
	{"1+1", "A", "b", "\x01\x01" + "Ab"},
	{"1+1, empty value", "QUERY_STRING", "", "\x0c\x00" + "QUERY_STRING"},
	{"1+1, empty name", "", "v", "\x00\x01" + "v"},
	{"1+1, both empty", "", "", "\x00\x00"},
	{"1+1, any byte", "A\x00=", "\x00\xff\n", "\x03\x03" + "A\x00=" + "\x00\xff\n"},
	{"1+1, 127 each", strings.Repeat("n", 127), strings.Repeat("v", 127),
		"\x7f\x7f" + strings.Repeat("n", 127) + strings.Repeat("v", 127)},
	{"1+4, 128", "A", strings.Repeat("v", 128), "\x01\x80\x00\x00\x80" + "A" + strings.Repeat("v", 128)},
	{"1+4, 65536", "A", strings.Repeat("v", 65536), "\x01\x80\x01\x00\x00" + "A" + strings.Repeat("v", 65536)},
	{"4+1, 128", strings.Repeat("n", 128), "b", "\x80\x00\x00\x80\x01" + strings.Repeat("n", 128) + "b"},
	{"4+1, 128 and 127", strings.Repeat("n", 128), strings.Repeat("v", 127),
		"\x80\x00\x00\x80\x7f" + strings.Repeat("n", 128) + strings.Repeat("v", 127)},
	{"4+4, 128 each", strings.Repeat("n", 128), strings.Repeat("v", 128),
		"\x80\x00\x00\x80\x80\x00\x00\x80" + strings.Repeat("n", 128) + strings.Repeat("v", 128)},
	{"4+4, 255 and 256", strings.Repeat("n", 255), strings.Repeat("v", 256),
		"\x80\x00\x00\xff\x80\x00\x01\x00" + strings.Repeat("n", 255) + strings.Repeat("v", 256)},
}

func TestF9PairBytes(t *testing.T) {
	for _, tt := range pairTests {
		t.Run(tt.form, func(t *testing.T) {
			if got := AppendPair([]byte("before"), tt.name, tt.value); string(got) != "before"+tt.want {
				t.Errorf("encoded %.40q; want %.40q", got, "before"+tt.want)
			}
			name, value, rest, err := NextPair(tt.want + "\x01")
			if name != tt.name || value != tt.value || rest != "\x01" || err != nil {
				t.Errorf("decoded %.40q, %.40q, rest %.40q, %v", name, value, rest, err)
			}
			bname, bvalue, brest, err := NextPair([]byte(tt.want))
			if string(bname) != tt.name || string(bvalue) != tt.value || len(brest) != 0 || err != nil {
				t.Errorf("decoded from bytes %.40q, %.40q, rest %.40q, %v", bname, bvalue, brest, err)
			}
		})
	}
}

// TestF9LongFormOfSmallNumber: a peer may spend four bytes on any length.
func TestF9LongFormOfSmallNumber(t *testing.T) {
	for _, tt := range []struct{ p, name, value string }{
		{"\x80\x00\x00\x01\x01" + "Ab", "A", "b"},
		{"\x01\x80\x00\x00\x01" + "Ab", "A", "b"},
		{"\x80\x00\x00\x01\x80\x00\x00\x01" + "Ab", "A", "b"},
		{"\x80\x00\x00\x01\x80\x00\x00\x00" + "A", "A", ""},
		{"\x80\x00\x00\x00\x80\x00\x00\x00", "", ""},
		{"\x80\x00\x00\x7f\x00" + strings.Repeat("n", 127), strings.Repeat("n", 127), ""},
	} {
		name, value, rest, err := NextPair(tt.p)
		if name != tt.name || value != tt.value || rest != "" || err != nil {
			t.Errorf("NextPair(%q) = %q, %q, %q, %v; want %q, %q", tt.p, name, value, rest, err, tt.name, tt.value)
		}
	}
}

// malformedPairs announce more than there is, in every place where they can.
var malformedPairs = []string{
	"",

	// The end comes inside the lengths.
	"\x00",
	"\x01",
	"\x7f",
	"\x80",
	"\x80\x00\x00",
	"\x80\x00\x00\x01",
	"\x01\x80",
	"\x01\x80\x00\x00",
	"\x80\x00\x00\x01\x80\x00\x00",

	// It comes inside the name or the value.
	"\x01\x00",
	"\x02\x00A",
	"\x01\x01A",
	"\x01\x02Ab",
	"\x00\x01",
	"\x7f\x7f" + "Ab",
	"\x01\x80\x00\x00\x80" + "Ab",
	"\xff\xff\xff\xff\x00" + "Ab",
	"\x01\xff\xff\xff\xff" + "Ab",
	"\xff\xff\xff\xff\x7f" + strings.Repeat("x", 200),
	"\x7f\xff\xff\xff\xff" + strings.Repeat("x", 200),

	// The sum of both lengths is negative, or wraps, in 32 bits.
	"\xff\xff\xff\xff\x80\x00\x00\x01" + "Ab",
	"\xff\xff\xff\xff\xff\xff\xff\xff",
	"\xff\xff\xff\xff\xff\xff\xff\xff" + "Ab",
	"\xff\xff\xff\xff\xff\xff\xff\xf0" + strings.Repeat("x", 64),
}

func TestF9TruncatedPair(t *testing.T) {
	for _, p := range malformedPairs {
		if name, value, rest, err := NextPair(p); !errors.Is(err, ErrTruncatedPair) || name != "" || value != "" || rest != "" {
			t.Errorf("NextPair(%.40q) = %.40q, %.40q, %.40q, %v; want nothing and ErrTruncatedPair", p, name, value, rest, err)
		}
		if name, value, rest, err := NextPair([]byte(p)); !errors.Is(err, ErrTruncatedPair) || name != nil || value != nil || rest != nil {
			t.Errorf("NextPair of bytes %.40q = %.40q, %.40q, %.40q, %v; want nothing and ErrTruncatedPair", p, name, value, rest, err)
		}
	}
}

// TestF9EveryPrefixIsTruncated: wherever a stream is cut, the pair it is cut
// in is neither shortened nor dropped in silence.
func TestF9EveryPrefixIsTruncated(t *testing.T) {
	for _, tt := range pairTests {
		if len(tt.want) > 1000 {
			continue // the borders are in the short ones
		}
		for n := range len(tt.want) {
			if _, _, _, err := NextPair(tt.want[:n]); err != ErrTruncatedPair {
				t.Errorf("%s: the first %d of %d bytes: %v; want ErrTruncatedPair", tt.form, n, len(tt.want), err)
			}
		}
	}
}

func TestF9LongestLength(t *testing.T) {
	if got := appendLength(nil, 1<<31-1); string(got) != "\xff\xff\xff\xff" {
		t.Errorf("2^31-1 encoded as %q", got)
	}
	mustPanic(t, "a length of 2^31", func() { appendLength(nil, 1<<31) })
}

// FuzzPairs: what decodes, encodes to bytes that decode to the same pairs, and
// encodes to itself if it was in the shortest form.
func FuzzPairs(f *testing.F) {
	for _, tt := range pairTests {
		if len(tt.want) < 1000 {
			f.Add([]byte(tt.want))
			f.Add([]byte(tt.want + tt.want + "\x03"))
		}
	}
	for _, p := range malformedPairs {
		f.Add([]byte(p))
	}
	f.Add([]byte("\x80\x00\x00\x01\x80\x00\x00\x01" + "Ab" + "\x01\x01" + "Ab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		type pair struct{ name, value string }
		var pairs []pair
		var encoded []byte
		canonical := true
		rest, srest := data, string(data)
		for len(rest) > 0 {
			name, value, next, err := NextPair(rest)
			sname, svalue, snext, serr := NextPair(srest)
			if sname != string(name) || svalue != string(value) || len(snext) != len(next) || serr != err {
				t.Fatalf("bytes give %q, %q, %q, %v, a string %q, %q, %q, %v", name, value, next, err, sname, svalue, snext, serr)
			}
			if err != nil {
				if err != ErrTruncatedPair || name != nil || value != nil || next != nil {
					t.Fatalf("%q, %q, %q with error %v", name, value, next, err)
				}
				break
			}
			if len(next) >= len(rest) {
				t.Fatalf("no progress at %q", rest)
			}
			lengths := rest[:len(rest)-len(next)-len(name)-len(value)]
			short := 2
			for _, n := range []int{len(name), len(value)} {
				if n > 127 {
					short += 3
				}
			}
			canonical = canonical && len(lengths) == short
			pairs = append(pairs, pair{string(name), string(value)})
			encoded = AppendPair(encoded, string(name), string(value))
			rest, srest = next, snext
		}
		consumed := data[:len(data)-len(rest)]
		if canonical != bytes.Equal(encoded, consumed) {
			t.Fatalf("%q (shortest form: %v) encodes to %q", consumed, canonical, encoded)
		}
		again := encoded
		for i, want := range pairs {
			name, value, next, err := NextPair(again)
			if err != nil || string(name) != want.name || string(value) != want.value {
				t.Fatalf("pair %d %q came back as %q, %q, %v", i, want, name, value, err)
			}
			again = next
		}
		if len(again) != 0 {
			t.Fatalf("%q is left after all pairs", again)
		}
	})
}

// benchPairs are the variables of a small request.
var benchPairs = [][2]string{
	{"GATEWAY_INTERFACE", "CGI/1.1"},
	{"REQUEST_METHOD", "GET"},
	{"SCRIPT_NAME", "/git/project.git/info/refs"},
	{"QUERY_STRING", "service=git-upload-pack"},
	{"SERVER_PROTOCOL", "HTTP/1.1"},
	{"HTTP_USER_AGENT", strings.Repeat("agent ", 30)},
	{"CONTENT_LENGTH", ""},
}

func TestPairsAllocate(t *testing.T) {
	dst := make([]byte, 0, 4096)
	allocs := testing.AllocsPerRun(20, func() {
		b := dst
		for _, p := range benchPairs {
			b = AppendPair(b, p[0], p[1])
		}
		for i := 0; len(b) > 0; i++ {
			name, value, rest, err := NextPair(b)
			if err != nil || string(name) != benchPairs[i][0] || string(value) != benchPairs[i][1] {
				t.Fatalf("pair %d came back as %q, %q, %v", i, name, value, err)
			}
			b = rest
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations; want none", allocs)
	}
}

func BenchmarkAppendPair(b *testing.B) {
	b.ReportAllocs()
	dst := make([]byte, 0, 4096)
	for b.Loop() {
		p := dst
		for _, pair := range benchPairs {
			p = AppendPair(p, pair[0], pair[1])
		}
		b.SetBytes(int64(len(p)))
	}
}

func BenchmarkNextPair(b *testing.B) {
	var p []byte
	for _, pair := range benchPairs {
		p = AppendPair(p, pair[0], pair[1])
	}
	b.Run("bytes", func(b *testing.B) { benchmarkNextPair(b, p) })
	b.Run("string", func(b *testing.B) { benchmarkNextPair(b, string(p)) })
}

func benchmarkNextPair[T ~string | ~[]byte](b *testing.B, p T) {
	b.ReportAllocs()
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		for rest := p; len(rest) > 0; {
			var err error
			if _, _, rest, err = NextPair(rest); err != nil {
				b.Fatal(err)
			}
		}
	}
}
