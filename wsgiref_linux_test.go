package gatehouse_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// wsgirefDoc is the page that this test is about.
const wsgirefDoc = "docs/wsgiref.md"

// newestPython is the minor version of the newest Python 3 whose wsgiref the page is
// known to be true of. A later one may lack names that the page has.
const newestPython = 14

var (
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	goName   = regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*(?:\.[A-Z]\w*)?)(?:\(\))?$`)
)

// TestWsgirefNames holds the table of docs/wsgiref.md to Python's own wsgiref and to
// the packages: it names all that is public there, and nothing that does not exist.
func TestWsgirefNames(t *testing.T) {
	page, err := os.ReadFile(wsgirefDoc)
	if err != nil {
		t.Fatal(err)
	}
	rows := wsgirefRows(t, string(page))
	minor, public, other := pythonNames(t)
	named := map[string]bool{}
	for _, r := range rows {
		for _, name := range r.python {
			if named[name] {
				t.Errorf("%s is in two rows", name)
			}
			named[name] = true
			if public[name] || other[name] || r.older {
				continue
			}
			if minor > newestPython {
				t.Logf("Python 3.%d has no %s", minor, name)
			} else {
				t.Errorf("Python 3.%d has no %s", minor, name)
			}
		}
	}
	for name := range public {
		if !named[name] {
			t.Errorf("%s is not in the table", name)
		}
	}

	known := goNames(t)
	for _, r := range rows {
		if r.text[1] == "–" {
			if r.text[2] == "" {
				t.Errorf("%v has no counterpart, and no reason why", r.python)
			}
			continue
		}
		spans := codeSpan.FindAllStringSubmatch(r.text[1], -1)
		for _, s := range spans {
			if !goName.MatchString(s[1]) {
				t.Errorf("%v: %q is no name of Go's", r.python, s[1])
			}
		}
		if len(spans) == 0 {
			t.Errorf("%v: no name in %q", r.python, r.text[1])
		}
	}
	for _, s := range codeSpan.FindAllStringSubmatch(string(page), -1) {
		m := goName.FindStringSubmatch(s[1])
		if m == nil {
			continue
		}
		if names := known[m[1]]; names == nil {
			t.Errorf("`%s`: package %s is not known here", s[1], m[1])
		} else if !names[m[2]] {
			t.Errorf("`%s` does not exist", s[1])
		}
	}
}

// A wsgirefRow is a row of the table.
type wsgirefRow struct {
	python []string // names, with that of the module
	older  bool     // a mark beside them says that Python 3.11 lacks them
	text   []string // the three cells
}

// wsgirefRows reads the tables below the headings of modules. PEP 3333's entries of the
// environment (wsgi.input) are no names of a module, and left out.
func wsgirefRows(t *testing.T, page string) []wsgirefRow {
	t.Helper()
	var rows []wsgirefRow
	module := ""
	for n, line := range strings.Split(page, "\n") {
		if heading, ok := strings.CutPrefix(line, "#"); ok {
			module = ""
			if _, m, ok := strings.Cut(heading, "## wsgiref."); ok {
				module = m
			}
		}
		if module == "" || !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		if len(cells) != 3 {
			t.Fatalf("%s:%d: %d cells", wsgirefDoc, n+1, len(cells))
		}
		r := wsgirefRow{older: strings.Contains(cells[0], "(to 3.")}
		for _, c := range cells {
			r.text = append(r.text, strings.TrimSpace(c))
		}
		for _, s := range codeSpan.FindAllStringSubmatch(cells[0], -1) {
			if !strings.HasPrefix(s[1], "wsgi.") {
				r.python = append(r.python, module+"."+s[1])
			}
		}
		rows = append(rows, r)
	}
	if len(rows) < 50 {
		t.Fatalf("%s has %d rows", wsgirefDoc, len(rows))
	}
	return rows
}

// pythonNames asks the machine's Python, 3.11 or newer, for the names of its wsgiref.
func pythonNames(t *testing.T) (minor int, public, other map[string]bool) {
	t.Helper()
	out := testkit.Python(t, nil, filepath.Join("testdata", "wsgiref_names.py"))
	version, list, _ := strings.Cut(string(out), "\n")
	minor, err := strconv.Atoi(strings.TrimPrefix(version, "3."))
	if err != nil || minor < 11 {
		t.Fatalf("python3 is %q, not 3.11 or newer", version)
	}
	public, other = map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(list) {
		switch kind, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); kind {
		case "+":
			public[name] = true
		case "-":
			other[name] = true
		}
	}
	if len(public) < 100 {
		t.Fatalf("Python %s has %d names", version, len(public))
	}
	return minor, public, other
}

// goNames returns what the packages that the page may name export, by the name of the
// package: Name, Type.Method and Type.Field.
func goNames(t *testing.T) map[string]map[string]bool {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", "{{.Name}}\t{{.Dir}}", "./...", "bufio", "context", "io", "mime", "net/http", "time")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	known := map[string]map[string]bool{}
	for line := range strings.Lines(string(out)) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name == "main" {
			continue
		}
		if known[name] == nil {
			known[name] = map[string]bool{}
		}
		addNames(t, known[name], dir)
	}
	return known
}

// addNames adds what the files of a directory export, on any system.
func addNames(t *testing.T, names map[string]bool, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				names[receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					addSpec(names, s)
				}
			}
		}
	}
}

// receiver returns "Type." for a method.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	e := d.Recv.List[0].Type
	if p, ok := e.(*ast.StarExpr); ok {
		e = p.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name + "."
	}
	return "(generic)."
}

// embeddedMethods are those of the interfaces of package io that ours embed.
var embeddedMethods = map[string]string{"Reader": "Read", "Writer": "Write", "Closer": "Close"}

func addSpec(names map[string]bool, s ast.Spec) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, id := range s.Names {
			names[id.Name] = true
		}
	case *ast.TypeSpec:
		names[s.Name.Name] = true
		var fields *ast.FieldList
		switch u := s.Type.(type) {
		case *ast.StructType:
			fields = u.Fields
		case *ast.InterfaceType:
			fields = u.Methods
		default:
			return
		}
		for _, f := range fields.List {
			for _, id := range f.Names {
				names[s.Name.Name+"."+id.Name] = true
			}
			if sel, ok := f.Type.(*ast.SelectorExpr); ok && len(f.Names) == 0 {
				names[s.Name.Name+"."+embeddedMethods[sel.Sel.Name]] = true
			}
		}
	}
}
