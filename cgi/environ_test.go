package cgi

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// R5: names are unique; F10 and the front-ends' peers make it necessary to resolve
// repeated ones.
func TestR5NamesAreUnique(t *testing.T) {
	var e Environ
	for _, p := range [][2]string{
		{"HTTP_X_A", "one"}, {"HTTP_COOKIE", "a=1"}, {"SCRIPT_NAME", "/a"}, {"HTTP_HOST", "first"}, {"HTTP_CONTENT_LENGTH", "1"},
		{"HTTP_CONTENT_TYPE", "a/b"}, {"HTTP_X_A", "two"}, {"HTTP_COOKIE", "b=2"}, {"SCRIPT_NAME", "/b"}, {"HTTP_HOST", "last"},
		{"HTTP_CONTENT_LENGTH", "2"}, {"HTTP_CONTENT_TYPE", "c/d"}, {"HTTP_X_A", ""}, {"http_x_a", "other"},
	} {
		if err := e.Add(p[0], p[1]); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"HTTP_X_A=one, two, ", "HTTP_COOKIE=a=1; b=2", "SCRIPT_NAME=/b", "HTTP_HOST=last", "HTTP_CONTENT_LENGTH=2",
		"HTTP_CONTENT_TYPE=c/d", "http_x_a=other"}
	if got := e.Strings(); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestEnvironRefuses(t *testing.T) {
	var e Environ
	for _, p := range [][2]string{{"A\x00", "b"}, {"A", "b\x00"}, {"A", "\x00"}} {
		if err := e.Add(p[0], p[1]); !errors.Is(err, ErrNUL) {
			t.Errorf("Add(%q, %q) = %v", p[0], p[1], err)
		}
	}
	if err := e.Add("", "x"); !errors.Is(err, ErrEmptyName) {
		t.Errorf("Add of no name = %v", err)
	}
	if e.Len() != 0 {
		t.Errorf("kept %q", e.Strings())
	}
}

// R7: an empty value and none at all are the same to Get, and only Lookup, which
// the rules for paths need, tells them apart.
func TestR7EmptyIsUnset(t *testing.T) {
	e := NewEnviron("EMPTY=")
	if e.Get("EMPTY") != e.Get("ABSENT") {
		t.Error("Get tells them apart")
	}
	if _, ok := e.Lookup("EMPTY"); !ok {
		t.Error("Lookup does not find the empty value")
	}
	if _, ok := e.Lookup("ABSENT"); ok {
		t.Error("Lookup finds what is absent")
	}
}

func TestEnvironAgainstMap(t *testing.T) {
	e, m := new(Environ), map[string]string{}
	for i := range 2000 {
		name := fmt.Sprintf("N%d", i*7919%331)
		value := fmt.Sprint(i)
		switch i % 5 {
		case 0:
			e.Set(name, value)
			m[name] = value
		case 1:
			e.Del(name)
			delete(m, name)
		case 2:
			if got, ok := m[name]; e.SetDefault(name, value) != value && !ok || ok && e.Get(name) != got {
				t.Fatalf("SetDefault(%s)", name)
			} else if !ok {
				m[name] = value
			}
		default:
			e.Add(name, value)
			m[name] = value
		}
	}
	if !maps.Equal(e.Map(), m) || e.Len() != len(m) {
		t.Errorf("got %v\nwant %v", e.Map(), m)
	}
	c := e.Clone()
	e.Set("N0", "changed")
	e.Reset()
	if !maps.Equal(c.Map(), m) || e.Len() != 0 {
		t.Error("Clone shares what can change, or Reset keeps something")
	}
	if e.Add("HTTP_A", "1") != nil || e.Get("HTTP_A") != "1" {
		t.Error("Add after Reset")
	}
}

func TestEnvironJoinsAnewAfterSet(t *testing.T) {
	var e Environ
	e.Add("HTTP_A", "1")
	e.Add("HTTP_A", "2")
	e.Set("HTTP_A", "x")
	e.Add("HTTP_A", "y")
	if got := e.Get("HTTP_A"); got != "x, y" {
		t.Errorf("got %q", got)
	}
	e.Del("HTTP_A")
	e.Add("HTTP_A", "z")
	if got := e.Get("HTTP_A"); got != "z" {
		t.Errorf("got %q", got)
	}
	c := e.Clone()
	c.Add("HTTP_A", "c")
	e.Add("HTTP_A", "e")
	if e.Get("HTTP_A") != "z, e" || c.Get("HTTP_A") != "z, c" {
		t.Errorf("got %q and %q", e.Get("HTTP_A"), c.Get("HTTP_A"))
	}
}

// A name that is repeated costs its bytes and not their square: four times as many
// take no more than about four times the memory.
func TestEnvironJoinCost(t *testing.T) {
	cost := func(n int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var e Environ
		for range n {
			e.Add("HTTP_X", "0123456789012345678901234567890123456789")
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := cost(500), cost(2000)
	if many > 8*few {
		t.Errorf("500 values take %d bytes, 2000 take %d", few, many)
	}
}

func TestEnvironForms(t *testing.T) {
	e := NewEnviron("A=1", "B=x=y", "=C:=hidden", "noequals", "A=2", "E=")
	if got := e.Strings(); !slices.Equal(got, []string{"A=2", "B=x=y", "E="}) {
		t.Errorf("Strings: %q", got)
	}
	var names []string
	for name := range e.All() {
		names = append(names, name)
		if name == "B" {
			break
		}
	}
	if strings.Join(names, " ") != "A B" {
		t.Errorf("All: %q", names)
	}
}

// TestEnvironFirst: of a repeated name the last value wins, and the first is known.
func TestEnvironFirst(t *testing.T) {
	e := new(Environ)
	add := func(name string, values ...string) {
		for _, v := range values {
			if err := e.Add(name, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := func(name, want string, there bool) {
		t.Helper()
		if v, ok := e.First(name); v != want || ok != there {
			t.Errorf("First(%s) = %q, %v; want %q, %v", name, v, ok, want, there)
		}
	}
	add("THRICE", "a", "b", "c")
	add("ONCE", "a")
	add("HTTP_X", "a", "b")
	add("EMPTY", "", "b")
	first("THRICE", "a", true)
	first("ONCE", "a", true)
	first("HTTP_X", "a, b", true)
	first("EMPTY", "", true)
	first("NONE", "", false)
	if v := e.Get("THRICE"); v != "c" {
		t.Errorf("THRICE is %q; want the last", v)
	}
	c := e.Clone()
	e.Set("THRICE", "d")
	first("THRICE", "d", true)
	e.Del("EMPTY")
	first("EMPTY", "", false)
	if v, _ := c.First("THRICE"); v != "a" {
		t.Errorf("the clone has %q", v)
	}
	add("THRICE", "e")
	first("THRICE", "d", true)
	e.Reset()
	first("THRICE", "", false)
}

// TestEnvironIdentity: of two values that differ, neither says who the client is.
func TestEnvironIdentity(t *testing.T) {
	for _, c := range []struct {
		sent         []string
		value, first string
		contradicted bool
	}{
		{[]string{"alice"}, "alice", "alice", false},
		{[]string{"alice", "alice"}, "alice", "alice", false},
		{[]string{"", ""}, "", "", false},
		{[]string{"alice", "bob"}, "", "", true},
		{[]string{"alice", ""}, "", "", true},
		{[]string{"", "alice"}, "", "", true},
		{[]string{"alice", "alice", "bob"}, "", "", true},
		{[]string{"alice", "bob", "bob"}, "", "", true},
		{[]string{"alice", "", "alice"}, "", "", true},
		{[]string{"alice", "Alice"}, "", "", true},
	} {
		for _, name := range []string{"REMOTE_USER", "REMOTE_IDENT", "AUTH_TYPE", "SSL_CLIENT_S_DN", "SSL_CLIENT_VERIFY", "REMOTE_ADDR", "remote_user", "SSL_CLIENT"} {
			one, all := new(Environ), new(Environ)
			var text string
			var list []Pair
			for _, v := range c.sent {
				if err := one.Add(name, v); err != nil {
					t.Fatal(err)
				}
				at := len(text)
				text += name + v
				list = append(list, Pair{at, at + len(name), at + len(name), len(text)})
			}
			if err := all.AddPairs(text, list...); err != nil {
				t.Fatal(err)
			}
			value, first := c.value, c.first
			switch name {
			case "REMOTE_ADDR", "remote_user", "SSL_CLIENT": // these are as other names
				value, first = c.sent[len(c.sent)-1], c.sent[0]
			}
			for _, e := range []*Environ{one, all, one.Clone()} {
				if v, is := e.Lookup(name); v != value || !is {
					t.Errorf("%s sent as %q is %q, %v; want %q", name, c.sent, v, is, value)
				}
				if v, is := e.First(name); v != first || !is {
					t.Errorf("%s sent as %q has the first value %q, %v; want %q", name, c.sent, v, is, first)
				}
				var want []string
				if c.contradicted {
					want = []string{name}
				}
				if got := e.Contradicted(); !slices.Equal(got, want) {
					t.Errorf("%s sent as %q: contradicted are %q", name, c.sent, got)
				}
			}
			one.Set(name, "set")
			if v, _ := one.First(name); v != "set" || one.Get(name) != "set" {
				t.Errorf("%s is %q after Set, the first %q", name, one.Get(name), v)
			}
			if one.Reset(); len(one.Contradicted()) > 0 {
				t.Error("contradictions stay after Reset")
			}
		}
	}
}

// TestAmbiguous: names that came with different values, of which one counts, even if the
// value was set since.
func TestAmbiguous(t *testing.T) {
	e := new(Environ)
	for _, v := range []string{"SCRIPT_NAME=/a", "SCRIPT_NAME=/b", "REMOTE_ADDR=192.0.2.1", "REMOTE_ADDR=192.0.2.2", "SSL_CLIENT_S_DN=a", "SSL_CLIENT_S_DN=b",
		"HTTP_ACCEPT=a", "HTTP_ACCEPT=b", "A=", "A=x", "B=x", "B=y", "B=x", "ONCE=1"} {
		name, value, _ := strings.Cut(v, "=")
		if err := e.Add(name, value); err != nil {
			t.Fatal(err)
		}
	}
	e.Set("SCRIPT_NAME", "/c")
	want := []string{"A", "B", "SCRIPT_NAME"} // of REMOTE_USER and the like the Handler tells
	if got := e.Clone().Ambiguous(); !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
	// As a front-end adds them.
	const text = "X1X2X3"
	e = new(Environ)
	if err := e.AddPairs(text, Pair{0, 1, 1, 2}, Pair{2, 3, 3, 4}); err != nil {
		t.Fatal(err)
	}
	if got := e.Ambiguous(); !slices.Equal(got, []string{"X"}) {
		t.Errorf("%q; want X", got)
	}
	if e.Reset(); e.Ambiguous() != nil {
		t.Error("Reset leaves names")
	}
}
