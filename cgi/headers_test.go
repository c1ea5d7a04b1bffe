package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

func mustHeaders(t *testing.T, fields ...Field) *Headers {
	t.Helper()
	h, err := NewHeaders(fields...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The cases of CPython's test_wsgiref, HeaderTests.testMappingInterface.
func TestHeadersMapping(t *testing.T) {
	if n := mustHeaders(t).Len(); n != 0 {
		t.Errorf("an empty one has length %d", n)
	}
	h := mustHeaders(t, Field{"x", "y"})
	if h.Len() != 1 || !slices.Equal(h.Names(), []string{"x"}) || !slices.Equal(h.Fields(), []Field{{"x", "y"}}) {
		t.Errorf("got %v", h.Fields())
	}
	h.Fields()[0].Name = "changed"
	if h.Get("x") != "y" {
		t.Error("Fields is no copy")
	}
	h = mustHeaders(t)
	h.Del("foo")
	if h.Has("foo") || h.Get("foo") != "" || h.Values("foo") != nil {
		t.Error("what is absent is found")
	}
	for _, name := range []string{"foo", "Foo", "FOO"} {
		if err := h.Set(name, "bar"); err != nil {
			t.Fatal(err)
		}
		if h.Len() != 1 || h.Names()[0] != name {
			t.Errorf("Set(%q): %v", name, h.Fields())
		}
		for _, n := range []string{"foo", "fOO"} {
			if !h.Has(n) || h.Get(n) != "bar" || !slices.Equal(h.Values(n), []string{"bar"}) {
				t.Errorf("%q is not found", n)
			}
		}
	}
	if v, err := h.SetDefault("fOo", "other"); v != "bar" || err != nil {
		t.Errorf("SetDefault of what is there: %q, %v", v, err)
	}
	if v, err := h.SetDefault("New", " 1 "); v != "1" || err != nil || h.Get("new") != "1" {
		t.Errorf("SetDefault of what is not: %q, %v", v, err)
	}
	h.Set("Empty", "")
	if v, err := h.SetDefault("Empty", "x"); v != "" || err != nil || !h.Has("empty") {
		t.Errorf("an empty value: %q, %v", v, err)
	}
}

func TestHeadersOrder(t *testing.T) {
	h := mustHeaders(t, Field{"A", "1"}, Field{"B", "2"}, Field{"a", "3"})
	if got := h.Values("A"); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("Values: %q", got)
	}
	h.Set("A", "4")
	var got []string
	for name, value := range h.All() {
		got = append(got, name+"="+value)
	}
	if !slices.Equal(got, []string{"B=2", "A=4"}) {
		t.Errorf("Set moves to the end: %q", got)
	}
}

// The cases of HeaderTests.testExtras.
func TestHeadersText(t *testing.T) {
	h := mustHeaders(t)
	if h.String() != "\r\n" {
		t.Errorf("empty: %q", h)
	}
	h.Add("foo", "bar", Param{"baz", "spam"})
	if h.Get("foo") != `bar; baz="spam"` || h.String() != "foo: bar; baz=\"spam\"\r\n\r\n" {
		t.Errorf("got %q", h)
	}
	h.Add("Foo", "bar", Param{"cheese", ""})
	if got := h.Values("foo"); !slices.Equal(got, []string{`bar; baz="spam"`, "bar; cheese"}) {
		t.Errorf("got %q", got)
	}
	want := "foo: bar; baz=\"spam\"\r\nFoo: bar; cheese\r\n\r\n"
	var b bytes.Buffer
	n, err := h.WriteTo(&b)
	if b.String() != want || n != int64(len(want)) || err != nil || string(h.Bytes()) != want {
		t.Errorf("got %q", b.String())
	}
	h = mustHeaders(t)
	h.Add("Content-Disposition", "attachment", Param{"file_name", `a"b\c`}, Param{"x", "é"})
	h.AddParams("P", Param{"a", "1"}, Param{"b", ""})
	if got := h.String(); got != "Content-Disposition: attachment; file-name=\"a\\\"b\\\\c\"; x=\"é\"\r\nP: a=\"1\"; b\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

// The cases of HeaderTests.test_control_characters (2026).
func TestHeadersRefuse(t *testing.T) {
	for c := range 0x80 {
		if c >= 0x20 && c != 0x7f {
			continue
		}
		s := fmt.Sprintf("a%cb", c)
		h := mustHeaders(t)
		value := h.Set("k", s)
		if c == '\t' {
			if value != nil || h.Get("k") != s || h.Add("k", "v", Param{"p", s}) != nil {
				t.Errorf("HTAB in a value: %v", value)
			}
		}
		errs := []error{h.Set(s, "v"), h.Add(s, "v"), h.Add("k", "v", Param{s, "v"})}
		if c != '\t' {
			_, d := h.SetDefault("other", s)
			_, n := NewHeaders(Field{"k", s})
			errs = append(errs, value, d, n, h.Add("k", s), h.Add("k", "v", Param{"p", s}), h.AddParams("k", Param{"p", s}))
		} else {
			errs = errs[:2]
		}
		for i, err := range errs {
			if !errors.Is(err, ErrField) {
				t.Errorf("byte %#02x, case %d: %v", c, i, err)
			}
		}
		if c != '\t' && h.Len() != 0 {
			t.Errorf("byte %#02x is kept: %q", c, h)
		}
	}
	for _, name := range []string{"", "a b", "a:", "Status", "é"} {
		if h := new(Headers); !errors.Is(h.Set(name, "v"), ErrField) {
			t.Errorf("name %q is taken", name)
		}
	}
	h := mustHeaders(t, Field{"A", "1"})
	if h.Set("A", "\n") == nil || h.Get("A") != "1" {
		t.Error("a Set that failed has changed something")
	}
}
