package cgi

import (
	"bytes"
	"errors"
	"slices"
	"strings"
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

func TestHeadersParams(t *testing.T) {
	for _, tt := range []struct {
		value  string
		params []Param
		want   string
	}{
		{"attachment", []Param{{"file_name", `a"b\c`}, {"x", "é"}}, `attachment; file-name="a\"b\\c"; x="é"`},
		{"", []Param{{"a", "1"}}, `; a="1"`},
		{"a", []Param{{"b_", "b_"}, {"b_", ""}}, `a; b-="b_"; b-`},
		{"a", []Param{{"b", " \t "}}, "a; b=\" \t \""},
		{"a", nil, "a"},
	} {
		var h Headers
		if err := h.Add("A", tt.value, tt.params...); err != nil || h.Get("a") != tt.want {
			t.Errorf("got %q, %v, want %q", h.Get("a"), err, tt.want)
		}
		if err := h.AddParams("B", tt.params...); err != nil || h.Get("b") != strings.TrimPrefix(tt.want[len(tt.value):], "; ") {
			t.Errorf("got %q, %v", h.Get("b"), err)
		}
	}
}

// A parameter cannot start another one, nor a field.
func TestHeadersRefuseParams(t *testing.T) {
	for _, p := range []Param{{"", ""}, {"", "v"}, {"a b", "v"}, {"a;b", "v"}, {`a="x"; b`, "v"}, {"a=b", ""}, {"a\tb", "v"}, {"é", "v"}, {"a\n", ""}, {"a", "\n"}} {
		var h Headers
		for _, err := range []error{h.Add("k", "v", p), h.Add("k", "v", Param{"ok", "1"}, p), h.AddParams("k", p)} {
			if fe, ok := errors.AsType[*FieldError](err); !ok || fe.Name != "k" || h.Len() != 0 {
				t.Errorf("%q: %v, %q is kept", p, err, h.String())
			}
		}
	}
}

func TestHeadersRefuse(t *testing.T) {
	for _, name := range []string{"", "a b", "a:", "Status", "sTATUS", "é", "a\xe4"} {
		if h := new(Headers); !errors.Is(h.Set(name, "v"), ErrField) || !errors.Is(h.Add(name, "v"), ErrField) || h.Len() != 0 {
			t.Errorf("name %q is taken", name)
		}
	}
	h := mustHeaders(t, Field{"A", "1"})
	if h.Set("A", "\n") == nil || h.Get("A") != "1" {
		t.Error("a Set that failed has changed something")
	}
	if _, err := h.SetDefault("a", "\n"); err != nil || h.Len() != 1 {
		t.Errorf("SetDefault of what is there: %v", err)
	}
}

// A name that folds to another one outside ASCII is not the same name.
func TestHeadersFoldASCII(t *testing.T) {
	h := mustHeaders(t, Field{"Set-Cookie", "1"}, Field{"K", "2"})
	for _, name := range []string{"\u017fet-Cookie", "Set-Coo\u212aie", "\u212a"} {
		h.Del(name)
		if h.Has(name) || h.Values(name) != nil || h.Len() != 2 {
			t.Errorf("%q is found", name)
		}
	}
	if !h.Has("SET-cookie") || h.Get("k") != "2" {
		t.Error("what is there is not found")
	}
}

func TestHeadersCopy(t *testing.T) {
	fields := []Field{{"A", "1"}}
	h := mustHeaders(t, fields...)
	fields[0] = Field{"B", "\n"}
	h.Fields()[0].Name = "C"
	h.Names()[0] = "D"
	h.Values("A")[0] = "2"
	if got := h.String(); got != "A: 1\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestHeadersValue(t *testing.T) {
	h := mustHeaders(t, Field{"A", " \t1 2\t "}, Field{"B", " \t"}, Field{"C", "\xe4\u212a"})
	want := "A: 1 2\r\nB: \r\nC: \xe4\u212a\r\n\r\n"
	var b bytes.Buffer
	n, err := h.WriteTo(&b)
	if b.String() != want || n != int64(len(want)) || err != nil || string(h.Bytes()) != want || h.String() != want {
		t.Errorf("got %q", b.String())
	}
}

// FuzzHeaderList holds that what Bytes prints parses back to the same fields, and
// that a method that fails has changed nothing.
func FuzzHeaderList(f *testing.F) {
	f.Add("Content-Type", "text/plain", "Set-Cookie", "a=b", "path_x", `"\`)
	f.Add("A", " \t", "a", "b: c", "b", "")
	f.Add("X", "one\r\nSet-Cookie: two", "a b", "", "a;b", "\x7f")
	f.Add("Status", "200", "\u212a", "\xe4", "p", "\r\n\r\n")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, param, paramValue string) {
		h := new(Headers)
		p := Param{param, paramValue}
		for i, change := range []func() error{
			func() error { return h.Add(name1, value1) },
			func() error { return h.Add(name2, value2, p) },
			func() error { return h.AddParams(name1, p, p) },
			func() error { _, err := h.SetDefault(name2, value1); return err },
			func() error { return h.Add(name1, value2) },
			func() error { return h.Set(name2, value2) },
			func() error { h.Del(name1); return nil },
			func() error { return h.Set(name1, value1) },
			func() error { return h.Add(name2, value1) },
		} {
			before := h.Fields()
			err := change()
			if err != nil && !errors.Is(err, ErrField) {
				t.Fatal(err)
			}
			if err != nil && !slices.Equal(h.Fields(), before) {
				t.Fatalf("step %d failed and changed %q to %q", i, before, h.Fields())
			}
			lines, ok := strings.CutSuffix(string(h.Bytes()), "\r\n")
			if !ok {
				t.Fatalf("%q has no end", h.Bytes())
			}
			var parsed []Field
			for lines != "" {
				line, rest, ok := strings.Cut(lines, "\r\n")
				name, value, colon := strings.Cut(line, ": ")
				if !ok || !colon || strings.ContainsAny(line, "\r\n\x00") {
					t.Fatalf("the line %q of %q", line, h.Bytes())
				}
				parsed = append(parsed, Field{name, value})
				lines = rest
			}
			if !slices.Equal(parsed, h.Fields()) {
				t.Fatalf("%q prints as %q", h.Fields(), h.Bytes())
			}
			if _, err := NewHeaders(parsed...); err != nil {
				t.Fatalf("%q is kept: %v", parsed, err)
			}
		}
	})
}
