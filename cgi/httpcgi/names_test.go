package httpcgi

import (
	"maps"
	"net/http/cgi"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// Every exported name of net/http/cgi is here, with the same type, so that a program changes
// its import and compiles.
func TestNamesOfNetHTTPCgi(t *testing.T) {
	theirs := testkit.Exported(t, filepath.Join(testkit.GoRoot(t), "src/net/http/cgi"))
	ours := testkit.Exported(t, ".")
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if name != "Handler" && ours[name] != theirs[name] {
			t.Errorf("%s is %q, want %q", name, ours[name], theirs[name])
		}
	}
	for _, name := range []string{"Handler", "Request", "RequestFromMap", "Serve"} {
		if theirs[name] == "" {
			t.Errorf("net/http/cgi has no %s", name)
		}
	}
}

// And so is every field and method of its Handler.
func TestFieldsOfNetHTTPCgi(t *testing.T) {
	their, our := reflect.TypeFor[cgi.Handler](), reflect.TypeFor[Handler]()
	n := 0
	for i := range their.NumField() {
		f := their.Field(i)
		if !f.IsExported() {
			continue
		}
		n++
		switch o, ok := our.FieldByName(f.Name); {
		case !ok:
			t.Errorf("Handler has no %s", f.Name)
		case o.Type != f.Type:
			t.Errorf("%s is a %v, want %v", f.Name, o.Type, f.Type)
		}
	}
	if n < 9 {
		t.Errorf("net/http/cgi's Handler has %d fields", n)
	}
	their, our = reflect.TypeFor[*cgi.Handler](), reflect.TypeFor[*Handler]()
	for i := range their.NumMethod() {
		m := their.Method(i)
		o, ok := our.MethodByName(m.Name)
		if signature := func(m reflect.Method) string {
			_, after, _ := strings.Cut(m.Type.String(), ",")
			return after
		}; !ok || signature(o) != signature(m) {
			t.Errorf("%s is %v, want %v", m.Name, o.Type, m.Type)
		}
	}
}

// The page has a row for each field, theirs and ours.
func TestPageNamesFields(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "net-http-cgi.md"))
	if err != nil {
		t.Fatal(err)
	}
	their, our := reflect.TypeFor[cgi.Handler](), reflect.TypeFor[Handler]()
	for i := range our.NumField() {
		f := our.Field(i)
		if !f.IsExported() {
			continue
		}
		row := "\n| `" + f.Name + "` | "
		if _, ok := their.FieldByName(f.Name); !ok {
			row = "\n| – | `" + f.Name + "`"
		}
		if !strings.Contains(string(text), row) {
			t.Errorf("the page has no row %q", row[1:])
		}
	}
}
