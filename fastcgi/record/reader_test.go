package record

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// sources are the ways in which the same bytes may arrive.
var sources = map[string]func(io.Reader) io.Reader{
	"at once":         func(r io.Reader) io.Reader { return r },
	"byte by byte":    iotest.OneByteReader,
	"half by half":    iotest.HalfReader,
	"EOF with data":   iotest.DataErrReader,
	"bytes, then EOF": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
}

func TestF1SkipsPaddingOnEveryType(t *testing.T) {
	var b []byte
	type sent struct {
		typ              Type
		content, padding int
	}
	var want []sent
	for typ := range 14 { // with types that mean nothing
		for _, s := range []sent{{Type(typ), 0, 255}, {Type(typ), 5, 1}, {Type(typ), 300, 254}, {Type(typ), 8, 0}} {
			want = append(want, s)
			b = AppendHeader(b, s.typ, 3, s.content, s.padding)
			b = append(b, bytes.Repeat([]byte{byte(typ)}, s.content)...)
			b = append(b, bytes.Repeat([]byte{0xff}, s.padding)...) // need not be zero
		}
	}
	for name, source := range sources {
		r := NewReader(source(bytes.NewReader(b)))
		for _, s := range want {
			h, content, err := r.Next()
			if err != nil {
				t.Fatalf("%s: %v: %v", name, s, err)
			}
			if h.Type() != s.typ || h.PaddingLength() != s.padding || !bytes.Equal(content, bytes.Repeat([]byte{byte(s.typ)}, s.content)) {
				t.Fatalf("%s: %+v came as %v with content %q, padding %d", name, s, h.Type(), content, h.PaddingLength())
			}
		}
		if _, _, err := r.Next(); err != io.EOF {
			t.Errorf("%s: after the last record: %v; want io.EOF", name, err)
		}
	}
}

func TestBuffered(t *testing.T) {
	b := AppendRecord(nil, Stdout, 1, []byte("x"))
	r := NewReader(strings.NewReader(string(b) + string(b) + "12345"))
	for _, want := range []int{0, len(b) + 5, 5} {
		if got := r.Buffered(); got != want {
			t.Errorf("%d bytes are buffered; want %d", got, want)
		}
		r.Next()
	}
}

func TestF1VersionRefused(t *testing.T) {
	good := AppendRecord(nil, Stdout, 1, []byte("x"))
	for _, tt := range []struct{ bytes, message string }{
		{"\x00\x06\x00\x01\x00\x00\x00\x00", "fastcgi: record version is not 1 but 0"},
		{"\x02\x06\x00\x01\x00\x00\x00\x00", "fastcgi: record version is not 1 but 2"},
		{"\xff\xff\xff\xff\xff\xff\xff\xff", "fastcgi: record version is not 1 but 255"},
		{"GET / HTTP/1.1\r\n", "fastcgi: record version is not 1 but 71"},
	} {
		r := NewReader(strings.NewReader(string(good) + tt.bytes + string(good)))
		if _, content, err := r.Next(); string(content) != "x" || err != nil {
			t.Fatalf("the record before: %q, %v", content, err)
		}
		for range 2 {
			h, content, err := r.Next()
			if h != nil || content != nil || !errors.Is(err, ErrVersion) || err.Error() != tt.message {
				t.Errorf("%q: %q, %q, %v; want %s", tt.bytes, []byte(h), content, err, tt.message)
			}
		}
	}
}

// TestReaderEnds cuts two records at every byte.
func TestReaderEnds(t *testing.T) {
	first := AppendRecord(nil, Params, 1, []byte("pairs"))
	all := AppendRecord(first[:len(first):len(first)], Stdin, 1, []byte("a longer body"))
	for name, source := range sources {
		for n := range len(all) + 1 {
			r := NewReader(source(bytes.NewReader(all[:n])))
			records := 0
			var err error
			for err == nil {
				if _, _, err = r.Next(); err == nil {
					records++
				}
			}
			wantRecords, wantErr := 0, io.ErrUnexpectedEOF
			if n >= len(first) {
				wantRecords = 1
			}
			if n == len(all) {
				wantRecords = 2
			}
			if n == 0 || n == len(first) || n == len(all) {
				wantErr = io.EOF
			}
			if records != wantRecords || err != wantErr {
				t.Errorf("%s: cut to %d bytes: %d records, %v; want %d, %v", name, n, records, err, wantRecords, wantErr)
			}
			if _, _, again := r.Next(); again != err {
				t.Errorf("%s: cut to %d bytes: %v, then %v", name, n, err, again)
			}
		}
	}
}

// interrupted fails every other read with a time-out, and gives one byte in
// the reads between.
type interrupted struct {
	r     io.Reader
	ready bool
}

func (i *interrupted) Read(p []byte) (int, error) {
	i.ready = !i.ready
	if !i.ready {
		return 0, os.ErrDeadlineExceeded
	}
	return i.r.Read(p[:1])
}

func TestReaderResumesAfterTimeout(t *testing.T) {
	b := AppendRecord(nil, Stdout, 1, []byte("first"))
	b = AppendRecord(b, Stdout, 1, []byte("second"))
	r := NewReader(&interrupted{r: bytes.NewReader(b)})
	var got []string
	timeouts := 0
	for {
		_, content, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == os.ErrDeadlineExceeded {
			timeouts++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(content))
	}
	if strings.Join(got, " ") != "first second" {
		t.Errorf("read %q", got)
	}
	if timeouts == 0 {
		t.Error("no read was interrupted")
	}
}

// TestReaderBufferBound: the buffer stops at the size of the largest record.
func TestReaderBufferBound(t *testing.T) {
	largest := AppendHeader(nil, Stdin, 1, MaxContent, 255)
	largest = append(largest, make([]byte, MaxContent+255)...)
	b := AppendRecord(nil, Params, 1, []byte("small"))
	for range 3 {
		b = append(b, largest...)
		b = AppendRecord(b, Stdin, 1, []byte("small"))
	}
	r := NewReader(bytes.NewReader(b))
	records := 0
	for {
		_, content, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(content) != MaxContent && string(content) != "small" {
			t.Fatalf("record %d has %d bytes", records, len(content))
		}
		records++
		if len(r.buf) != readerMin && len(r.buf) != readerMax {
			t.Fatalf("after record %d the buffer has %d bytes", records, len(r.buf))
		}
	}
	if records != 7 {
		t.Errorf("%d records; want 7", records)
	}
	if len(r.buf) != 65798 {
		t.Errorf("the buffer has %d bytes; want 65798", len(r.buf))
	}
}

func TestReaderAllocates(t *testing.T) {
	b := AppendRecord(nil, Stdout, 1, []byte("Status: 200 OK\r\n\r\n"))
	b = AppendEndRequest(b, 1, 0, RequestComplete)
	src := bytes.NewReader(b)
	r := NewReader(src)
	allocs := testing.AllocsPerRun(20, func() {
		src.Reset(b)
		for range 2 {
			if _, _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations; want none", allocs)
	}
}

// FuzzRecords: header, content and padding of each record, encoded again, are
// the bytes that were consumed, up to what padding and the reserved byte hold;
// the error at the end is the one that the bytes left over call for.
func FuzzRecords(f *testing.F) {
	var all []byte
	for _, tt := range recordTests {
		f.Add([]byte(tt.want))
		all = append(all, tt.want...)
	}
	f.Add(all)
	f.Add(all[:len(all)-1])
	f.Add(append(all[:len(all):len(all)], "GET / HTTP/1.1\r\n"...))
	f.Add([]byte("\x01\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x01\x05\x00\x00\x00\x00\x02\x99xx\x01\x05\x00\x00\x00\x00\x00\x99"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, source := range sources {
			r := NewReader(source(bytes.NewReader(data)))
			rest := data
			for {
				h, content, err := r.Next()
				if err != nil {
					checkEnd(t, name, rest, h, content, err)
					break
				}
				encoded := AppendHeader(nil, h.Type(), h.ID(), len(content), h.PaddingLength())
				encoded = append(encoded, content...)
				size := len(encoded) + h.PaddingLength()
				if size > len(rest) {
					t.Fatalf("%s: a record of %d bytes out of %d", name, size, len(rest))
				}
				consumed := bytes.Clone(rest[:len(encoded)])
				consumed[7] = 0
				if !bytes.Equal(encoded, consumed) {
					t.Fatalf("%s: %q encodes to %q", name, consumed, encoded)
				}
				if aligned := AppendRecord(nil, h.Type(), h.ID(), content); len(aligned)%8 != 0 || !bytes.Equal(aligned[HeaderLen:HeaderLen+len(content)], content) {
					t.Fatalf("%s: %q encodes to %q", name, content, aligned)
				}
				if b, err := ParseBegin(content); err == nil {
					if again, err := ParseBegin(AppendBegin(nil, h.ID(), b.Role, b.Flags)[HeaderLen:]); again != b || err != nil {
						t.Fatalf("%+v came back as %+v, %v", b, again, err)
					}
				}
				if e, err := ParseEnd(content); err == nil {
					if again, err := ParseEnd(AppendEndRequest(nil, h.ID(), e.AppStatus, e.ProtocolStatus)[HeaderLen:]); again != e || err != nil {
						t.Fatalf("%+v came back as %+v, %v", e, again, err)
					}
				}
				rest = rest[size:]
			}
		}
	})
}

// checkEnd fails t unless err is what Next owes for the bytes in rest.
func checkEnd(t *testing.T, name string, rest []byte, h Header, content []byte, err error) {
	t.Helper()
	want := io.ErrUnexpectedEOF
	switch {
	case len(rest) == 0:
		want = io.EOF
	case len(rest) >= HeaderLen && rest[0] != Version1:
		want = ErrVersion
	case len(rest) >= HeaderLen:
		next := Header(rest)
		if size := HeaderLen + next.ContentLength() + next.PaddingLength(); size <= len(rest) {
			t.Fatalf("%s: %v although a record of %d bytes is whole", name, err, size)
		}
	}
	if h != nil || content != nil || !errors.Is(err, want) {
		t.Fatalf("%s: %q, %q, %v with %q left; want %v", name, []byte(h), content, err, rest, want)
	}
}

// TestWhole: what has been read ahead is told, and whether the next record is among it.
func TestWhole(t *testing.T) {
	first, second := AppendRecord(nil, Stdout, 1, []byte("ab")), AppendRecord(nil, Stdout, 1, []byte("cd"))
	for n := range len(second) + 1 {
		r := NewReader(bytes.NewReader(append(first[:len(first):len(first)], second[:n]...)))
		if r.Whole() || len(r.Ahead()) != 0 {
			t.Errorf("%q before anything was read", r.Ahead())
		}
		if _, _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if r.Whole() != (n == len(second)) || !bytes.Equal(r.Ahead(), second[:n]) {
			t.Errorf("%d of %d bytes: whole %v, %q", n, len(second), r.Whole(), r.Ahead())
		}
	}
}
