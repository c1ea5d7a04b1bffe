package daemon

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keysOf returns the keys that the parser knows, as it tells them after one that
// it does not.
func keysOf(t *testing.T, text string) []string {
	t.Helper()
	_, err := ParseConfig("g.toml", []byte(text))
	if err == nil {
		t.Fatal("no error")
	}
	_, list, _ := strings.Cut(err.Error(), "the keys here are ")
	return strings.Split(list, ", ")
}

// TestKeyTable holds that the tables have the keys that the parser knows, and no
// others, and that the examples are TOML.
func TestKeyTable(t *testing.T) {
	top, app := map[string]bool{"app": true}, make(map[string]bool)
	for _, k := range KeyTable() {
		if k.PerApp {
			app[k.Name] = true
		} else {
			top[k.Name] = true
		}
		d, err := parseDocument("g.toml", []byte(k.Name+" = "+k.Example+"\n"))
		if err != nil || d.values[k.Name] == nil {
			t.Errorf("%s = %s: %v", k.Name, k.Example, err)
		}
	}
	for _, l := range LimitTable() {
		top[l.Key] = true
		if l.PerApp {
			app[l.Key] = true
		}
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(top)), keysOf(t, "zzzzzzzzz = 1\n[[app]]\nhello = true\n")); d != "" {
		t.Errorf("top level: -tables +parser\n%s", d)
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(app)), keysOf(t, "[[app]]\nhello = true\nzzzzzzzzz = 1\n")); d != "" {
		t.Errorf("applications: -tables +parser\n%s", d)
	}
	maps.Copy(top, app)
	if d := cmp.Diff(slices.Sorted(maps.Keys(top)), keysOf(t, "zzzzzzzzz = 1\n")); d != "" {
		t.Errorf("top level without [[app]]: -tables +parser\n%s", d)
	}
}

// TestKinds holds what the parser expects of each kind.
func TestKinds(t *testing.T) {
	for _, k := range kinds() {
		kind, keys := k.traits(), k.keys()
		if keys[0].Name != kind.name {
			t.Errorf("%s: the first key is %s", kind.name, keys[0].Name)
		}
		if len(keys) > 1 && kind.without == "" {
			t.Errorf("%s: nothing is said of its keys in an application of another kind", kind.name)
		}
		if kind.target != "" && kind.noun == "" {
			t.Errorf("%s: nothing is said of a target that is missing", kind.name)
		}
	}
}
