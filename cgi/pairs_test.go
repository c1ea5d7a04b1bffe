package cgi

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// addParts adds "NAME=value" strings as parts of one text.
func addParts(t *testing.T, e *Environ, vars ...string) {
	t.Helper()
	text := strings.Join(vars, "\n")
	at := 0
	for _, v := range vars {
		i := strings.IndexByte(v, '=')
		if err := e.AddPairs(text, Pair{at, at + i, at + i + 1, at + len(v)}); err != nil {
			t.Fatal(err)
		}
		at += len(v) + 1
	}
}

// TestAddPairs: it differs from Add only in what it keeps.
func TestAddPairs(t *testing.T) {
	vars := []string{"A=1", "HTTP_COOKIE=a=1", "EMPTY=", "HTTP_X=1", "A=2", "HTTP_COOKIE=b=2", "HTTP_X=2", "HTTP_COOKIE=c=3", "HTTP_HOST=a", "HTTP_HOST=b"}
	var parts, strs Environ
	addParts(t, &parts, vars...)
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		if err := strs.Add(name, value); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"A=2", "HTTP_COOKIE=a=1; b=2; c=3", "EMPTY=", "HTTP_X=1, 2", "HTTP_HOST=b"}
	if d := cmp.Diff(want, parts.Strings()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(parts.Strings(), strs.Strings()); d != "" {
		t.Error(d)
	}
	if err := parts.AddPairs("=x", Pair{0, 0, 1, 2}); !errors.Is(err, ErrEmptyName) {
		t.Errorf("a variable without a name: %v", err)
	}
}

// TestAddPairsOfAnotherText: parts of a second text are kept, too.
func TestAddPairsOfAnotherText(t *testing.T) {
	var e Environ
	addParts(t, &e, "A=1", "B=2")
	addParts(t, &e, "C=3", "A=4")
	e.Set("B", "5")
	e.Set("D", "6")
	e.Del("C")
	if d := cmp.Diff([]string{"A=4", "B=5", "D=6"}, e.Strings()); d != "" {
		t.Error(d)
	}
	c := e.Clone()
	e.Reset()
	if e.Len() != 0 || e.Get("A") != "" {
		t.Errorf("%d variables after Reset", e.Len())
	}
	addParts(t, &e, "Z=26")
	if d := cmp.Diff([]string{"A=4", "B=5", "D=6"}, c.Strings()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"Z=26"}, e.Strings()); d != "" {
		t.Error(d)
	}
}

// TestStringsOutlastTheEnviron: what Get has returned stays what it was, whatever
// becomes of the Environ.
func TestStringsOutlastTheEnviron(t *testing.T) {
	var e Environ
	addParts(t, &e, "A=first")
	e.Set("B", "second")
	a, b := e.Get("A"), e.Get("B")
	e.Set("A", "x")
	e.Set("B", "y")
	e.Reset()
	addParts(t, &e, "A=other")
	e.Set("B", "other")
	if a != "first" || b != "second" {
		t.Errorf("%q and %q", a, b)
	}
}

// TestEnvironStaysSmall: setting and removing variables for ever keeps nothing of those
// that are gone.
func TestEnvironStaysSmall(t *testing.T) {
	e := NewEnviron("KEPT=1")
	addParts(t, e, "PART=2")
	for i := range 10_000 {
		name := "N" + strconv.Itoa(i)
		e.Set(name, "v")
		e.Set(name, "w")
		e.Del(name)
		e.Set("KEPT", strconv.Itoa(i))
	}
	if n := len(e.pairs.added); n > 100 {
		t.Errorf("%d strings are kept of 2 variables", n)
	}
	if d := cmp.Diff([]string{"KEPT=9999", "PART=2"}, e.Strings()); d != "" {
		t.Error(d)
	}
}
