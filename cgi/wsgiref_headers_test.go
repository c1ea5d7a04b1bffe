package cgi

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// TestWsgirefHeaders has the cases of CPython's test_wsgiref, HeaderTests. The
// numbers go on from those of TestWsgirefUtil. Case 77, that a list is needed, means
// nothing in Go.
func TestWsgirefHeaders(t *testing.T) {
	t.Run("076_mapping", testHeadersMapping)
	t.Run("078_extras", testHeadersExtras)
	t.Run("079_control_characters", testHeadersControlCharacters)
}

func testHeadersMapping(t *testing.T) {
	if n := new(Headers).Len(); n != 0 {
		t.Errorf("an empty one has length %d", n)
	}
	if n := mustHeaders(t).Len(); n != 0 {
		t.Errorf("one of no fields has length %d", n)
	}
	test := []Field{{"x", "y"}}
	h := mustHeaders(t, test...)
	if h.Len() != 1 || !slices.Equal(h.Names(), []string{"x"}) || !slices.Equal(h.Fields(), test) {
		t.Errorf("got %v", h.Fields())
	}
	for name, value := range h.All() {
		if name != "x" || value != "y" {
			t.Errorf("All yields %q, %q", name, value)
		}
	}
	h.Fields()[0].Name = "changed"
	if h.Get("x") != "y" {
		t.Error("Fields is no copy")
	}

	h = mustHeaders(t)
	h.Del("foo") // does not fail
	if err := h.Set("Foo", "bar"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"foo", "Foo", "FOO"} {
		if v, ok := h.Lookup(name); !ok || v != "bar" || !h.Has(name) || h.Get(name) != "bar" || !slices.Equal(h.Values(name), []string{"bar"}) {
			t.Errorf("%q is not found", name)
		}
	}
	if _, ok := h.Lookup("bar"); ok || h.Has("bar") || h.Get("bar") != "" || len(h.Values("bar")) != 0 {
		t.Error("what is absent is found")
	}
	if err := h.Set("foo", "baz"); err != nil || h.Get("FOO") != "baz" || !slices.Equal(h.Values("foo"), []string{"baz"}) {
		t.Errorf("after Set: %v, %v", h.Fields(), err)
	}
	if !slices.Equal(h.Names(), []string{"foo"}) {
		t.Errorf("Set keeps the old spelling: %q", h.Names())
	}
	if v, err := h.SetDefault("foo", "whee"); v != "baz" || err != nil {
		t.Errorf("SetDefault of what is there: %q, %v", v, err)
	}
	if v, err := h.SetDefault("zoo", "whee"); v != "whee" || err != nil {
		t.Errorf("SetDefault of what is not: %q, %v", v, err)
	}
	if h.Get("foo") != "baz" || h.Get("zoo") != "whee" {
		t.Errorf("got %v", h.Fields())
	}

	// Seen beyond the case: an empty value is there.
	if err := h.Set("Empty", ""); err != nil {
		t.Fatal(err)
	}
	if v, err := h.SetDefault("empty", "x"); v != "" || err != nil || !h.Has("empty") {
		t.Errorf("an empty value: %q, %v", v, err)
	}
}

func testHeadersExtras(t *testing.T) {
	h := mustHeaders(t)
	if h.String() != "\r\n" {
		t.Errorf("empty: %q", h)
	}
	if err := h.Add("foo", "bar", Param{"baz", "spam"}); err != nil {
		t.Fatal(err)
	}
	if h.Get("foo") != `bar; baz="spam"` || h.String() != "foo: bar; baz=\"spam\"\r\n\r\n" {
		t.Errorf("got %q", h)
	}
	if err := h.Add("Foo", "bar", Param{"cheese", ""}); err != nil {
		t.Fatal(err)
	}
	if got := h.Values("foo"); !slices.Equal(got, []string{`bar; baz="spam"`, "bar; cheese"}) {
		t.Errorf("got %q", got)
	}
	want := "foo: bar; baz=\"spam\"\r\nFoo: bar; cheese\r\n\r\n"
	if h.String() != want || string(h.Bytes()) != want {
		t.Errorf("got %q", h)
	}
}

func testHeadersControlCharacters(t *testing.T) {
	for c := range 0x80 {
		if c >= 0x20 && c != 0x7f {
			continue
		}
		s := fmt.Sprintf("key%cword", c)
		h := mustHeaders(t)
		setDefault := func(name, value string) error { _, err := h.SetDefault(name, value); return err }
		newHeaders := func(name, value string) error { _, err := NewHeaders(Field{name, value}); return err }

		// Never in a name.
		for i, err := range []error{
			newHeaders(s, "val"), h.Set(s, "val"), setDefault(s, "val"), h.Add(s, "val"), h.Add(s, "val", Param{"param", "param"}),
			h.AddParams(s), h.Add("key", "val", Param{s, "param"}), h.Add("key", "val", Param{s, ""}), h.AddParams("key", Param{s, "param"}),
		} {
			if !errors.Is(err, ErrField) {
				t.Errorf("%q, name in case %d: %v", s, i, err)
			}
		}
		if h.Len() != 0 {
			t.Errorf("%q in a name is kept: %q", s, h)
		}
		// In a value HTAB alone.
		for i, err := range []error{
			newHeaders("key", s), h.Set("key", s), setDefault("other", s), h.Add("key", s), h.Add("key", s, Param{"param", "param"}),
			h.Add("key", "val", Param{"param", s}), h.AddParams("key", Param{"param", s}),
		} {
			if (c == '\t') != (err == nil) || err != nil && !errors.Is(err, ErrField) {
				t.Errorf("%q, value in case %d: %v", s, i, err)
			}
		}
		if c != '\t' && h.Len() != 0 {
			t.Errorf("%q in a value is kept: %q", s, h)
		}
	}
}
