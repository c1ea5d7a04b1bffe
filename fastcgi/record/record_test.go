package record

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// recordTests are records as the specification lays them out. Each is encoded
// and decoded against the same bytes.
var recordTests = []struct {
	name    string
	got     []byte
	want    string
	typ     Type
	id      uint16
	content string
	padding int
}{
	{
		"begin, responder, keep", AppendBegin(nil, 1, Responder, KeepConn),
		"\x01\x01\x00\x01\x00\x08\x00\x00" + "\x00\x01\x01\x00\x00\x00\x00\x00",
		BeginRequest, 1, "\x00\x01\x01\x00\x00\x00\x00\x00", 0,
	},
	{
		"begin, filter, close", AppendBegin(nil, 0xfffe, Filter, 0),
		"\x01\x01\xff\xfe\x00\x08\x00\x00" + "\x00\x03\x00\x00\x00\x00\x00\x00",
		BeginRequest, 0xfffe, "\x00\x03\x00\x00\x00\x00\x00\x00", 0,
	},
	{
		"abort", AppendRecord(nil, AbortRequest, 0x1234, nil),
		"\x01\x02\x12\x34\x00\x00\x00\x00",
		AbortRequest, 0x1234, "", 0,
	},
	{
		"end", AppendEndRequest(nil, 0x0102, 0x01020304, Overloaded),
		"\x01\x03\x01\x02\x00\x08\x00\x00" + "\x01\x02\x03\x04\x02\x00\x00\x00",
		EndRequest, 0x0102, "\x01\x02\x03\x04\x02\x00\x00\x00", 0,
	},
	{
		"params", AppendRecord(nil, Params, 1, AppendPair(nil, "A", "b")),
		"\x01\x04\x00\x01\x00\x04\x04\x00" + "\x01\x01Ab" + "\x00\x00\x00\x00",
		Params, 1, "\x01\x01Ab", 4,
	},
	{
		"stdin, end of stream", AppendRecord(nil, Stdin, 1, nil),
		"\x01\x05\x00\x01\x00\x00\x00\x00",
		Stdin, 1, "", 0,
	},
	{
		"stdout, 1 byte", AppendRecord(nil, Stdout, 1, []byte("x")),
		"\x01\x06\x00\x01\x00\x01\x07\x00" + "x" + "\x00\x00\x00\x00\x00\x00\x00",
		Stdout, 1, "x", 7,
	},
	{
		"stderr, 8 bytes", AppendRecord(nil, Stderr, 1, []byte("12345678")),
		"\x01\x07\x00\x01\x00\x08\x00\x00" + "12345678",
		Stderr, 1, "12345678", 0,
	},
	{
		"data, 257 bytes", AppendRecord(nil, Data, 1, bytes.Repeat([]byte("d"), 257)),
		"\x01\x08\x00\x01\x01\x01\x07\x00" + strings.Repeat("d", 257) + "\x00\x00\x00\x00\x00\x00\x00",
		Data, 1, strings.Repeat("d", 257), 7,
	},
	{
		"get values", AppendRecord(nil, GetValues, 0, AppendPair(nil, "FCGI_MAX_CONNS", "")),
		"\x01\x09\x00\x00\x00\x10\x00\x00" + "\x0e\x00FCGI_MAX_CONNS",
		GetValues, 0, "\x0e\x00FCGI_MAX_CONNS", 0,
	},
	{
		"get values result", AppendRecord(nil, GetValuesResult, 0, AppendPair(nil, "FCGI_MPXS_CONNS", "1")),
		"\x01\x0a\x00\x00\x00\x12\x06\x00" + "\x0f\x01FCGI_MPXS_CONNS1" + "\x00\x00\x00\x00\x00\x00",
		GetValuesResult, 0, "\x0f\x01FCGI_MPXS_CONNS1", 6,
	},
	{
		"unknown type", AppendUnknownType(nil, 99),
		"\x01\x0b\x00\x00\x00\x08\x00\x00" + "\x63\x00\x00\x00\x00\x00\x00\x00",
		UnknownType, 0, "\x63\x00\x00\x00\x00\x00\x00\x00", 0,
	},
}

func TestRecordBytes(t *testing.T) {
	for _, tt := range recordTests {
		t.Run(tt.name, func(t *testing.T) {
			if string(tt.got) != tt.want {
				t.Errorf("encoded %q; want %q", tt.got, tt.want)
			}
			h, content, err := NewReader(strings.NewReader(tt.want)).Next()
			if err != nil {
				t.Fatal(err)
			}
			if h.Version() != Version1 || h.Type() != tt.typ || h.ID() != tt.id ||
				h.ContentLength() != len(tt.content) || h.PaddingLength() != tt.padding {
				t.Errorf("decoded header %q as version %d, %v, id %d, content %d, padding %d",
					[]byte(h), h.Version(), h.Type(), h.ID(), h.ContentLength(), h.PaddingLength())
			}
			if string(content) != tt.content {
				t.Errorf("decoded content %q; want %q", content, tt.content)
			}
		})
	}
}

func TestF1HeaderBytes(t *testing.T) {
	want := "\x01\x06\xab\xcd\x12\x34\xfe\x00"
	if got := AppendHeader([]byte("before"), Stdout, 0xabcd, 0x1234, 0xfe); string(got) != "before"+want {
		t.Errorf("AppendHeader: %q; want %q", got, "before"+want)
	}
	dst := []byte("xxxxxxxxcontent")
	PutHeader(dst, Stdout, 0xabcd, 0x1234, 0xfe)
	if string(dst) != want+"content" {
		t.Errorf("PutHeader: %q; want %q", dst, want+"content")
	}
	// The reserved byte of a peer may be anything.
	h := Header("\x01\x06\xab\xcd\x12\x34\xfe\xff")
	if h.Version() != 1 || h.Type() != Stdout || h.ID() != 0xabcd || h.ContentLength() != 0x1234 || h.PaddingLength() != 0xfe {
		t.Errorf("%q read as version %d, %v, id %#x, content %#x, padding %#x",
			[]byte(h), h.Version(), h.Type(), h.ID(), h.ContentLength(), h.PaddingLength())
	}
	h = Header("\x00\xff\xff\xff\xff\xff\xff\x00")
	if h.Version() != 0 || h.Type() != 255 || h.ID() != 65535 || h.ContentLength() != 65535 || h.PaddingLength() != 255 {
		t.Errorf("%q read as version %d, %v, id %d, content %d, padding %d",
			[]byte(h), h.Version(), h.Type(), h.ID(), h.ContentLength(), h.PaddingLength())
	}
}

func TestF1AlignedTo8(t *testing.T) {
	for content, want := range map[int]int{0: 0, 1: 7, 7: 1, 8: 0, 9: 7, MaxAligned - 1: 1, MaxAligned: 0, MaxContent: 1} {
		if got := Padding(content); got != want {
			t.Errorf("Padding(%d) = %d; want %d", content, got, want)
		}
		// Memory that held something else must not show in the padding.
		dst := bytes.Repeat([]byte{0xee}, HeaderLen+content+want)[:0]
		b := AppendRecord(dst, Stdout, 1, bytes.Repeat([]byte{0xdd}, content))
		if len(b) != HeaderLen+content+want || len(b)%8 != 0 {
			t.Errorf("record with %d bytes of content is %d bytes long", content, len(b))
		}
		if p := b[HeaderLen+content:]; len(bytes.Trim(p, "\x00")) != 0 {
			t.Errorf("padding after %d bytes of content is %q; want zeros", content, p)
		}
	}
}

func TestF2Numbers(t *testing.T) {
	for typ, name := range []string{
		"type 0", "FCGI_BEGIN_REQUEST", "FCGI_ABORT_REQUEST", "FCGI_END_REQUEST", "FCGI_PARAMS", "FCGI_STDIN",
		"FCGI_STDOUT", "FCGI_STDERR", "FCGI_DATA", "FCGI_GET_VALUES", "FCGI_GET_VALUES_RESULT", "FCGI_UNKNOWN_TYPE", "type 12",
	} {
		if got := Type(typ).String(); got != name {
			t.Errorf("type %d is %q; want %q", typ, got, name)
		}
	}
	if got := Type(255).String(); got != "type 255" {
		t.Errorf("type 255 is %q", got)
	}
	for role, name := range []string{"role 0", "FCGI_RESPONDER", "FCGI_AUTHORIZER", "FCGI_FILTER", "role 4"} {
		if got := Role(role).String(); got != name {
			t.Errorf("role %d is %q; want %q", role, got, name)
		}
	}
	for status, name := range []string{
		"FCGI_REQUEST_COMPLETE", "FCGI_CANT_MPX_CONN", "FCGI_OVERLOADED", "FCGI_UNKNOWN_ROLE", "protocol status 4",
	} {
		if got := ProtocolStatus(status).String(); got != name {
			t.Errorf("protocol status %d is %q; want %q", status, got, name)
		}
	}
	if KeepConn != 1 || Version1 != 1 || HeaderLen != 8 || ListenSockFileno != 0 {
		t.Error("a constant differs from FastCGI 1.0 § 8")
	}
}

func TestF3ManagementTypes(t *testing.T) {
	for n := range 256 {
		want := n >= 9 && n <= 11
		if got := Type(n).IsManagement(); got != want {
			t.Errorf("%v: IsManagement is %v; want %v", Type(n), got, want)
		}
	}
}

func TestF14UnknownTypeBody(t *testing.T) {
	for _, typ := range []Type{0, GetValuesResult, 12, 255} {
		want := "\x01\x0b\x00\x00\x00\x08\x00\x00" + string([]byte{byte(typ)}) + "\x00\x00\x00\x00\x00\x00\x00"
		if got := AppendUnknownType(nil, typ); string(got) != want {
			t.Errorf("answer to %v is %q; want %q", typ, got, want)
		}
	}
}

func TestF23StreamSplits(t *testing.T) {
	for _, tt := range []struct {
		size    int
		lengths []int // the content length of each record
	}{
		{0, nil},
		{1, []int{1}},
		{MaxAligned - 1, []int{MaxAligned - 1}},
		{MaxAligned, []int{MaxAligned}},
		{MaxAligned + 1, []int{MaxAligned, 1}},
		{MaxContent, []int{MaxAligned, 7}},
		{MaxContent + 1, []int{MaxAligned, 8}},
		{2 * MaxAligned, []int{MaxAligned, MaxAligned}},
		{200000, []int{MaxAligned, MaxAligned, MaxAligned, 200000 - 3*MaxAligned}},
	} {
		data := make([]byte, tt.size)
		for i := range data {
			data[i] = byte(i % 251)
		}
		b := AppendStream([]byte("before"), Stdout, 7, data)
		var joined []byte
		var lengths []int
		for rest := b[len("before"):]; len(rest) > 0; {
			h := Header(rest)
			if h.Version() != Version1 || h.Type() != Stdout || h.ID() != 7 {
				t.Fatalf("%d bytes: header %q", tt.size, []byte(h[:HeaderLen]))
			}
			if sum := h.ContentLength() + h.PaddingLength(); sum > MaxContent || sum%8 != 0 {
				t.Errorf("%d bytes: a record of %d bytes of content and padding", tt.size, sum)
			}
			lengths = append(lengths, h.ContentLength())
			joined = append(joined, rest[HeaderLen:HeaderLen+h.ContentLength()]...)
			rest = rest[HeaderLen+h.ContentLength()+h.PaddingLength():]
		}
		if !slices.Equal(lengths, tt.lengths) {
			t.Errorf("%d bytes: split into %v; want %v", tt.size, lengths, tt.lengths)
		}
		if !bytes.Equal(joined, data) {
			t.Errorf("%d bytes: the records do not join to what was split", tt.size)
		}
	}
}

func TestF23OversizePanics(t *testing.T) {
	mustPanic(t, "content of 65536", func() { AppendHeader(nil, Stdout, 1, MaxContent+1, 0) })
	mustPanic(t, "negative content", func() { AppendHeader(nil, Stdout, 1, -1, 0) })
	mustPanic(t, "padding of 256", func() { PutHeader(make([]byte, HeaderLen), Stdout, 1, 0, 256) })
	mustPanic(t, "negative padding", func() { PutHeader(make([]byte, HeaderLen), Stdout, 1, 0, -1) })
	mustPanic(t, "7 bytes for a header", func() { PutHeader(make([]byte, HeaderLen-1), Stdout, 1, 0, 0) })
	mustPanic(t, "record of 65536", func() { AppendRecord(nil, Stdout, 1, make([]byte, MaxContent+1)) })

	b := AppendRecord(nil, Stdout, 1, make([]byte, MaxContent))
	if h := Header(b); h.ContentLength() != MaxContent || h.PaddingLength() != 1 {
		t.Errorf("the largest record has %d bytes of content and %d of padding", h.ContentLength(), h.PaddingLength())
	}
}

// TestAppendAllocates shows that the Append functions stay within capacity.
func TestAppendAllocates(t *testing.T) {
	data := make([]byte, 100000)
	dst := make([]byte, 0, 200000)
	allocs := testing.AllocsPerRun(20, func() {
		b := AppendBegin(dst, 1, Responder, KeepConn)
		b = AppendRecord(b, Params, 1, data[:100])
		b = AppendStream(b, Stdout, 1, data)
		b = AppendUnknownType(b, 12)
		b = AppendEndRequest(b, 1, 0, RequestComplete)
		PutHeader(b, Stdin, 1, 0, 0)
	})
	if allocs != 0 {
		t.Errorf("%v allocations; want none", allocs)
	}
}
