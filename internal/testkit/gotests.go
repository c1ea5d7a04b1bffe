package testkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// GoTests are the tests that Go has for a package of its standard library, to be run against
// a package of ours. Their source is read from GOROOT, and changed only in memory and in the
// directory of the test.
type GoTests struct {
	Package string   // "net/http/cgi"
	Files   []string // of its directory
	Import  string   // our package
	Type    string   // an exported type of it
	Edits   []GoEdit // made in all files
	Without []string // functions and variables that are left out, since they need unexported names
	Shim    string   // a file with what the tests use of the unexported names, made of ours
}

// A GoEdit replaces all of Old by New.
type GoEdit struct{ Old, New string }

// Check runs the tests, and holds the table in a page that lists those which fail, and those
// which are left out. A row has the name of the test, with that of the subtest, and the reason;
// a test that does not run has one that begins with "not run". A difference that is not listed
// fails the test, and so does a row that no difference needs.
func (g *GoTests) Check(t *testing.T, page string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	results, output := g.run(t)
	for _, d := range g.differences(string(text), results) {
		t.Errorf("%s, %s: %s", g.Package, page, d)
	}
	if t.Failed() {
		t.Log(output)
	}
}

// differences returns what is wrong with the table of a page, for what became of the tests.
func (g *GoTests) differences(page string, results map[string]string) (wrong []string) {
	rows := testRows(page)
	for name, result := range results {
		reason, listed := rows[name]
		delete(rows, name)
		switch failed := result != "pass" && !failsBelow(results, name); {
		case failed && !listed:
			wrong = append(wrong, fmt.Sprintf("%s is not listed: %s", name, result))
		case !failed && listed:
			wrong = append(wrong, fmt.Sprintf("%s is listed, and passes, or does for itself: %s", name, reason))
		case listed && reason == "":
			wrong = append(wrong, fmt.Sprintf("%s is listed without a reason", name))
		}
	}
	for _, name := range g.Without {
		if strings.HasPrefix(name, "Test") && !strings.HasPrefix(rows[name], "not run: ") {
			wrong = append(wrong, fmt.Sprintf("%s is not run, and not listed so", name))
		}
		delete(rows, name)
	}
	for name := range rows {
		wrong = append(wrong, fmt.Sprintf("%s is listed, and there is none", name))
	}
	slices.Sort(wrong)
	return wrong
}

// failsBelow reports whether a subtest of a test has not passed.
func failsBelow(results map[string]string, name string) bool {
	for sub, result := range results {
		if strings.HasPrefix(sub, name+"/") && result != "pass" {
			return true
		}
	}
	return false
}

// testRows returns the reasons of a page by the tests in the first cells of its rows.
func testRows(page string) map[string]string {
	rows := make(map[string]string)
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, "| `Test"); ok {
			name, reason, _ := strings.Cut(rest, "`")
			rows["Test"+name] = strings.Trim(reason, " |\n")
		}
	}
	return rows
}

// run runs the tests and returns what became of each by its name, subtests included. An edit,
// or a name, that the source does not have any more fails the test.
func (g *GoTests) run(t *testing.T) (results map[string]string, output string) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	temp, seen := t.TempDir(), make(map[string]bool)
	add := func(name, text string) {
		file := filepath.Join(temp, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(dir, "gotests", name)] = file
	}
	for _, name := range g.Files {
		text, err := os.ReadFile(filepath.Join(GoRoot(t), "src", g.Package, name))
		if err != nil {
			t.Fatal(err)
		}
		add(strings.TrimSuffix(strings.TrimSuffix(name, ".go"), "_test")+"_test.go", g.edit(t, name, string(text), seen))
	}
	for _, e := range g.Edits {
		if !seen[e.Old] {
			t.Errorf("the tests of %s do not have %q: mend the edits", g.Package, e.Old)
		}
	}
	for _, name := range g.Without {
		if !seen[name] {
			t.Errorf("the tests of %s do not have %s: it need not be left out", g.Package, name)
		}
	}
	if g.Shim != "" {
		add("shim_test.go", g.Shim)
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(temp, "overlay.json")
	if err := os.WriteFile(file, list, 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(temp, "gotests.exe")
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", file, "-o", program, "./gotests")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("go", "tool", "test2json", program, "-test.v=test2json", "-test.timeout="+(2*Patience).String())
	cmd.Dir = temp
	out, err := cmd.Output()
	results, output = readResults(t, bytes.NewReader(out))
	if len(results) == 0 {
		t.Fatalf("the tests of %s: %v\n%s", g.Package, err, output)
	}
	return results, output
}

// GoRoot returns the directory of the installed Go.
func GoRoot(t testing.TB) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(root))
}

// readResults reads what go test -json prints.
func readResults(t *testing.T, r io.Reader) (results map[string]string, output string) {
	t.Helper()
	results = make(map[string]string)
	var text strings.Builder
	for d := json.NewDecoder(r); ; {
		var e struct{ Action, Test, Output string }
		if err := d.Decode(&e); err == io.EOF {
			return results, text.String()
		} else if err != nil {
			t.Fatal(err)
		}
		switch e.Action {
		case "output":
			text.WriteString(e.Output)
		case "pass", "fail", "skip":
			if e.Test != "" {
				results[e.Test] = e.Action
			}
		}
	}
}

// edit makes the edits in a file, and notes in seen which of them it has.
func (g *GoTests) edit(t *testing.T, name, text string, seen map[string]bool) string {
	t.Helper()
	for _, e := range g.Edits {
		if strings.Contains(text, e.Old) {
			seen[e.Old] = true
			text = strings.ReplaceAll(text, e.Old, e.New)
		}
	}
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	type cut struct{ from, to int }
	var cuts []cut
	drop := func(n ast.Node) {
		cuts = append(cuts, cut{files.Position(n.Pos()).Offset, files.Position(n.End()).Offset})
	}
	for _, d := range f.Decls {
		if id := declared(d); id != "" && slices.Contains(g.Without, id) {
			seen[id] = true
			drop(d)
			continue
		}
		ast.Inspect(d, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					used[x.Name] = true
				}
			}
			return true
		})
	}
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		if !used[path.Base(p)] {
			drop(i)
		}
	}
	slices.SortFunc(cuts, func(a, b cut) int { return b.from - a.from })
	for _, c := range cuts {
		text = text[:c.from] + text[c.to:]
	}
	end := files.Position(f.Name.End()).Offset
	return text[:end] + "\n\nimport . " + strconv.Quote(g.Import) + "\n" + text[end:] + "\nvar _ *" + g.Type + "\n"
}

// declared returns the name of a function, or of the first variable of a declaration.
func declared(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return d.Name.Name
		}
	case *ast.GenDecl:
		if v, ok := d.Specs[0].(*ast.ValueSpec); ok {
			return v.Names[0].Name
		}
	}
	return ""
}
