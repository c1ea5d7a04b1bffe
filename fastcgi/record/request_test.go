package record

import (
	"strings"
	"testing"
)

func TestF6BeginBody(t *testing.T) {
	for _, tt := range []struct {
		content string
		want    Begin
		err     error
	}{
		{"\x00\x01\x01\x00\x00\x00\x00\x00", Begin{Responder, KeepConn}, nil},
		{"\x00\x02\x00\x00\x00\x00\x00\x00", Begin{Authorizer, 0}, nil},
		{"\x00\x03\xff\xff\xff\xff\xff\xff", Begin{Filter, 0xff}, nil}, // reserved bytes set
		{"\x01\x00\x00\x00\x00\x00\x00\x00", Begin{256, 0}, nil},
		{"\xff\xff\x02\x00\x00\x00\x00\x00", Begin{0xffff, 2}, nil},
		{"\x00\x01\x01\x00\x00\x00\x00\x00" + "more", Begin{Responder, KeepConn}, nil},
		{"\x00\x01\x01\x00\x00\x00\x00\x00" + strings.Repeat("m", 65527), Begin{Responder, KeepConn}, nil},
		{"\x00\x01\x01\x00\x00\x00\x00", Begin{}, ErrBeginLength},
		{"\x00\x01\x01", Begin{}, ErrBeginLength},
		{"\x00", Begin{}, ErrBeginLength},
		{"", Begin{}, ErrBeginLength},
	} {
		got, err := ParseBegin([]byte(tt.content))
		if got != tt.want || err != tt.err {
			t.Errorf("ParseBegin(%.12q) = %+v, %v; want %+v, %v", tt.content, got, err, tt.want, tt.err)
		}
	}
}

func TestF6BeginBothWays(t *testing.T) {
	for _, want := range []Begin{{Responder, 0}, {Authorizer, KeepConn}, {Filter, 0xfe}, {0xfedc, 0xff}} {
		b := AppendBegin(nil, 9, want.Role, want.Flags)
		if got, err := ParseBegin(b[HeaderLen:]); got != want || err != nil {
			t.Errorf("%+v came back as %+v, %v", want, got, err)
		}
	}
}

func TestF20EndBody(t *testing.T) {
	for _, tt := range []struct {
		content string
		want    End
		err     error
	}{
		{"\x00\x00\x00\x00\x00\x00\x00\x00", End{0, RequestComplete}, nil},
		{"\x00\x00\x00\x01\x01\x00\x00\x00", End{1, CantMpxConn}, nil},
		{"\x01\x02\x03\x04\x02\x00\x00\x00", End{0x01020304, Overloaded}, nil},
		{"\xff\xff\xff\xff\x03\x00\x00\x00", End{0xffffffff, UnknownRole}, nil},
		{"\x80\x00\x00\x00\xff\xff\xff\xff", End{0x80000000, 255}, nil}, // reserved bytes set
		{"\x00\x00\x00\x01\x00\x00\x00\x00" + "more", End{1, RequestComplete}, nil},
		{"\x00\x00\x00\x00\x00\x00\x00", End{}, ErrEndLength},
		{"\x00\x00\x00\x01", End{}, ErrEndLength},
		{"", End{}, ErrEndLength},
	} {
		got, err := ParseEnd([]byte(tt.content))
		if got != tt.want || err != tt.err {
			t.Errorf("ParseEnd(%q) = %+v, %v; want %+v, %v", tt.content, got, err, tt.want, tt.err)
		}
	}
}

func TestF20EndBothWays(t *testing.T) {
	want := "\x01\x03\xff\xff\x00\x08\x00\x00" + "\xde\xad\xbe\xef\x03\x00\x00\x00"
	b := AppendEndRequest(nil, 65535, 0xdeadbeef, UnknownRole)
	if string(b) != want {
		t.Errorf("encoded %q; want %q", b, want)
	}
	got, err := ParseEnd(b[HeaderLen:])
	if want := (End{0xdeadbeef, UnknownRole}); got != want || err != nil {
		t.Errorf("%+v came back as %+v, %v", want, got, err)
	}
}
